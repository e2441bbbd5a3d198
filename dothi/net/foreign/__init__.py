"""Rows out of other people's databases, read by a child process of its own."""
