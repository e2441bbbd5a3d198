"""dothi: the open smart-city platform that a Vietnamese province runs itself."""

__version__ = "0.1.0"
