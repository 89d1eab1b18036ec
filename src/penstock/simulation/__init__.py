"""What would happen? A simulated provider, a world in virtual time, a monitor of promises, traces."""
