"""Particle filters over the positions of sequences, against the sum over all sequences."""

import math

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.distributions import Prefixes
from discrete_gan.models import RecurrentDiscriminator, RecurrentGenerator
from discrete_gan.reweighted import Reweighted
from discrete_gan.reweighted.particles import filtered
from discrete_gan.weights import log_partition
from tests.problems import seeded_normal

K, D, END = 3, 3, 1
PLACE = torch.tensor([9, 3, 1])


class Tables(nn.Module):
    """A free log-ratio for every prefix; where it is wrong, that of sequences is another one than steps end with."""

    def __init__(self, *, wrong: bool) -> None:
        super().__init__()
        self.tables = [seeded_normal(K**length, seed=length, scale=2.0) for length in (1, 2, 3)]
        self.of_sequence = seeded_normal(27, seed=4, scale=1.5) if wrong else self.tables[-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.of_sequence[(x * PLACE).sum(-1)]

    def steps(self, x: Tensor) -> Tensor:
        index = [(x[..., :length] * PLACE[-length:]).sum(-1) for length in range(1, x.shape[-1] + 1)]
        return torch.stack([table[each] for table, each in zip(self.tables, index, strict=False)], dim=-1)


def problem(end: int | None, *, wrong: bool) -> tuple[RecurrentGenerator, Tables, Tensor, Tensor]:
    """A generator, a discriminator, and p_g and w of all 27 sequences, zero for those that are none."""
    torch.manual_seed(3)
    generator, discriminator = RecurrentGenerator(K, D, end=end, hidden=4).double(), Tables(wrong=wrong)
    with torch.no_grad():
        g = generator(generator.latents(1))
        states = g.enumerate_support()
        p, w = torch.zeros(2, 27, dtype=torch.float64)
        index = (states[:, 0] * PLACE).sum(-1)
        p[index], w[index] = g.log_prob(states)[:, 0].exp(), discriminator(states)[:, 0].exp()
    return generator, discriminator, p, w


def assert_law(x: Tensor, expected: Tensor) -> None:
    frequencies = torch.bincount((x * PLACE).sum(-1), minlength=27) / len(x)
    # As many particles are not infinitely many: within the errors of half as many samples.
    assert ((frequencies - expected).abs() <= 5 * (expected * (1 - expected) / (len(x) / 2)).sqrt()).all()


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("end", [None, END])
def test_the_mean_weight_is_unbiased(end: int | None, wrong: bool) -> None:
    generator, discriminator, p, w = problem(end, wrong=wrong)
    num, groups = 6, 10_000
    with torch.no_grad():
        prefixes = Prefixes(generator(generator.latents(num * groups)), 1)
        found = filtered(prefixes, num, discriminator.steps, discriminator)
    mean = log_partition(found.log_w).exp()
    assert abs(float(mean.mean()) - float((p * w).sum())) < 5 * float(mean.std()) / math.sqrt(groups)
    assert torch.equal(found.log_ratio, discriminator(found.tokens))
    equal = (found.log_w - found.log_ratio).std(dim=0) < 1e-9  # nothing was resampled on the way
    assert 0.05 < equal.double().mean() < 0.9
    # The weighted particles have the law of the reweighted model, up to Z.
    weighted = torch.zeros(27, dtype=torch.float64)
    weighted.index_add_(0, (found.tokens * PLACE).sum(-1).flatten(), found.log_w.exp().flatten() / num / groups)
    assert (weighted - p * w).abs().max() < 0.05 * (p * w).sum()


@pytest.mark.parametrize("wrong", [False, True])
def test_many_particles_are_draws_of_the_reweighted_model(wrong: bool) -> None:
    generator, discriminator, p, w = problem(END, wrong=wrong)
    model = Reweighted(generator, discriminator, method="smc", candidates=100)
    draws = model.sample(1000)
    expected = p * w / (p * w).sum()
    assert_law(draws.samples, expected)
    assert (expected - p).abs().max() > 0.1
    assert abs(draws.diagnosis.log_partition - float((p * w).sum().log())) < 5 * draws.diagnosis.log_partition_error
    # The spread is that of log w(x), of whole sequences, however often they were resampled.
    assert draws.diagnosis.spread > 0.5 and math.isnan(draws.diagnosis.acceptance)


def test_prefixes_and_temperatures_are_those_of_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, discriminator, p, w = problem(END, wrong=False)
    model = Reweighted(generator, discriminator, method="smc", candidates=100)
    given = torch.arange(27) // 9 == 2
    expected = torch.where(given, p * w, 0) / (p * w)[given].sum()
    drawn = model(model.latents(500)).sample(prefix=torch.tensor([2]))
    assert_law(drawn, expected)
    rows, asked = torch.tensor([[0, 2], [2, 0], [1, 1]]), []
    monkeypatch.setattr(discriminator, "steps", lambda x: asked.append(x.shape) or Tables.steps(discriminator, x))
    drawn = model(model.latents(3)).sample((2,), prefix=rows)
    assert asked == [(100, 6, 2)]  # of prefixes that are all the same nothing is asked
    assert torch.equal(drawn[..., :2], rows.expand(2, 3, 2)) and drawn[:, 2].eq(END).all()
    cold = model(model.latents(20)).sample(temperature=1e-6)
    assert len(cold.unique(dim=0)) == 1
    assert torch.equal(
        model(model.latents(4)).sample(prefix=torch.tensor([0, 2, 0])), torch.tensor([0, 2, 0]).expand(4, 3)
    )


def test_steps_of_another_shape_are_refused() -> None:
    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.float().sum(-1)

        steps = forward

    with pytest.raises(ValueError, match=r"steps: expected one output per token, shape \(5, 2, 1\), got \(5, 2\)"):
        Reweighted(RecurrentGenerator(3, 3, end=None), Last(), method="smc").sample(2)


class OfClass(nn.Module):
    """A generator or discriminator of one class alone."""

    def __init__(self, module: nn.Module, label: int) -> None:
        super().__init__()
        self.module, self.label, self.latent_dim = module, label, 0

    def latents(self, num: int) -> Tensor:
        return torch.zeros(num, 0)

    def decode(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> object:
        return self.module(x, torch.full((x.shape[-2] if x.dim() > 2 else len(x),), self.label))

    def steps(self, x: Tensor) -> Tensor:
        return self.module.steps(x, torch.full((x.shape[1],), self.label))  # type: ignore[operator]


def test_particles_of_a_class_are_those_of_its_own_networks() -> None:
    torch.manual_seed(1)
    generator = RecurrentGenerator(K, D, end=END, hidden=4, num_classes=2)
    discriminator = RecurrentDiscriminator(K, D, end=END, hidden=4, num_classes=2)
    nn.init.normal_(discriminator.classes.directions, std=30.0)  # type: ignore[arg-type]
    whole = Reweighted(generator, discriminator, method="smc", candidates=8)
    drawn = [whole.sample(300, seed=2, label=label)[0] for label in (0, 1)]
    for label, found in enumerate(drawn):
        alone = Reweighted(OfClass(generator, label), OfClass(discriminator, label), method="smc", candidates=8)
        assert torch.equal(found, alone.sample(300, seed=2)[0])
    assert not torch.equal(*drawn)
