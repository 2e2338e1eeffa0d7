"""What the relaxations of bits and of categories share."""

import torch
from torch import Tensor

from discrete_gan._arguments import check_positive


def over_temperature(perturbed: Tensor, temperature: float | Tensor) -> Tensor:
    """Perturbed logits over a temperature; where they are infinite, so is the result, and the gradient is zero.

    Raises:
        ValueError: If the temperature is a number and not above 0.
    """
    if not isinstance(temperature, Tensor):
        check_positive("temperature", temperature)
        return perturbed / temperature
    # What is ruled out stays so at every temperature: the derivative by the temperature would be 0 * inf.
    infinite = perturbed.isinf()
    return torch.where(infinite, perturbed.detach(), perturbed.masked_fill(infinite, 0) / temperature)
