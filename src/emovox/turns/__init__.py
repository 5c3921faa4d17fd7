"""Turns: stretches of a recording that another tool cut, read from its file and answered."""
