"""Seeded bugs: each a small patch of the engine that the histories and the directed scenarios must notice."""
