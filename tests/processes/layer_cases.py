"""Layers that look at more than one sample, behind a first layer that needs its gradient through them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from discrete_gan.distributed import average_gradients, mean_over_processes
from discrete_gan.estimators import DoubleCV
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import MinibatchDiscrimination, VirtualBatchNorm
from tests.problems import ColumnGenerator, seeded_normal
from tests.processes.spawn import one_stream, share

B, A, KERNELS, DIM = 8, 3, 2, 4


class Network(nn.Module):
    """A first layer and the one in question."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.first, self.layer = nn.Parameter(torch.eye(A).double()), layer
        with torch.no_grad():
            for seed, parameter in enumerate(layer.double().parameters()):
                parameter.copy_(seeded_normal(*parameter.shape, seed=seed, scale=0.5))

    def forward(self, x: Tensor, **options: Tensor) -> Tensor:
        return self.layer((x @ self.first).tanh(), **options).pow(3).sum(dim=-1)


def _minibatch(penalized: bool) -> tuple[nn.Module, Tensor]:
    network, x = Network(MinibatchDiscrimination(A, KERNELS, DIM)), share(seeded_normal(B, A, seed=1)).requires_grad_()
    raw = network(x)
    return network, gradient_penalty(raw, x) if penalized else raw


def _estimated() -> tuple[nn.Module, Tensor]:
    """A discriminator that compares samples: an estimator sees slopes of what all processes make of them."""
    discriminator = Network(MinibatchDiscrimination(A, KERNELS, DIM))
    generator = ColumnGenerator(seeded_normal(B, A))
    with one_stream():
        return generator, DoubleCV(3)(generator, discriminator, share(torch.arange(B)[:, None]))


def _norm(kept: bool) -> tuple[nn.Module, Tensor]:
    """The first batch is the reference, kept for the second one; or a reference is given, the same everywhere."""
    network, (first, second) = Network(VirtualBatchNorm(A)), (share(seeded_normal(B, A, seed=each)) for each in (1, 2))
    if kept:
        return network, network(first) + network(second)
    return network, network(second, reference=(seeded_normal(6, A, seed=3) @ network.first).tanh())


LAYERS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "MinibatchDiscrimination": lambda: _minibatch(False),
    "MinibatchDiscrimination, penalized": lambda: _minibatch(True),
    "MinibatchDiscrimination, estimated": _estimated,
    "VirtualBatchNorm, reference kept": lambda: _norm(True),
    "VirtualBatchNorm, reference given": lambda: _norm(False),
}


def layer_results(name: str) -> dict[str, Tensor]:
    """The loss, its gradients averaged over the processes, and the layer's buffers."""
    network, losses = LAYERS[name]()
    losses.mean().backward()
    average_gradients(network.parameters())
    gradients = {key: value.grad for key, value in network.named_parameters() if value.grad is not None}
    buffers = {f"state, {key}": value for key, value in network.named_buffers()}
    return {"mean": mean_over_processes(losses.mean()), **gradients, **buffers}
