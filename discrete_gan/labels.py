"""The classes of a batch, bound to a generator or a discriminator that takes them."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

from torch import Tensor, nn

_Network = TypeVar("_Network", bound=Callable[..., Any])


@overload
def labeled(module: _Network, labels: None) -> _Network: ...


@overload
def labeled(module: Callable[..., Any], labels: Tensor) -> nn.Module: ...


def labeled(module: Callable[..., Any], labels: Tensor | None) -> Callable[..., Any]:
    """A conditional generator or discriminator with the labels of a batch: what is called without them.

    Args:
        module: With a forward ``(x, labels)``.
        labels: Classes, int64, shape (B,); None leaves the module as it is.

    Returns:
        A module of the same parameters, for latents (B, latent_dim), or samples (..., B, *event), of these classes.
    """
    if labels is None:
        return module
    return (_LabeledSteps if hasattr(module, "steps") else _Labeled)(module, labels)


class _Labeled(nn.Module):
    def __init__(self, module: Callable[..., Any], labels: Tensor) -> None:
        super().__init__()
        self.module = module
        self.labels = labels

    def forward(self, x: Tensor) -> Any:
        return self.module(x, self.labels)


class _LabeledSteps(_Labeled):
    def steps(self, x: Tensor) -> Tensor:
        return self.module.steps(x, self.labels)  # type: ignore[attr-defined]
