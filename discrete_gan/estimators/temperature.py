"""Temperature schedules of the relaxed estimators."""

import math
from typing import Any

from torch import nn

from discrete_gan._arguments import check_at_least, check_positive


class Temperature(nn.Module):
    r"""Temperature of the t-th call: :math:`\max(\text{floor}, \text{start} \cdot e^{-rt})`, constant with r = 0.

    The number of calls is state, saved and resumed with a run.

    Args:
        start: :math:`\tau > 0` of the first call.
        rate: r per call.
        floor: Least temperature while it falls.

    Raises:
        ValueError: If the start or the floor is not above 0, the rate is negative, or the floor above the start.
    """

    def __init__(self, start: float, rate: float = 0.0, floor: float = 0.1) -> None:
        super().__init__()
        check_positive("temperature", start)
        check_at_least("annealing_rate", rate, 0)
        check_positive("min_temperature", floor)
        if rate > 0:
            check_at_least("temperature", start, floor, "the temperature falls to min_temperature")
        self.start, self.rate, self.floor = start, rate, floor
        self.calls = 0

    def forward(self) -> float:
        """The temperature of this call; counts it."""
        self.calls += 1
        if self.rate == 0:
            return self.start
        return max(self.floor, self.start * math.exp(-self.rate * (self.calls - 1)))

    def get_extra_state(self) -> dict[str, Any]:
        """Calls so far. A plain number: reading a tensor back from the device would stall it."""
        return {"calls": self.calls}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Go on counting from there."""
        self.calls = state["calls"]
