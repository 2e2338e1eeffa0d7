"""The two networks of a reweighted model: what is drawn from one and weighted by the other."""

import inspect
import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.errors import InputError
from discrete_gan.sampling import evaluating, labels_in_turn, num_classes_of
from discrete_gan.seeds import seeded

_Self = TypeVar("_Self", bound="Networks")


class Networks(nn.Module):
    """A generator, and a discriminator with its calibration.

    Args:
        generator: As of :class:`~discrete_gan.reweighted.Reweighted`.
        discriminator: As there.
        scale: As there.
        offset: As there.

    Raises:
        ValueError: If scale or offset are not finite, or a network is none.
    """

    def __init__(self, generator: Generator, discriminator: Discriminator, scale: float, offset: float) -> None:
        super().__init__()
        if not (math.isfinite(scale) and math.isfinite(offset)):
            raise ValueError(f"scale, offset: expected finite numbers, got {scale}, {offset}")
        if lacking := [name for name in ("latents", "latent_dim", "decode") if not hasattr(generator, name)]:
            raise ValueError(f"generator: expected one with {', '.join(lacking)}, got {type(generator).__name__}")
        if not hasattr(discriminator, "forward"):
            raise ValueError(f"discriminator: expected a module, got {type(discriminator).__name__}")
        self.generator, self.discriminator = generator, discriminator
        self.scale, self.offset = scale, offset
        self.latent_dim, self.num_classes = generator.latent_dim, num_classes_of(generator)
        self._takes_labels = "labels" in inspect.signature(discriminator.forward).parameters
        self._of_event: int | None = None

    def train(self: _Self, mode: bool = True) -> _Self:
        """Stay as it is: its networks keep their modes."""
        return self

    def latents(self, num: int) -> Tensor:
        """Draws of z, shape (num, latent_dim), as of the generator."""
        return self.generator.latents(num)

    def decode(self, x: Tensor) -> Tensor:
        """Samples as the data look, as of the generator."""
        return self.generator.decode(x)

    def given(self, z: Tensor, labels: Tensor | None) -> Any:
        """The generator's own distribution of latents (B, latent_dim), and classes (B,) if any, batch shape (B,)."""
        return self.generator(z) if labels is None else self.generator(z, labels)

    def log_ratio(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Calibrated log w(x) in nats.

        Args:
            x: Samples, shape (..., *event), as the generator draws them.
            labels: Their classes, shape (B,) for samples (..., B, *event); for a discriminator that takes them.

        Returns:
            Shape (...), at least float32. Gradients reach ``x`` and the discriminator.

        Raises:
            ValueError: If the discriminator has more than one output for each sample.
        """
        with evaluating(self.discriminator):
            return self.log_ratio_of(x, labels, self._event_dim())

    def log_ratio_of(self, x: Tensor, labels: Tensor | None, event_dim: int) -> Tensor:
        """The same of events of so many axes, in the mode that the discriminator is in."""
        given = (labels,) if self._takes_labels and labels is not None else ()
        raw, expected = self.discriminator(x, *given), tuple(x.shape[: x.dim() - event_dim])
        if not isinstance(raw, Tensor) or raw.shape != expected:
            got = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
            raise InputError(f"discriminator: expected one output per sample, shape {expected}, got {got}")
        return self.scale * at_least_float32(raw) + self.offset

    def prefix_ratios(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Log-ratios of all prefixes of tokens (N, R, t), the same shape, of classes (R,) if any."""
        given = (labels,) if self._takes_labels and labels is not None else ()
        raw = self.discriminator.steps(tokens, *given)  # type: ignore[attr-defined]
        if raw.shape != tokens.shape:
            raise InputError(
                f"steps: expected one output per token, shape {tuple(tokens.shape)}, got {tuple(raw.shape)}"
            )
        return self.scale * at_least_float32(raw) + self.offset

    def pilot(self, num: int) -> tuple[Tensor, Tensor | None]:
        """Latents, and classes in turn."""
        z = self.generator.latents(num)
        return z, labels_in_turn(self.num_classes, torch.arange(num, device=z.device)) if self.num_classes else None

    def _event_dim(self) -> int:
        """Axes of a sample: found out once."""
        if self._of_event is None:
            with torch.no_grad(), evaluating(self.generator), seeded("pilot"):
                self._of_event = len(self.given(*self.pilot(1)).event_shape)
        return self._of_event


def options_of_rows(options: dict[str, Any], rows: Tensor, num: int) -> dict[str, Any]:
    """The options of some rows of so many copies of the latents."""
    if (prefix := _of_each(options)) is not None:
        return {**options, "prefix": prefix.repeat(num, 1)[rows]}
    return options


def options_of_group(options: dict[str, Any], group: int) -> dict[str, Any]:
    """The options of so many candidates."""
    prefix = _of_each(options)
    return options if prefix is None else {**options, "prefix": prefix.repeat(group, 1)}


def _of_each(options: dict[str, Any]) -> Tensor | None:
    """The prefix, if there is one for each latent."""
    prefix = options.get("prefix")
    return prefix if isinstance(prefix, Tensor) and prefix.dim() == 2 else None
