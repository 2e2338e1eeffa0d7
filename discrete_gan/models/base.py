"""What models share: saving and loading in the layout of the Hugging Face Hub, latents, samples as the data look."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from discrete_gan.models.saved import check_finite, check_fits

if TYPE_CHECKING:
    from huggingface_hub import PyTorchModelHubMixin
else:
    try:
        from huggingface_hub import PyTorchModelHubMixin
    except ImportError:  # the library alone is torch and numpy: models work, saving needs the train extra

        class PyTorchModelHubMixin:
            """Stands in where huggingface_hub is not installed."""

            def __init_subclass__(cls, **kwargs: object) -> None:
                super().__init_subclass__()

            def save_pretrained(self, *args: object, **kwargs: object) -> None:
                """Refuse with the remedy."""
                raise ImportError("saving and loading models needs: pip install 'discrete-gan[train]'")

            from_pretrained = classmethod(save_pretrained)


class HubModel(nn.Module, PyTorchModelHubMixin, library_name="discrete-gan", license="apache-2.0"):
    """A module with ``save_pretrained(folder)`` and ``from_pretrained(folder_or_hub_name)``.

    A folder holds ``config.json`` (the constructor's arguments) and ``model.safetensors``. Weights that are not those
    of the model, every one of them, or not finite are a ``ValueError`` that names the first.
    """

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> Self:
        # What the hub's own takes beside the arguments of the constructor.
        own = inspect.signature(super()._from_pretrained).parameters
        file = Path(model_id) / "model.safetensors"
        if file.is_file():
            check_fits(file, lambda: cls(**{name: value for name, value in options.items() if name not in own}))
        strictly: dict[str, Any] = {"strict": True} | options
        model = super()._from_pretrained(model_id=model_id, **strictly)
        check_finite(model_id, model)
        return model


class Generator(HubModel):
    """A generator g(x | z) that states the prior of its latents; its forward maps z to a distribution of x.

    A generator with another prior than the standard normal one overrides :attr:`prior` and nothing else.
    """

    latent_dim: int

    @property
    def prior(self) -> Distribution:
        """What z is drawn from, event shape (latent_dim,), on the generator's device: standard normal."""
        zeros = torch.zeros(self.latent_dim, device=next(self.parameters()).device)
        # A check of the arguments would wait for the device.
        return Independent(Normal(zeros, zeros + 1, validate_args=False), 1, validate_args=False)

    def latents(self, num: int) -> Tensor:
        """Draws of z from the prior, shape (num, latent_dim). No gradient."""
        prior = self.prior
        with torch.no_grad():
            # The same draws either way; but a normal distribution's sample() waits for the device, to check its scale.
            return prior.rsample((num,)) if prior.has_rsample else prior.sample((num,))

    def decode(self, x: Tensor) -> Tensor:
        """Samples as the data look: bits, categories and tokens are what they are.

        Args:
            x: Shape (N, *event), as the distribution draws them.

        Returns:
            Bits (N, D), one-hot categories (N, D, K) or token indices (N, D), the same tensor; of images whose samples
            are no pixels in [0, 1], subclasses return these, flat, channel first, shape (N, C * H * W).
        """
        return x


class PixelGenerator(Generator):
    """A generator of continuous pixels: what those that end in :func:`squashing` share.

    Attributes:
        pixel_range: The least and the largest pixel, (-1, 1) or (0, 1).
    """

    pixel_range: tuple[float, float]

    def decode(self, x: Tensor) -> Tensor:
        """Pixels of ``pixel_range`` as those of [0, 1], the same shape."""
        low, high = self.pixel_range
        return (x - low) / (high - low)


_SQUASHING: dict[str, tuple[tuple[float, float], type[nn.Module]]] = {
    "tanh": ((-1, 1), nn.Tanh),
    "sigmoid": ((0, 1), nn.Sigmoid),
}


def squashing(pixel_range: Sequence[float], activation: str | None = None) -> nn.Module:
    """The last layer of a generator of continuous pixels: what maps the real line to their range.

    Args:
        pixel_range: (-1, 1) or (0, 1).
        activation: ``"tanh"`` or ``"sigmoid"``; the one that fits if not given.

    Raises:
        ValueError: If the range is another one, or is not that of the activation.
    """
    fitting = next((name for name, (limits, _) in _SQUASHING.items() if limits == tuple(pixel_range)), None)
    if fitting is None:
        raise ValueError(f"pixel_range: expected -1 1 (tanh) or 0 1 (sigmoid), got {_spaced(pixel_range)}")
    if activation is not None and activation not in _SQUASHING:
        raise ValueError(f"activation: expected tanh or sigmoid, got {activation}")
    if activation not in (None, fitting):
        limits = _spaced(_SQUASHING[activation][0])
        raise ValueError(
            f"activation {activation} gives pixels in {limits}, which contradicts pixel_range "
            f"{_spaced(pixel_range)}: change to pixel_range {limits} or activation {fitting}"
        )
    return _SQUASHING[fitting][1]()


def _spaced(limits: Sequence[float]) -> str:
    return " ".join(f"{limit:g}" for limit in limits)
