"""Training: features, networks, export, a whole run. The only place that imports torch."""
