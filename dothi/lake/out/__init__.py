"""A dataset read from outside: a filter language, pages of rows, past states, formats, SQL."""
