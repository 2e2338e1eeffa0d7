"""Adversarial losses on discriminator outputs, and penalties."""
