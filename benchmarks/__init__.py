"""Benchmarks of speed; run them as ``python -m benchmarks.NAME``."""
