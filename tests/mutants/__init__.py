"""Seeded bugs: each a small patch that the histories, the directed scenarios or the tests it names must notice."""
