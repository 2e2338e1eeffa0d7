"""Saving and loading of models in the layout of the Hugging Face Hub."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

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

    A folder holds ``config.json`` (the constructor's arguments) and ``model.safetensors``.
    """


class Generator(HubModel):
    """A generator g(x | z) with standard normal latents; its forward maps z to a distribution of x."""

    latent_dim: int

    def latents(self, num: int) -> Tensor:
        """Standard normal z, shape (num, latent_dim), on the generator's device."""
        return torch.randn(num, self.latent_dim, device=next(self.parameters()).device)
