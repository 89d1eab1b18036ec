"""penstock: requests in, pictures out, within the limits and the budget, paid once."""
