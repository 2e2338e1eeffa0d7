"""What models share: saving and loading in the layout of the Hugging Face Hub, latents, samples as the data look."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from discrete_gan.models.loading import load_strictly

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


_CARD = """---
library_name: discrete-gan
---
# {name}

{about}

```python
from {module} import {name}

model = {name}.from_pretrained("FOLDER").eval()  # the folder of this file
```

Of a run, `discrete_gan.load("RUN")` gives generator, discriminator and what makes lines, images or rows
of what the generator draws; `discrete-gan sample RUN` draws on the command line. Its arguments:

```json
{options}
```
"""


class HubModel(nn.Module, PyTorchModelHubMixin, library_name="discrete-gan", license="apache-2.0"):
    """A module with ``save_pretrained(folder)`` and ``from_pretrained(folder_or_hub_name)``.

    A folder holds ``config.json`` (the constructor's arguments) and ``model.safetensors``. Loading is strict: see
    :mod:`discrete_gan.models.loading`. Nothing is ever unpickled.
    """

    def generate_model_card(self, *_: object, **__: object) -> Any:
        """What the folder's README.md says: what the model is, and how it is loaded."""
        from huggingface_hub import ModelCard

        kind = type(self)
        about = (kind.__doc__ or "").strip().partition("\n")[0]
        module = "discrete_gan.models" if kind.__module__.startswith("discrete_gan.models") else kind.__module__
        options = json.dumps(getattr(self, "_hub_mixin_config", {}), indent=1, default=str)
        return ModelCard(_CARD.format(name=kind.__name__, about=about, module=module, options=options))

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, map_location: str = "cpu", strict: bool = True, **options: Any
    ) -> "HubModel":
        download = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        place = {name: options.pop(name) for name in download if name in options}
        file = Path(model_id) / "model.safetensors"
        if not Path(model_id).is_dir():
            from huggingface_hub import hf_hub_download

            file = Path(hf_hub_download(model_id, "model.safetensors", **place))
        return load_strictly(lambda: cls(**options), file, map_location)


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
