"""Generators and discriminators for binary, categorical and continuous data."""

from discrete_gan.models.base import Generator, HubModel
from discrete_gan.models.conv import ConvDiscriminator, ConvGenerator, PaletteGenerator
from discrete_gan.models.dcgan import DCGANDiscriminator, DCGANGenerator
from discrete_gan.models.layers import MinibatchDiscrimination, VirtualBatchNorm
from discrete_gan.models.mlp import MLPDiscriminator, MLPGenerator, MLPImageGenerator

__all__ = [
    "ConvDiscriminator",
    "ConvGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Generator",
    "HubModel",
    "MLPDiscriminator",
    "MLPGenerator",
    "MLPImageGenerator",
    "MinibatchDiscrimination",
    "PaletteGenerator",
    "VirtualBatchNorm",
]
