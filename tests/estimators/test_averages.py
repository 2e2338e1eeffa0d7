"""What estimators keep from step to step survives a step that was not finite, and reaches nothing but themselves."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.estimators import ControlledBoundarySeeking, Estimator, Nvil, Reinforce, StepwiseReinforce
from discrete_gan.models import MLPDiscriminator, MLPGenerator, RecurrentDiscriminator, RecurrentGenerator


class Bad(nn.Module):
    """A discriminator one of whose outputs is what it is told, where it is told one."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.value: float | None = None

    def _spoilt(self, raw: Tensor) -> Tensor:
        if self.value is None:
            return raw
        return torch.cat([torch.full_like(raw.flatten()[:1], self.value), raw.flatten()[1:]]).view(raw.shape)

    def forward(self, x: Tensor) -> Tensor:
        return self._spoilt(self.discriminator(x))

    def steps(self, x: Tensor) -> Tensor:
        assert isinstance(self.discriminator, RecurrentDiscriminator)
        return self._spoilt(self.discriminator.steps(x))


def bits() -> tuple[nn.Module, Bad]:
    return MLPGenerator(2, 4, hidden=(5,)), Bad(MLPDiscriminator(4, hidden=(5,)))


def tokens() -> tuple[nn.Module, Bad]:
    return RecurrentGenerator(5, 4, end=4, latent_dim=2, hidden=3), Bad(RecurrentDiscriminator(5, 4, end=4, hidden=3))


ESTIMATORS: list[tuple[Callable[[], Estimator], Callable[[], tuple[nn.Module, Bad]]]] = [
    (lambda: Reinforce(4, baseline="moving-average"), bits),
    (lambda: Nvil(4, hidden=3, normalize=True), bits),
    (lambda: ControlledBoundarySeeking(4), bits),
    (lambda: StepwiseReinforce(4, baseline="moving-average"), tokens),
    (lambda: StepwiseReinforce(4, baseline="moving-average", reward="probability"), tokens),
]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("make", "networks"), ESTIMATORS)
def test_a_step_that_is_not_finite_does_not_count(
    make: Callable[[], Estimator], networks: Callable[[], tuple[nn.Module, Bad]], value: float
) -> None:
    torch.manual_seed(0)
    generator, discriminator = networks()
    estimator = make()
    assert isinstance(estimator, nn.Module)
    z = torch.randn(3, 2)
    estimator(generator, discriminator, z)
    before = {name: each.clone() for name, each in estimator.named_buffers()}
    assert any(bool(each.abs() > 0) for each in before.values())
    discriminator.value = value
    optimizer = torch.optim.SGD([*estimator.parameters(), nn.Parameter(torch.zeros(()))], lr=0.1)
    loss = estimator(generator, discriminator, z)
    loss.sum().backward()
    optimizer.step()  # what the estimator learns is not lost either
    assert all(bool(each.isfinite().all()) for each in estimator.parameters())
    finite = isinstance(estimator, StepwiseReinforce) and estimator.reward == "probability" and not math.isnan(value)
    for name, each in estimator.named_buffers():
        assert each.isfinite().all()
        assert finite or torch.equal(each, before[name])
    discriminator.value = None
    assert estimator(generator, discriminator, z).isfinite().all()
    assert any(not torch.equal(each, before[name]) for name, each in estimator.named_buffers())


class Constant(nn.Module):
    """Whose distribution does not depend on z."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = MLPGenerator(2, 4, hidden=(5,))

    def forward(self, z: Tensor) -> torch.distributions.Distribution:
        return self.generator(torch.zeros_like(z))


def test_the_criterion_of_a_learned_baseline_does_not_reach_the_latents() -> None:
    z = torch.randn(3, 2, requires_grad=True)
    estimator, discriminator = Nvil(4, hidden=3), MLPDiscriminator(4, hidden=(5,))
    loss = estimator(Constant(), discriminator, z).sum()
    (gradient,) = torch.autograd.grad(loss, z, allow_unused=True, retain_graph=True)
    assert gradient is None or not gradient.any()
    own = torch.autograd.grad(loss, list(estimator.parameters()))
    assert all(bool(each.any()) for each in own)
