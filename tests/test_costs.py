"""Operations of a generator step, counted, beside the formulas of docs/scaling.md."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from discrete_gan.estimators import parse_estimator
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import MLPDiscriminator, MLPGenerator

B, M, D = 8, 6, 50


class Operations(TorchDispatchMode):
    """Counts those of products; torch's own counter follows modules too, which gradients within a step do not allow."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        counted = flop_registry.get(func.overloadpacket)
        self.count += counted(*args, **(kwargs or {}), out_val=out) if counted else 0
        return out


def of_layers(network: nn.Module) -> list[int]:
    """Weights of each layer."""
    return [layer.weight.numel() for layer in network.modules() if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize(
    ("spec", "scored", "differentiated", "products"),
    [
        (f"boundary-seeking:num_samples={M}", M, 0, M),
        (f"reinforce:num_samples={M},baseline=leave-one-out", M, 0, 3 * M),
        (f"disarm:num_samples={M}", 2 * M, 0, 0),
        (f"boundary-seeking-cv:num_samples={M}", M + 1, 1, 2 * M),
        (f"straight-through:num_samples={M}", M, M, 0),
        (f"gumbel-softmax:num_samples={M}", M, M, 0),
        (f"st-gumbel-softmax:num_samples={M}", M, M, 0),
    ],
)
def test_operations_of_a_step_are_those_of_the_formula(
    spec: str, scored: int, differentiated: int, products: int
) -> None:
    """2 B (3 G - G_1) of the generator, 2 B W for each evaluation of the discriminator and as many for its gradient."""
    generator, discriminator = MLPGenerator(5, D, hidden=(7, 11)), MLPDiscriminator(D, hidden=(13, 4))
    estimate: Callable[..., Tensor] = parse_estimator(spec)
    z = generator.latents(B)
    with Operations() as counted:
        estimate(generator, discriminator, z).mean().backward()
    first, *_ = of_layers(generator)
    of_generator = 3 * sum(of_layers(generator)) - first
    of_discriminator = (scored + differentiated) * sum(of_layers(discriminator))
    assert counted.count == 2 * B * (of_generator + of_discriminator + products * D)


def test_operations_of_the_discriminator_with_its_penalty() -> None:
    discriminator = MLPDiscriminator(D, hidden=(13, 4))
    real, fake = torch.rand(B, D).requires_grad_(), torch.rand(B, D)
    with Operations() as counted:
        raw_real, raw_fake = discriminator(real), discriminator(fake)
        penalty = gradient_penalty(raw_real, real).mean()
        (raw_fake.mean() - raw_real.mean() + penalty).backward()
    first, *_, last = of_layers(discriminator)
    assert counted.count == 2 * B * (9 * sum(of_layers(discriminator)) - first - last)


def test_no_operation_depends_on_what_was_drawn() -> None:
    """Counts of two seeds agree: nothing is skipped or done again."""
    counts = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        generator, discriminator = MLPGenerator(5, D), MLPDiscriminator(D)
        with Operations() as counted:
            parse_estimator("boundary-seeking")(generator, discriminator, generator.latents(B)).mean().backward()
        counts.append(counted.count)
    assert counts[0] == counts[1]
