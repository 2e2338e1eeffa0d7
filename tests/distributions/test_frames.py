"""Sequences of frames against enumeration: a law that sums to one, its draws, its prefixes, its relaxation."""

from typing import Any

import pytest
import torch
from torch import Tensor

from discrete_gan.distributions import FrameSequence
from discrete_gan.models import FrameGenerator
from tests.problems import assert_exact

SIZES, T = (2, 3), 3
WITHIN = pytest.mark.parametrize("within", ["autoregressive", "factorized"])
LATENT = pytest.mark.parametrize("latent_dim", [0, 2])


def generator_of(within: Any = "autoregressive", latent_dim: int = 0, ends: bool = True) -> FrameGenerator:
    torch.manual_seed(0)
    options = {"hidden": 5, "num_layers": 2, "width": 6, "ends": ends}
    generator = FrameGenerator(SIZES, T, latent_dim, within=within, **options).double()
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return generator


def law(within: Any = "autoregressive", latent_dim: int = 0, num: int = 2) -> FrameSequence:
    generator = generator_of(within, latent_dim)
    return generator(generator.latents(num).double())


def ended(x: Tensor) -> Tensor:
    return x[..., 0] == 1


@WITHIN
@LATENT
def test_all_sequences_sum_to_one(within: Any, latent_dim: int) -> None:
    g = law(within, latent_dim)
    every = g.enumerate_support()
    assert every.shape == (6 + 36 + 216, 2, T, 3)
    assert len({tuple(row.flatten().tolist()) for row in every[:, 0]}) == len(every)
    log_prob = g.log_prob(every)
    assert_exact(log_prob.exp().sum(dim=0), torch.ones(2, dtype=torch.float64))
    assert g.enumerate_support(expand=False).shape == (258, 1, T, 3)
    if latent_dim:
        assert (log_prob[:, 0] - log_prob[:, 1]).abs().min() > 0
    else:
        assert_exact(log_prob[:, 0], log_prob[:, 1])


@WITHIN
def test_draws_follow_the_law(within: Any) -> None:
    g = law(within, num=1)
    num = 40_000
    x = g.sample((num,))
    assert (x.shape, x.dtype) == ((num, 1, T, 3), torch.int64)
    every = g.enumerate_support()
    place = {tuple(row.flatten().tolist()): index for index, row in enumerate(every[:, 0])}
    counts = torch.zeros(len(every), dtype=torch.float64)
    for row in x.flatten(1).tolist():
        counts[place[tuple(row)]] += 1
    probs = g.log_prob(every)[:, 0].exp().detach()
    often = num * probs > 30  # where counts are about normal
    assert often.sum() > 30
    counts, probs = (torch.cat([each[often], each[~often].sum()[None]]) for each in (counts, probs))
    error = (counts / num - probs) / (probs * (1 - probs) / num).sqrt()
    assert error.abs().max() < 4.5  # deviations
    assert error.square().mean().item() == pytest.approx(1, abs=0.5)


def test_steps_are_conditionals_of_marginals() -> None:
    """The log-probabilities of the first frames sum to that of the prefix, marginalized over what follows."""
    g = law(num=1)
    every = g.enumerate_support()
    steps, whole = g.step_log_prob(every)[:, 0], g.log_prob(every)[:, 0]
    for length in (1, 2):
        prefixes = [tuple(row.flatten().tolist()) for row in every[:, 0, :length]]
        for prefix in set(prefixes):
            same = torch.tensor([each == prefix for each in prefixes])
            found = steps[same, :length].sum(dim=1)
            assert_exact(found, whole[same].exp().sum().log().expand(len(found)))


def test_what_comes_after_the_end_does_not_matter() -> None:
    g = law()
    x = g.sample((200,))
    over = ended(x)
    assert over.any() and not over[..., 0].any()
    assert (x[over] == torch.tensor([1, 0, 0])).all()
    noise = x.clone()
    after = torch.nn.functional.pad(over[..., :-1], (1, 0))
    noise[after] = torch.tensor([0, 1, 2])  # not even that it has ended
    noise[over & ~after] = torch.tensor([1, 1, 2])
    assert_exact(g.log_prob(noise), g.log_prob(x))
    assert (g.step_log_prob(x)[after] == 0).all()
    nothing = x.clone()
    nothing[..., 0, 0] = 1
    assert (g.log_prob(nothing) == -torch.inf).all()  # a sequence has a frame


def test_none_ends_where_none_may() -> None:
    generator = generator_of(ends=False)
    g = generator(generator.latents(500).double())
    assert not ended(g.sample()).any()
    whole = g.enumerate_support()[(6 + 36) :, :1]
    one = generator(generator.latents(1).double())
    assert_exact(one.log_prob(whole).exp().sum(), torch.tensor(1.0, dtype=torch.float64))


@WITHIN
def test_gradient_is_that_of_differences(within: Any) -> None:
    generator = generator_of(within, 2)
    z = generator.latents(2).double().requires_grad_()
    x = generator(z).sample((3,))
    names = dict(generator.named_parameters())
    assert torch.autograd.gradcheck(lambda z: generator(z).log_prob(x), (z,))
    generator(z).log_prob(x).sum().backward()
    assert all(value.grad is not None for value in names.values())


@WITHIN
@pytest.mark.parametrize("hard", [False, True])
def test_relaxed_sequences(within: Any, hard: bool) -> None:
    """Points of the simplices, one-hot sequences of the law itself where they are hard, with a gradient to z."""
    generator = generator_of(within, 2)
    z = generator.latents(1).double().requires_grad_()
    g = generator(z)
    x = g.rsample((4000,), temperature=0.7, hard=hard)
    assert x.shape == (4000, 1, T, 2 + 2 + 3)
    for start, size in ((0, 2), (2, 2), (4, 3)):
        assert_exact(x[..., start : start + size].sum(dim=-1), torch.ones(4000, 1, T, dtype=torch.float64))
    assert x.min() > -1e-9
    assert torch.autograd.grad(x[..., 2:].square().sum(), z)[0].abs().min() > 0
    if hard:
        values = torch.stack([part.argmax(dim=-1) for part in x.split([2, 2, 3], dim=-1)], dim=-1)
        assert_exact(g.to_one_hot(values), x.detach().round())
        every = g.enumerate_support()
        known = {tuple(row.flatten().tolist()) for row in every[:, 0]}
        assert all(tuple(row) in known for row in values.flatten(1).tolist())
        lengths = (~ended(values)).sum(dim=-1).double()
        log_prob = g.log_prob(every)[:, 0].exp().detach()
        expected = (log_prob * (~ended(every[:, 0])).sum(dim=-1)).sum()
        assert abs(float(lengths.mean() - expected)) < 4 * float(lengths.std()) / 4000**0.5


def test_errors_name_the_argument() -> None:
    g = law()
    with pytest.raises(ValueError, match=r"value: expected integers of a shape ending in \(2, 3, 3\), got \(5, 2, 3\)"):
        g.log_prob(torch.zeros(5, 2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="value: expected integers"):
        g.log_prob(torch.zeros(2, 3, 3))
    with pytest.raises(ValueError, match="temperature"):
        g.rsample(temperature=0.0)
    with pytest.raises(ValueError, match="z: expected shape"):
        FrameSequence(generator_of(), torch.zeros(2))
    with pytest.raises(ValueError, match="within: expected autoregressive or factorized, got 'both'"):
        FrameGenerator(SIZES, T, within="both")  # type: ignore[arg-type]
