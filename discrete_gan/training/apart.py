"""Training data that are set apart: which weights are kept by them."""

import math
from typing import Any

from discrete_gan.sampling import negative_log_likelihood
from discrete_gan.tasks import Batch

_ROOM = 1.05  # times the least negative log-likelihood: above it the training data are being learnt by heart


class Apart:
    """Looks at what is set apart, and keeps weights of the generator by it.

    While it learns by likelihood, those with the least negative log-likelihood there; afterwards the last ones whose
    figure is at most a twentieth above that: adversarial training has other ends, but where that of data it has not
    seen falls away, it has begun to repeat those that it has.

    Args:
        run: The run.
        player: Of the generator, made with ``keep`` where there are data set apart.
        data: That; None for none, and then nothing is looked at.
        every: Steps between looks.
        pretrained: Steps of the likelihood phase.
    """

    def __init__(self, run: Any, player: Any, data: Batch | None, *, every: int, pretrained: int) -> None:
        self._run, self._player, self._data = run, player, data
        self._every, self._pretrained = every, pretrained

    def look(self) -> None:
        """Measure, where it is due."""
        step = self._run.step
        if self._data is None or not (self._run.due(self._every) or step == self._pretrained):
            return
        nll = negative_log_likelihood(self._player.current, *self._data)
        self._run.log(nll_apart=nll)
        if step <= self._pretrained:
            self._player.keep(nll)
        elif nll <= _ROOM * self._player.taken_up:
            self._player.keep(-step)  # later is better

    def take_up(self) -> None:
        """Go on from the best of the likelihood phase, which stays the best until a later step is about as likely."""
        if self._data is not None and not math.isinf(self._player.take_up_best()):
            self._player.keep(0.0)
