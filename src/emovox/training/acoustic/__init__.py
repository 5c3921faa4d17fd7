"""Acoustic models: features, voices to train on, the fit."""
