"""Practice: a person says a sentence towards a target, and hears how close it came."""
