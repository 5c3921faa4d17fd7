"""How well a model does: its answers to labelled recordings, metrics, the report."""
