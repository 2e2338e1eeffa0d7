"""Generators and discriminators for binary and categorical data."""

from discrete_gan.models.base import Generator, HubModel
from discrete_gan.models.conv import ConvDiscriminator, ConvGenerator
from discrete_gan.models.mlp import MLPDiscriminator, MLPGenerator

__all__ = ["ConvDiscriminator", "ConvGenerator", "Generator", "HubModel", "MLPDiscriminator", "MLPGenerator"]
