"""What does it cost? Charges from usage, reservations against hard caps; integer picodollars."""
