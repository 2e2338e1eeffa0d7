"""What the package asks of a generator and of a discriminator: types, not base classes.

Any ``torch.nn.Module`` with these methods is one; :class:`discrete_gan.models.Generator` has all but ``forward``.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from torch import Tensor, nn


class Network(Protocol):
    """What is asked of both: methods that every ``nn.Module`` has."""

    training: bool

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The weights."""
        ...

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The weights, by name."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Set the mode of layers that differ in training."""
        ...

    def eval(self) -> Any:
        """Leave training mode."""
        ...

    def to(self, device: Any) -> Any:
        """Move the weights there, and return itself."""
        ...

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Whether the weights are trained."""
        ...


class Conditional(Network, Protocol):
    """g(x | z): all that an estimator asks of a generator."""

    def __call__(self, z: Tensor, *labels: Tensor) -> Any:
        """A distribution of batch shape (B,) from latents, shape (B, latent_dim); of given ``labels``, shape (B,)."""
        ...


class Discriminator(Network, Protocol):
    """Log-ratios of samples: positive means real."""

    @property
    def forward(self) -> Callable[..., Any]:
        """What a call does; whether it has a parameter ``labels`` is looked up."""
        ...

    def __call__(self, x: Tensor, *labels: Tensor) -> Tensor:
        """Raw outputs in nats, shape (...), of samples (..., *event): log p_data(x) - log p_g(x), as learnt."""
        ...


class Generator(Conditional, Protocol):
    """A generator that samples can be drawn from and looked at."""

    latent_dim: int

    def latents(self, num: int) -> Tensor:
        """Draws of z, shape (num, latent_dim)."""
        ...

    def decode(self, x: Tensor) -> Tensor:
        """Samples as the data look: pixels in [0, 1] or token indices. No sample of theirs is looked at otherwise."""
        ...


class Encoder(Network, Protocol):
    """A recognition network: what proposes latents for data."""

    def posterior(self, x: Tensor) -> Any:
        """q(z | x), a distribution of batch shape (N,) from data, shape (N, *event), as the generator yields them."""
        ...
