"""Sequences under way: what drawing and filtering them, token by token, have in common."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from discrete_gan._arguments import check_positive

if TYPE_CHECKING:
    from discrete_gan.distributions.autoregressive import Autoregressive


class Prefixes:
    """Sequences under way, a token at a time for all of them at once. Nothing carries gradient inside ``no_grad``.

    Args:
        g: What they are drawn from.
        num_samples: M sequences of each of its B latents.
        temperature: Divides the logits.
        prefix: Tokens that they begin with, shape (P,) or (B, P).

    Attributes:
        tokens: int64, shape (M B, D): those drawn so far, and after them the end, or zeros without one.
        length: How many were drawn.
        temperature: As given.
        given: P, how many were not drawn.

    Raises:
        ValueError: If the temperature is not above 0 or the prefix is longer than D.
    """

    def __init__(
        self, g: "Autoregressive", num_samples: int, *, temperature: float = 1.0, prefix: Tensor | None = None
    ) -> None:
        check_positive("temperature", temperature)
        self.given = 0 if prefix is None else prefix.shape[-1]
        self._num_positions = g.decoder.num_positions
        if self.given > self._num_positions:
            raise ValueError(f"prefix: expected at most {self._num_positions} tokens, got {self.given}")
        self._g, self.temperature, self.length = g, temperature, 0
        self._z = g._rows(num_samples)
        self.tokens = g._blank(len(self._z))
        if prefix is not None:
            self.tokens.view(-1, len(g.z), self._num_positions)[..., : self.given] = prefix
        self._ended = torch.zeros(len(self._z), dtype=torch.bool, device=self._z.device)
        self._state = g.decoder.initial_state(self._z)
        self._previous = g._start(len(self._z))

    def extend(self) -> None:
        """Draw one more token of every sequence; one that has ended goes on with the end."""
        hidden, self._state = self._g.decoder.step(self._previous, self._z, self._state)
        if self.length >= self.given:
            self.tokens[:, self.length] = self._g._next(hidden, self._ended, self.temperature)
        self._previous = self.tokens[:, self.length]
        self._ended = self._ended | (self._previous == self._g.end) if self._g.end is not None else self._ended
        self.length += 1

    @property
    def complete(self) -> bool:
        """Whether all sequences are, by their length or, on a CPU, by their ends.

        Elsewhere, looking at values would stall the device, and the steps that are left cost less.
        """
        if self.length == self._num_positions:
            return True
        return self.length > 0 and self._g.end is not None and self._z.device.type == "cpu" and bool(self._ended.all())

    def keep(self, rows: Tensor) -> None:
        """Go on from others of the sequences, by their numbers, int64, shape (M B,)."""
        self.tokens, self._z, self._ended = self.tokens[rows], self._z[rows], self._ended[rows]
        self._previous, self._state = self._previous[rows], tuple(each[:, rows] for each in self._state)
