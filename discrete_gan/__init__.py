"""Generative adversarial training of discrete data with score-function estimators."""

__version__ = "0.1.0"
