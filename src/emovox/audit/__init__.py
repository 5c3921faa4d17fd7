"""Behaviour tests of any speech emotion model: what must not change its answers, and for whom."""
