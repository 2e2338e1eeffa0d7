"""Weights into a model: every tensor that it has and no other, of its shape and kind, and finite.

The shapes are compared before memory is taken: the model is first made on torch's meta device, where tensors have none.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.nn.parameter import is_lazy

M = TypeVar("M", bound=nn.Module)

_SPARE = 1000


def load_strictly(make: Callable[[], M], file: Path, device: str = "cpu") -> M:
    """A model with the weights of a file.

    Args:
        make: Makes the model.
        file: Of the safetensors format.
        device: Where to load.

    Raises:
        ValueError: If a tensor is missing, foreign, of another shape or kind, or not finite: it names the first one.
        SafetensorError: If the file is none.
    """
    from safetensors import safe_open

    with safe_open(file, framework="pt", device=device) as weights:
        names = list(weights.keys())
        with _at_most(10 * len(names) + _SPARE):
            shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in names}
            try:
                with torch.device("meta"):
                    outline = make()
            except (NotImplementedError, RuntimeError):  # a model that reads its own numbers while it is made
                outline = None
            if outline is not None:
                _compare(outline, shapes)
            model = make()
            _compare(model, shapes)
        state = {}
        for name in names:
            state[name] = tensor = weights.get_tensor(name)
            if not torch.isfinite(tensor).all():
                raise ValueError(f"tensor {name}: expected finite numbers, found NaN or infinity")
        for name, own in model.state_dict().items():
            if name in state and not _same_kind(own, state[name]):
                raise ValueError(f"tensor {name}: expected {own.dtype}, found {state[name].dtype}")
    model.load_state_dict(state, strict=False)  # tensors that share memory stand there once; the rest was compared
    return model.eval()


def _compare(model: nn.Module, found: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse names and shapes that are not the model's."""
    expected = model.state_dict(keep_vars=True)
    shared: dict[int, set[str]] = {}
    for name, tensor in expected.items():
        shared.setdefault(id(tensor), set()).add(name)
    for name, tensor in expected.items():
        if not shared[id(tensor)] & found.keys():
            raise ValueError(f"tensor {name} is missing")
        if name in found and not is_lazy(tensor) and tuple(tensor.shape) != found[name]:
            raise ValueError(f"tensor {name}: expected shape {tuple(tensor.shape)}, found {found[name]}")
    if foreign := next((name for name in found if name not in expected), None):
        raise ValueError(f"tensor {foreign} is none of the model")


def _same_kind(expected: Tensor, found: Tensor) -> bool:
    """Floating point of any width is converted; nothing else is."""
    both = expected.is_floating_point() and found.is_floating_point()
    return both or expected.dtype == found.dtype


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Refuse to make more layers and parameters than a file of so few tensors can fill."""
    left = count

    def take(*args: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError(f"its settings ask for more layers than its weights fill, {count} at most")

    handles = [
        hooks.register_module_parameter_registration_hook(take),
        hooks.register_module_module_registration_hook(take),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
