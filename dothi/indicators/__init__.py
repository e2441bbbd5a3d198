"""Indicators: figures computed from datasets by a SELECT, kept as series of their own."""
