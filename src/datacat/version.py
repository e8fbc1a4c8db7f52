"""The version, where it can be read without searching what is installed."""

__version__ = "0.1.0"
