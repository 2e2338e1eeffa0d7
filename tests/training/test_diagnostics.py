"""Figures of every log line, on one batch."""

import math

import pytest
import torch

from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.training import diagnostics


def test_diagnostics_of_a_discriminator_that_knows_nothing() -> None:
    generator, discriminator = MLPGenerator(4, 16, hidden=(8,)), MLPDiscriminator(16, hidden=(8,))
    assert isinstance(discriminator.output, torch.nn.Linear)
    torch.nn.init.zeros_(discriminator.output.weight)
    torch.nn.init.constant_(discriminator.output.bias, 0.5)
    figures = diagnostics(generator, discriminator, torch.ones(6, 16), torch.randn(5, 4), num_samples=10)
    torch.testing.assert_close(figures["ess"].item(), 10.0, rtol=1e-5, atol=0)
    torch.testing.assert_close(figures["largest_weight"].item(), 0.1, rtol=1e-5, atol=0)
    torch.testing.assert_close(figures["log_partition"].item(), 0.5, rtol=1e-5, atol=0)
    # It calls everything real: right on the data, wrong on each sample.
    assert figures["accuracy"].item() == 0.5


def test_partition_of_a_calibrated_discriminator_is_that_of_all_latents_together() -> None:
    # One latent draws ones, the other zeros, and the data have 0.9 ones: w is 1.8 and 0.2, and 1 on average.
    class OneBit(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> FactorizedBernoulli:
            return FactorizedBernoulli(z)

    generator, discriminator = OneBit(), torch.nn.Linear(1, 1)
    z = torch.tensor([[40.0], [-40.0]])
    with torch.no_grad():
        discriminator.weight.fill_(math.log(9.0))
        discriminator.bias.fill_(math.log(0.2))
    figures = diagnostics(generator, torch.nn.Sequential(discriminator, torch.nn.Flatten(-2)), torch.ones(4, 1), z)
    assert figures["log_partition"].item() == pytest.approx(0, abs=1e-6)
