"""Money looked at from outside: what an input would cost, and what was spent. Sums alone, apart from the reading."""
