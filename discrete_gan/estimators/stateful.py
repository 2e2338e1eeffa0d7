"""Estimators with state."""

import inspect

from torch import nn


class StatefulEstimator(nn.Module):
    """An estimator with state, saved and resumed with a run; keeps each argument under its own name.

    Where it has parameters, the loss it returns also descends their own criterion, so they go into an optimizer
    beside the generator's. The criterion never changes the generator's gradient, nor the value of the loss.
    """

    def __repr__(self) -> str:
        """The call that makes it."""
        names = inspect.signature(type(self)).parameters
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
