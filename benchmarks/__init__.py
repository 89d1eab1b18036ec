"""Measurements, each a module with `main(arguments: Sequence[str]) -> int`: `python -m benchmarks NAME`."""
