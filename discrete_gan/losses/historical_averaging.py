r"""Historical averaging: parameters are held near the mean of what they have been.

References:
    Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from discrete_gan._precision import at_least_float32


class HistoricalAveraging(nn.Module):
    r"""Squared distance of parameters from their mean over all past steps (section 3.3).

    .. math:: \Big\| \theta - \frac1t \sum_{i=1}^{t} \theta[i] \Big\|^2

    A damping force on players that circle their equilibrium. The mean is kept online, one copy of the parameters
    however long the run, and saved with it. Each :meth:`update` adds one step to the history; before the first, the
    mean is the parameters at construction, which themselves do not count. Every process keeps the same mean, because
    parameters are the same on every process.

    Args:
        parameters: What to follow, for instance ``discriminator.parameters()``. They stay their module's own: this
            module has buffers only.

    Raises:
        ValueError: If there are no parameters.
    """

    steps: Tensor

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__()
        self.followed = list(parameters)
        if not self.followed:
            raise ValueError("parameters: expected at least one, got none")
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device=self.followed[0].device))
        for index, parameter in enumerate(self.followed):
            # In half precision a mean of many steps would not move any more.
            self.register_buffer(f"mean_{index}", at_least_float32(parameter.detach()).clone())

    def penalty(self) -> Tensor:
        """The squared distance, summed over all parameters.

        Returns:
            Scalar. Gradients reach the parameters, none the mean.
        """
        distances = [(now - mean).square().sum() for now, mean in zip(self.followed, self._means(), strict=True)]
        return torch.stack(distances).sum()

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters as they are now into the mean, once a step, behind the optimizer's."""
        self.steps += 1
        for now, mean in zip(self.followed, self._means(), strict=True):
            mean += (now - mean) / self.steps

    def _means(self) -> list[Tensor]:
        return [self.get_buffer(f"mean_{index}") for index in range(len(self.followed))]
