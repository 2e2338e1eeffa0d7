"""Estimators with state."""

import inspect

from torch import nn
from torch.nn.parameter import is_lazy


class SizedLinear(nn.LazyLinear):
    """A linear layer that takes its width from its first input, which may be empty: of that, the bias is what is left.

    Torch leaves the bias of such a layer to whatever the memory holds.
    """

    def reset_parameters(self) -> None:
        """Torch's own, or a bias of zeros where there is nothing to weigh."""
        super().reset_parameters()
        if self.in_features == 0 and self.bias is not None and not is_lazy(self.bias):
            nn.init.zeros_(self.bias)


class StatefulEstimator(nn.Module):
    """An estimator with state, saved and resumed with a run; keeps each argument under its own name.

    Where it has parameters, the loss it returns also descends their own criterion, so they go into an optimizer
    beside the generator's. The criterion never changes the generator's gradient, nor the value of the loss.
    """

    def __repr__(self) -> str:
        """The call that makes it."""
        names = inspect.signature(type(self)).parameters
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
