"""Measuring a model: its answers to labelled recordings, metrics, the report."""
