"""One battery for every estimator: what it returns, and whom its gradient reaches."""

import pytest
import torch
from torch import Tensor

from discrete_gan.estimators import ESTIMATORS, BoundarySeeking, Estimator, GumbelSoftmax, Reinforce, StraightThrough
from tests.problems import SmoothDiscriminator, TableGenerator, seeded_normal

B = 3
EVERY: list[Estimator] = [
    BoundarySeeking(4),
    BoundarySeeking(4, over="batch", zero_sum=False),
    BoundarySeeking(5, chunk_size=2),
    Reinforce(4),
    Reinforce(4, baseline="none"),
    Reinforce(4, baseline="moving-average"),
    GumbelSoftmax(),
    GumbelSoftmax(hard=True, num_samples=2, objective="log-ratio"),
    StraightThrough(num_samples=2),
]
BATTERY = pytest.mark.parametrize("estimator", EVERY, ids=repr)
EVENTS = pytest.mark.parametrize("event", [(4,), (2, 3)], ids=["binary", "one-hot"])


def test_battery_has_every_named_estimator() -> None:
    assert {type(estimator) for estimator in EVERY} == set(ESTIMATORS.values())


@BATTERY
@EVENTS
def test_gradient_reaches_the_generator_only(estimator: Estimator, event: tuple) -> None:
    generator, discriminator = TableGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    discriminator.output.requires_grad_(False)  # what was fixed before stays fixed
    loss = estimator(generator, discriminator, torch.arange(B))
    assert loss.shape == (B,)
    assert [p.requires_grad for p in discriminator.parameters()] == [True, False]
    loss.sum().backward()
    assert [p.grad for p in discriminator.parameters()] == [None, None]
    assert generator.logits.grad is not None
    assert bool((generator.logits.grad != 0).any())
    assert bool(generator.logits.grad.isfinite().all())


@pytest.mark.parametrize("estimator", [e for e in EVERY if isinstance(e, BoundarySeeking | Reinforce)], ids=repr)
def test_score_function_estimators_keep_no_graph_of_the_discriminator(estimator: Estimator) -> None:
    kept = []
    discriminator = SmoothDiscriminator(torch.Size((4,)))
    discriminator.register_forward_hook(lambda module, args, raw: kept.append(raw.requires_grad))
    estimator(TableGenerator(seeded_normal(B, 4)), discriminator, torch.arange(B))
    assert not any(kept)
    assert kept


@BATTERY
def test_each_loss_depends_on_its_own_latent(estimator: Estimator) -> None:
    generator, discriminator = TableGenerator(seeded_normal(B, 4)), SmoothDiscriminator(torch.Size((4,)))
    loss = estimator(generator, discriminator, torch.arange(B))
    (gradient,) = torch.autograd.grad(loss[1], generator.logits)
    assert (gradient != 0).any(dim=1).tolist() == [False, True, False]


@BATTERY
def test_discriminator_trains_again_after_an_error(estimator: Estimator) -> None:
    class Failing(SmoothDiscriminator):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("out of memory")

    discriminator = Failing(torch.Size((4,)))
    with pytest.raises(RuntimeError, match="out of memory"):
        estimator(TableGenerator(seeded_normal(B, 4)), discriminator, torch.arange(B))
    assert all(parameter.requires_grad for parameter in discriminator.parameters())
    assert torch.is_grad_enabled()


@BATTERY
def test_the_call_that_makes_it_is_its_text(estimator: Estimator) -> None:
    assert repr(eval(repr(estimator))) == repr(estimator)
