"""Pulls: datasets kept up from other people's databases by query, watermark and schedule."""
