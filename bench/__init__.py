"""Benchmarks: each prints one JSON object with its figures and their floor of the same run."""
