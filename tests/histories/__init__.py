"""Histories: any interleaving of what a world may do to an engine, with the monitor watching and books kept apart."""
