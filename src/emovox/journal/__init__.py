"""A person's journal on their own machine: how they sounded, and how they say that they are."""
