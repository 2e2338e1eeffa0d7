"""Random streams, and samples drawn from them; of conditional generators the classes in turn, or one asked for."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.distributions import FactorizedBernoulli, PointMass
from discrete_gan.errors import InputError
from discrete_gan.models import AutoregressiveTableGenerator, MLPGenerator, RecurrentGenerator
from discrete_gan.sampling import evaluating, generate, negative_log_likelihood, num_classes_of
from discrete_gan.seeds import derive_seed, generator_of, seeded, word_seed


def test_streams_differ_and_repeat() -> None:
    parts = [(seed, rank, step) for seed in range(3) for rank in range(3) for step in range(3)]
    assert len({derive_seed(*part) for part in parts}) == len(parts)
    assert derive_seed(0, 1, 2) == derive_seed(0, 1, 2)
    assert all(0 <= derive_seed(*part) < 2**63 for part in parts)


def test_seeded_draws_leave_the_outer_stream_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    with seeded(1, "inside"):
        first = torch.rand(4)
    with seeded(1, "inside"):
        assert torch.equal(torch.rand(4), first)
    assert torch.equal(torch.rand(4), expected)


def test_generate_is_repeatable_and_touches_nothing() -> None:
    generator = MLPGenerator(4, 16, hidden=(8,))
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    state = torch.get_rng_state()
    samples = generate(generator, 25, seed=3, batch_size=10)
    assert samples.shape == (25, 16) and set(samples.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(samples, generate(generator, 25, seed=3, batch_size=10))
    assert not torch.equal(samples, generate(generator, 25, seed=4, batch_size=10))
    assert generator.training and torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(dict(generator.state_dict()), before, rtol=0, atol=0)


def test_evaluation_mode_ends_with_the_mode_it_began_with() -> None:
    training, evaluated = nn.Dropout(), nn.Dropout().eval()
    try:
        with evaluating(training, evaluated):
            assert not training.training and not evaluated.training
            raise ZeroDivisionError
    except ZeroDivisionError:
        assert training.training and not evaluated.training


def test_samples_are_converted_batch_by_batch() -> None:
    generator, seen = MLPGenerator(4, 16, hidden=(8,)), []

    def first(samples: Tensor) -> Tensor:
        seen.append(len(samples))
        return samples[:, 0]

    found = generate(generator, 25, batch_size=10, convert=first)
    assert seen == [10, 10, 5]
    assert torch.equal(found, generate(generator, 25, batch_size=10)[:, 0])


class Echo(nn.Module):
    """Each sample is its latent and its label."""

    num_classes = 3
    latent_dim = 1

    def decode(self, x: Tensor) -> Tensor:
        return x

    def latents(self, num: int) -> Tensor:
        return torch.randn(num, 1)

    def forward(self, z: Tensor, labels: Tensor) -> PointMass:
        return PointMass(torch.cat([z, labels[:, None].to(z.dtype)], dim=1))


def test_classes_in_turn() -> None:
    samples = generate(Echo(), 11, batch_size=4)
    assert samples[:, 1].tolist() == [0, 1, 2] * 3 + [0, 1]
    assert generate(Echo(), 5, label=[2, 0], batch_size=4)[:, 1].tolist() == [2, 0, 2, 0, 2]
    assert num_classes_of(Echo()) == 3 and num_classes_of(nn.Linear(1, 1)) == 0


def test_the_class_that_is_asked_for_at_the_same_latents() -> None:
    of_class, in_turn = generate(Echo(), 11, label=1, batch_size=4), generate(Echo(), 11, batch_size=4)
    assert of_class[:, 1].tolist() == [1] * 11
    assert torch.equal(of_class[:, 0], in_turn[:, 0])


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64, -(2**70)])
def test_every_whole_number_is_a_seed(seed: int) -> None:
    drawn = torch.rand(4, generator=generator_of(seed))
    assert torch.equal(drawn, torch.rand(4, generator=generator_of(seed)))
    assert not torch.equal(drawn, torch.rand(4, generator=generator_of(seed + 1)))
    assert 0 <= word_seed(seed) < 2**32 and word_seed(seed) != word_seed(seed + 1)


def test_seeds_that_fit_are_taken_as_they_are() -> None:
    assert [word_seed(seed) for seed in (0, 7, 2**32 - 1)] == [0, 7, 2**32 - 1]
    assert generator_of(-5).initial_seed() == torch.Generator().manual_seed(-5).initial_seed()


class _Overflowing(MLPGenerator):
    """Finite weights whose products are not."""

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Any:
        logits = super().forward(z).logits
        return FactorizedBernoulli(logits * torch.where(torch.arange(len(z))[:, None] == 7, torch.nan, 1.0))


def test_probabilities_that_are_not_numbers_are_named() -> None:
    torch.manual_seed(0)
    generator = _Overflowing(4, 16, hidden=(8,))
    assert generate(generator, 7).isfinite().all()
    with pytest.raises(InputError, match=r"^generator: its probabilities are not numbers \(NaN\)"):
        generate(generator, 8)


def test_points_that_are_not_numbers_are_named() -> None:
    class Points(MLPGenerator):
        def forward(self, z: Tensor, labels: Tensor | None = None) -> Any:
            return PointMass(super().forward(z).logits / 0)

    with pytest.raises(InputError, match=r"^generator: its probabilities are not numbers"):
        generate(Points(4, 1, hidden=(8,)), 3, convert=lambda x: x * 0)


def test_sequences_whose_probabilities_are_not_numbers_are_named() -> None:
    generator = RecurrentGenerator(5, 4, end=4, latent_dim=2, hidden=3)
    assert generate(generator, 3).shape == (3, 4)
    with torch.no_grad():
        generator.output.weight.mul_(0).add_(3e38)
        generator.output.bias.fill_(-3e38)
        dict(generator.rnn.named_parameters())["bias_ih_l0"].fill_(
            30.0
        )  # hidden values of nearly one: their sum overflows
    with pytest.raises(InputError, match=r"^generator: its probabilities are not numbers"):
        generate(generator, 3)


def test_negative_log_likelihood_is_the_mean_over_data() -> None:
    """Of independent fair columns it is the logarithm of the number of values, however data are cut into batches."""
    generator = AutoregressiveTableGenerator(0, (2, 4), hidden=8, dropout=0.5)
    torch.nn.init.zeros_(generator.output.bias)
    rows = torch.tensor([[0, 3], [1, 1], [1, 0]])
    assert negative_log_likelihood(generator, rows, batch_size=2) == pytest.approx(math.log(8))
    generator.begin_at(rows[:1].repeat(1000, 1))
    low = negative_log_likelihood(generator, rows[:1])
    high = negative_log_likelihood(generator, rows[1:])
    assert low < 0.01 < high
    assert negative_log_likelihood(generator, rows, batch_size=2) == pytest.approx((low + 2 * high) / 3)
    assert generator.training
