"""Saving and loading of models in the layout of the Hugging Face Hub."""

from typing import TYPE_CHECKING

from torch import nn

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
