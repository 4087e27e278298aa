"""Measurements, as ratios of things measured side by side in one run. `python -m benchmarks --help`; see README.md."""
