"""Generators and discriminators for binary, categorical and continuous data, and for sequences of tokens."""

from discrete_gan.models.am_gan import AMGANDiscriminator, AMGANGenerator
from discrete_gan.models.base import Generator, HubModel, PixelGenerator
from discrete_gan.models.belief import BeliefDecoder, BeliefEncoder, LogWeight, Posterior
from discrete_gan.models.blockwise import BlockwiseGenerator
from discrete_gan.models.conv import ConvDiscriminator, ConvGenerator, PaletteGenerator
from discrete_gan.models.dcgan import DCGANDiscriminator, DCGANGenerator
from discrete_gan.models.frames import FrameGenerator, RecurrentFrameDiscriminator, TransformerFrameDiscriminator
from discrete_gan.models.labels import ClassProjection, append_labels, labeled
from discrete_gan.models.layers import MinibatchDiscrimination, VirtualBatchNorm
from discrete_gan.models.mlp import MLPDiscriminator, MLPGenerator, MLPImageGenerator
from discrete_gan.models.noisy_mlp import NoisyMLPClassifier
from discrete_gan.models.rnn import RecurrentGenerator
from discrete_gan.models.table import AutoregressiveTableGenerator, TableDiscriminator, TableGenerator
from discrete_gan.models.token_discriminators import (
    RecurrentDiscriminator,
    TextCNN,
    TokenDiscriminator,
    TransformerDiscriminator,
    token_discriminator,
)

__all__ = [
    "AMGANDiscriminator",
    "AMGANGenerator",
    "AutoregressiveTableGenerator",
    "BeliefDecoder",
    "BeliefEncoder",
    "BlockwiseGenerator",
    "ClassProjection",
    "ConvDiscriminator",
    "ConvGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "FrameGenerator",
    "Generator",
    "HubModel",
    "LogWeight",
    "MLPDiscriminator",
    "MLPGenerator",
    "MLPImageGenerator",
    "MinibatchDiscrimination",
    "NoisyMLPClassifier",
    "PaletteGenerator",
    "PixelGenerator",
    "Posterior",
    "RecurrentDiscriminator",
    "RecurrentFrameDiscriminator",
    "RecurrentGenerator",
    "TableDiscriminator",
    "TableGenerator",
    "TextCNN",
    "TokenDiscriminator",
    "TransformerDiscriminator",
    "TransformerFrameDiscriminator",
    "VirtualBatchNorm",
    "append_labels",
    "labeled",
    "token_discriminator",
]
