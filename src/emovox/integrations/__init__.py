"""Voice agents and assistants of other projects, told how a voice sounds."""

from .caller import Caller, Reading, Wording

__all__ = ["Caller", "Reading", "Wording"]
