"""Our models are what the package asks of a user's: the type checker says so of each, and one step shows it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution

from discrete_gan import contracts, models

D, K, SHAPE = 6, 3, (1, 16, 16)
PALETTE = [[0.0], [0.5], [1.0]]


def is_generator(
    generator: contracts.Generator, forward: Callable[[Tensor], Distribution]
) -> tuple[contracts.Generator, Callable[[Tensor], Distribution]]:
    """For the type checker: pyright takes the call of any module for anything, so its forward is given as well."""
    return generator, forward


def is_discriminator(
    discriminator: contracts.Discriminator, forward: Callable[[Tensor], Tensor]
) -> tuple[contracts.Discriminator, Callable[[Tensor], Tensor]]:
    return discriminator, forward


mlp = models.MLPGenerator(4, D, hidden=(8,))
mlp_image = models.MLPImageGenerator(4, 256, hidden=(8,))
conv = models.ConvGenerator(4, SHAPE, width=2, hidden=8)
palette = models.PaletteGenerator(PALETTE, 4, SHAPE, width=2, hidden=8)
dcgan = models.DCGANGenerator(4, SHAPE, width=2)
am_gan = models.AMGANGenerator(4, SHAPE, width=2)
rnn = models.RecurrentGenerator(K, D, end=0, latent_dim=4)
belief = models.BeliefDecoder(4, D, hidden=(8,))
table = models.TableGenerator(4, (2, 3, 3), hidden=(8,))
columns = models.AutoregressiveTableGenerator(4, (2, 3, 3), hidden=8)
blocks = models.BlockwiseGenerator(4, (1, 2, 3), hidden=(8,))
frames = models.FrameGenerator((2, 3), 4, 2, hidden=8, width=4)
GENERATORS = {
    "MLPGenerator": is_generator(mlp, mlp.forward),
    "MLPImageGenerator": is_generator(mlp_image, mlp_image.forward),
    "ConvGenerator": is_generator(conv, conv.forward),
    "PaletteGenerator": is_generator(palette, palette.forward),
    "DCGANGenerator": is_generator(dcgan, dcgan.forward),
    "AMGANGenerator": is_generator(am_gan, am_gan.forward),
    "RecurrentGenerator": is_generator(rnn, rnn.forward),
    "BeliefDecoder": is_generator(belief, belief.forward),
    "TableGenerator": is_generator(table, table.forward),
    "AutoregressiveTableGenerator": is_generator(columns, columns.forward),
    "BlockwiseGenerator": is_generator(blocks, blocks.forward),
    "FrameGenerator": is_generator(frames, frames.forward),
}

mlp_d = models.MLPDiscriminator(D, hidden=(8,))
conv_d = models.ConvDiscriminator(SHAPE, width=2, hidden=8)
dcgan_d = models.DCGANDiscriminator(SHAPE, width=2)
am_gan_d = models.AMGANDiscriminator(SHAPE, width=2)
noisy = models.NoisyMLPClassifier(D, hidden=(8,))
cnn = models.TextCNN(K, D, end=0, embedding_dim=4, channels=2)
recurrent = models.RecurrentDiscriminator(K, D, end=0, embedding_dim=4, hidden=4)
transformer = models.TransformerDiscriminator(K, D, end=0, embedding_dim=4)
table_d = models.TableDiscriminator((2, 3, 3), hidden=(8,))
frames_lstm = models.RecurrentFrameDiscriminator((2, 3), 4, hidden=4)
frames_transformer = models.TransformerFrameDiscriminator((2, 3), 4, width=4)
belief_encoder = models.BeliefEncoder(4, D, hidden=(8,))
DISCRIMINATORS = {
    "MLPDiscriminator": (is_discriminator(mlp_d, mlp_d.forward), torch.zeros(2, D)),
    "TableDiscriminator": (is_discriminator(table_d, table_d.forward), torch.zeros(2, 3, dtype=torch.int64)),
    "ConvDiscriminator": (is_discriminator(conv_d, conv_d.forward), torch.zeros(2, 256)),
    "DCGANDiscriminator": (is_discriminator(dcgan_d, dcgan_d.forward), torch.zeros(2, 256)),
    "AMGANDiscriminator": (is_discriminator(am_gan_d, am_gan_d.forward), torch.zeros(2, 256)),
    "NoisyMLPClassifier": (is_discriminator(noisy, noisy.forward), torch.zeros(2, D)),
    "BeliefEncoder": (is_discriminator(belief_encoder, belief_encoder.forward), torch.zeros(2, D)),
    "TextCNN": (is_discriminator(cnn, cnn.forward), torch.zeros(2, D, dtype=torch.long)),
    "RecurrentDiscriminator": (is_discriminator(recurrent, recurrent.forward), torch.zeros(2, D, dtype=torch.long)),
    "RecurrentFrameDiscriminator": (
        is_discriminator(frames_lstm, frames_lstm.forward),
        torch.zeros(2, 4, 3, dtype=torch.long),
    ),
    "TransformerFrameDiscriminator": (
        is_discriminator(frames_transformer, frames_transformer.forward),
        torch.zeros(2, 4, 3, dtype=torch.long),
    ),
    "TransformerDiscriminator": (
        is_discriminator(transformer, transformer.forward),
        torch.zeros(2, D, dtype=torch.long),
    ),
}


def test_encoders_propose_latents() -> None:
    encoder: contracts.Encoder = belief_encoder
    q = encoder.posterior(torch.zeros(2, D))
    assert q.batch_shape == (2,)
    assert belief(q.sample()).batch_shape == (2,)


def test_all_models_are_here() -> None:
    exported = [getattr(models, name) for name in models.__all__]
    classes = {each for each in exported if isinstance(each, type) and issubclass(each, models.HubModel)}
    bases = {models.HubModel, models.Generator, models.PixelGenerator, models.TokenDiscriminator}
    assert {each.__name__ for each in classes - bases} == GENERATORS.keys() | DISCRIMINATORS.keys()


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_draw_and_decode(name: str) -> None:
    generator, _ = GENERATORS[name]
    g = generator(generator.latents(5))
    assert isinstance(g, Distribution) and g.batch_shape == (5,)
    assert generator.decode(g.sample()).shape[0] == 5
    assert generator.latents(2).shape == (2, generator.latent_dim)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_score_each_sample(name: str) -> None:
    (discriminator, _), x = DISCRIMINATORS[name]
    assert discriminator(x).shape[0] == len(x)
    assert dict(discriminator.named_parameters()).keys() and discriminator.training
