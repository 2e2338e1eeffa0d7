"""The exact gradient against sums over all states by hand."""

import pytest
import torch

from discrete_gan.estimators import Exact
from discrete_gan.estimators.exact import ExactObjective
from tests.problems import (
    PROBLEMS,
    Problem,
    SmoothDiscriminator,
    TableGenerator,
    assert_exact,
    sample_gradient,
    seeded_normal,
)

OBJECTIVES: list[ExactObjective] = ["reweighted", "log-ratio", "non-saturating"]


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_equals_the_sum_by_hand(problem: Problem, objective: ExactObjective) -> None:
    # Latents of their own logits, so that no sum may run over them.
    others = seeded_normal(2, *problem.logits.shape, seed=20)
    generator = TableGenerator(torch.cat([problem.logits[None], others]))
    loss = Exact(objective)(generator, problem.discriminator(), torch.arange(3))
    (gradient,) = torch.autograd.grad(loss.sum(), generator.logits)
    for logits, found in zip(generator.logits.detach(), gradient, strict=True):
        one = Problem(logits, problem.states, problem.log_w)
        expected = one.forward_kl_gradient() if objective == "reweighted" else sample_gradient(one, objective)
        assert_exact(found, expected)


@pytest.mark.parametrize(("event", "size"), [((17,), r"2\^17"), ((11, 3), r"3\^11"), ((1, 65537), r"65537\^1")])
def test_too_many_values_are_an_error(event: tuple, size: str) -> None:
    generator = TableGenerator(torch.zeros(1, *event))
    with pytest.raises(ValueError, match=rf"^Exact: expected at most 65536 values of x, got {size}$"):
        Exact()(generator, SmoothDiscriminator(torch.Size(event)), torch.zeros(1).long())


@pytest.mark.parametrize("event", [(16,), (4, 16)], ids=["binary", "one-hot"])
def test_as_many_as_allowed_are_summed(event: tuple) -> None:
    generator = TableGenerator(seeded_normal(1, *event))
    discriminator = SmoothDiscriminator(torch.Size(event), hidden=0)
    loss = Exact("log-ratio")(generator, discriminator, torch.zeros(1).long())
    (gradient,) = torch.autograd.grad(loss.sum(), generator.logits)
    # E_g[-w'x] is -w' times the mean
    mean = torch.sigmoid(generator.logits) if len(event) == 1 else torch.softmax(generator.logits, dim=-1)
    (expected,) = torch.autograd.grad(-(discriminator(mean)).sum(), generator.logits)
    assert_exact(gradient, expected, rtol=1e-9, atol=1e-11)  # rounding of 65,536 terms
