"""The version of emovox."""

__version__ = "0.1.0"
