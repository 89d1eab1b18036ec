"""Stores: one suite of claims over all of them, and what only one of them can do."""
