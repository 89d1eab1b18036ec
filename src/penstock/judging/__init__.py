"""What happened, and what next? One data table, waits, and the allowance for ambiguous retries."""
