"""Log Z from draws, and densities that sum to one over every sample."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.lab.problems import ProductMixture
from discrete_gan.models import MLPGenerator, MLPImageGenerator, RecurrentGenerator
from discrete_gan.reweighted import LogPartition, Reweighted
from tests.problems import TableDiscriminator, assert_exact, seeded_normal


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class Enumerated(ProductMixture):
    """Three latents that are not equally likely."""

    latent_dim = 3

    def decode(self, x: Tensor) -> Tensor:
        return x

    def latents(self, num: int) -> Tensor:
        return self.all_latents()[torch.multinomial(self.enumerate_latents()[1].exp(), num, replacement=True)]

    def enumerate_latents(self) -> tuple[Tensor, Tensor]:
        return self.all_latents(), seeded_normal(3, seed=8).log_softmax(0)


def problem() -> tuple[Enumerated, TableDiscriminator, Tensor, Tensor, float]:
    """A generator, a discriminator, all states, log p_g + log w of each, and log Z."""
    generator = Enumerated(seeded_normal(3, 3))
    discriminator = TableDiscriminator(seeded_normal(8, seed=3, scale=1.5), torch.Size([3]))
    g = generator(generator.all_latents())
    states = g.enumerate_support()
    log_p_g = (g.log_prob(states) + generator.enumerate_latents()[1]).logsumexp(1)
    joint = (log_p_g + discriminator.log_w).detach()
    return generator, discriminator, states[:, 0], joint, float(joint.logsumexp(0))


def test_densities_are_exact_where_the_latents_are_enumerated() -> None:
    generator, discriminator, states, joint, log_z = problem()
    model = Reweighted(generator, discriminator, scale=0.5, offset=2.0)
    plain = Reweighted(generator, discriminator)
    found = plain.log_prob(states, log_partition=log_z)
    assert_exact(found.log_prob, joint - log_z)
    assert found.standard_error == 0 and not found.log_prob.requires_grad
    log_p_g = joint - discriminator.log_w.detach()
    calibrated = model.log_prob(states, log_partition=1.0, log_prob_of_generator=log_p_g - 7)
    assert_exact(calibrated.log_prob, log_p_g - 7 + discriminator.log_w.detach() / 2 + 2 - 1)


def test_densities_of_sequences_sum_to_one() -> None:
    generator = RecurrentGenerator(3, 3, end=1).double()
    states = generator(generator.latents(1)).enumerate_support()[:, 0]

    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.double().sum(-1) - 2

    model = Reweighted(generator, Sum())
    log_z = float(model.log_prob(states, log_partition=0.0).log_prob.logsumexp(0))
    partition = model.log_partition(10_000)
    assert abs(partition.value - log_z) < 5 * partition.standard_error < 0.1
    found = model.log_prob(states, log_partition=partition)
    assert_exact(found.log_prob.logsumexp(0), torch.tensor(log_z - partition.value, dtype=torch.float64), atol=1e-10)
    assert found.standard_error == partition.standard_error


def test_labels_choose_the_density() -> None:
    class Conditional(nn.Module):
        latent_dim, num_classes = 0, 2
        decode = None

        def latents(self, num: int) -> Tensor:
            return torch.zeros(num, 0)

        def forward(self, z: Tensor, labels: Tensor) -> Any:
            return torch.distributions.Independent(torch.distributions.Bernoulli(0.2 + 0.6 * labels[:, None]), 1)

    class OfClass(nn.Module):
        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            return x[..., 0] * (1 + labels)

    model = Reweighted(Conditional(), OfClass())  # type: ignore[arg-type]
    x, labels = torch.tensor([[1.0], [1.0], [0.0]]), torch.tensor([0, 1, 1])
    found = model.log_prob(x, labels, log_partition=0.0).log_prob
    torch.testing.assert_close(found, torch.tensor([math.log(0.2) + 1, math.log(0.8) + 2, math.log(0.2)]).double())
    for label, probability in enumerate((0.2, 0.8)):
        partition = model.log_partition(4000, label=label)
        exact = math.log(1 - probability + probability * math.exp(1 + label))
        assert abs(partition.value - exact) < 5 * partition.standard_error
    every = model.log_partition(4000)
    exact = math.log((0.8 + 0.2 * math.e + 0.2 + 0.8 * math.e**2) / 2)
    assert abs(every.value - exact) < 5 * every.standard_error


def test_the_partition_is_that_of_its_draws_and_of_their_quarters() -> None:
    generator, discriminator, _, _, log_z = problem()
    kept: list[Tensor] = []
    discriminator.register_forward_hook(lambda *of: kept.append(of[2].detach()))
    found = Reweighted(generator, discriminator).log_partition(4002)
    w = torch.cat(kept).exp()
    assert (len(w), found.number, len(kept)) == (4002, 4002, 5)

    def error(w: Tensor) -> Tensor:
        return w.std() / w.mean() / math.sqrt(len(w))

    assert found.value == pytest.approx(float(w.mean().log())) and found.standard_error == pytest.approx(
        float(error(w))
    )
    quarters = w[:4000].split(1000)
    assert found.quarters == pytest.approx([float(each.mean().log()) for each in quarters])
    assert found.quarter_errors == pytest.approx([float(error(each)) for each in quarters])
    assert abs(found.value - log_z) < 5 * found.standard_error
    assert found.trusted and found.verdict.startswith(f"log Z {found.value:.3f}, standard error")
    assert Reweighted(generator, discriminator).log_partition(4002) == found
    assert Reweighted(generator, discriminator).log_partition(4002, seed=1) != found


def test_what_cannot_be_trusted_says_so() -> None:
    fine = LogPartition(1.0, 0.1, (1.0, 1.1, 0.9, 1.3), (0.2,) * 4, 0.3, 0.7, 4000)
    apart, heavy = fine._replace(quarters=(1.0, 1.1, 0.9, 2.0)), fine._replace(tail_index=0.9)
    assert fine.trusted and "not to be trusted" not in fine.verdict
    assert apart.trusted is heavy.trusted is False
    assert "differ by more" in apart.verdict and "tail index 0.90 above 0.70" in heavy.verdict


def test_bad_input_is_refused_in_one_line() -> None:
    generator, discriminator, states, _, _ = problem()
    model = Reweighted(generator, discriminator)
    with pytest.raises(ValueError, match="num: expected at least 8"):
        model.log_partition(7)
    with pytest.raises(ValueError, match=r"log_prob_of_generator: expected shape \(8,\), got \(7,\)"):
        model.log_prob(states, log_partition=0.0, log_prob_of_generator=torch.zeros(7))
    latents = Reweighted(MLPGenerator(2, 3, hidden=(4,)), discriminator)
    with pytest.raises(ValueError, match="expected log_prob_of_generator for a generator with latents"):
        latents.log_prob(states.float(), log_partition=0.0)
    points = MLPImageGenerator(2, 3, hidden=(4,))
    vars(points)["enumerate_latents"] = lambda: (torch.zeros(1, 2), torch.zeros(1))
    with pytest.raises(ValueError, match="expected a generator with a density"):
        Reweighted(points, discriminator).log_prob(states.float(), log_partition=0.0)
    for value, told in ((math.nan, "got NaN"), (-math.inf, "a draw with a weight")):
        wrong = TableDiscriminator(torch.full((8,), value), torch.Size([3]))
        with pytest.raises(ValueError, match=told):
            Reweighted(generator, wrong).log_partition(20)
