"""How many samples a discriminator is shown in training: the price that estimators are compared at."""

from types import MethodType
from typing import Any

from torch import Tensor, nn

# Of the discriminators of sequences: forward passes beside forward. What else they have goes through one of the three.
_METHODS = ("outputs", "penalized")


class EvaluationCounter:
    """Counts the samples that one module is shown while it is in training mode.

    What is measured in evaluation mode does not count, and what is measured on a deep copy, such as the gradient probe,
    does not either. Neither do the calls of ``features`` alone, which feature matching makes. A call costs about a
    microsecond more.

    Attributes:
        total: Samples so far.
    """

    def __init__(self) -> None:
        self.total = 0

    def watch(self, discriminator: nn.Module) -> None:
        """Count what this discriminator is shown from here on.

        Args:
            discriminator: Its forward returns one raw output per sample, or as many logits as its ``num_outputs`` says.
                Where it has methods ``outputs`` and ``penalized``, which take sequences, these count too.
        """
        outputs_each = int(getattr(discriminator, "num_outputs", 1))

        # A deep copy takes hook and methods along, and is none of ours.
        def note(module: nn.Module, inputs: tuple[Any, ...], raw: Tensor) -> None:
            if module is discriminator and module.training:
                self.total += raw.numel() // outputs_each

        discriminator.register_forward_hook(note)
        for name in _METHODS:
            if hasattr(type(discriminator), name):
                setattr(discriminator, name, MethodType(self._counted(discriminator, name), discriminator))

    def _counted(self, discriminator: nn.Module, name: str) -> Any:
        """The method of that name, which counts; of a copy it is the plain one."""
        method = getattr(type(discriminator), name)

        def counted(module: nn.Module, sequences: Tensor, *args: Any, **options: Any) -> Any:
            if module is discriminator and module.training:
                # Tokens (..., D), or relaxed ones (..., D, K).
                self.total += sequences.shape[: -2 if sequences.is_floating_point() else -1].numel()
            return method(module, sequences, *args, **options)

        return counted
