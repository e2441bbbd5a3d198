"""Packs: a monitoring service as a folder of data."""
