"""Generators and discriminators for binary, categorical and continuous data, and for sequences of tokens."""

from discrete_gan.models.base import Generator, HubModel
from discrete_gan.models.conv import ConvDiscriminator, ConvGenerator, PaletteGenerator
from discrete_gan.models.dcgan import DCGANDiscriminator, DCGANGenerator
from discrete_gan.models.layers import MinibatchDiscrimination, VirtualBatchNorm
from discrete_gan.models.mlp import MLPDiscriminator, MLPGenerator, MLPImageGenerator
from discrete_gan.models.rnn import RecurrentGenerator
from discrete_gan.models.token_discriminators import (
    RecurrentDiscriminator,
    TextCNN,
    TokenDiscriminator,
    TransformerDiscriminator,
    token_discriminator,
)

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
    "RecurrentDiscriminator",
    "RecurrentGenerator",
    "TextCNN",
    "TokenDiscriminator",
    "TransformerDiscriminator",
    "VirtualBatchNorm",
    "token_discriminator",
]
