"""Sequences drawn token by token, each given those before it."""

import itertools
from collections.abc import Iterator
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size as Shape

from discrete_gan._arguments import check_at_least, check_positive, check_support
from discrete_gan._precision import at_least_float32
from discrete_gan.distributions._draw import draw
from discrete_gan.distributions.prefixes import Prefixes

State = tuple[Tensor, ...]

# Rows times categories whose logits are computed at a time: 8 MiB of float32, memory that is used again and not fresh.
_MOST_LOGITS = 2**21


class Decoder(Protocol):
    """The network of the distribution: what it computes of N prefixes at once.

    A state is a tuple of tensors of shape (layers, N, width). Token K, one past the categories, stands before the
    first position.
    """

    num_positions: int
    num_categories: int
    end: int | None

    def initial_state(self, z: Tensor) -> State:
        """State before the first token, from latents (N, latent_dim)."""
        ...

    def step(self, x: Tensor, z: Tensor, state: State) -> tuple[Tensor, State]:
        """Hidden vectors (N, H) of the next position, and the state, after tokens (N,) or relaxed ones (N, K)."""
        ...

    def hidden(self, tokens: Tensor, z: Tensor) -> Tensor:
        """Hidden vectors of all positions in one pass, (N, D, H), from the tokens before each, (N, D)."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Unnormalized log-probabilities in nats, (..., K), from hidden vectors (..., H)."""
        ...


def before_end(tokens: Tensor, end: int | None) -> Tensor:
    """Which positions belong to the sequences: up to the first end and including it; all without an end.

    Args:
        tokens: Shape (..., D).
        end: The category that ends a sequence.

    Returns:
        bool, the shape of ``tokens``.

    Example:
        >>> before_end(torch.tensor([[3, 0, 2, 0]]), end=0)  # up to the first end, and it
        tensor([[ True,  True, False, False]])
    """
    if end is None:
        return torch.ones_like(tokens, dtype=torch.bool)
    is_end = tokens == end
    return is_end.cumsum(dim=-1) - is_end.long() == 0


class Autoregressive(Distribution):
    r"""D tokens of K categories, :math:`g(x \mid z) = \prod_t g(x_t \mid x_{<t}, z)`, as indices of shape (D,).

    With an end category a sequence stops at its first end, and all positions after it are the end as well, with
    probability one; a sequence that has none is cut at D. So probabilities of the padded sequences sum to one.

    Args:
        decoder: The network.
        z: Latents, shape (B, latent_dim); latent_dim may be 0.
        validate_args: Whether :meth:`log_prob` looks at the values of tokens, which reads them back from a device.
    """

    arg_constraints = {}  # pyright: ignore
    has_enumerate_support = True

    def __init__(self, decoder: Decoder, z: Tensor, validate_args: bool | None = None) -> None:
        if z.dim() != 2:
            raise ValueError(f"z: expected shape (B, latent_dim), got {tuple(z.shape)}")
        self.decoder = decoder
        self.z = z
        self.end = decoder.end
        super().__init__(torch.Size([len(z)]), torch.Size([decoder.num_positions]), validate_args=bool(validate_args))

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Tokens 0 to K - 1, shape (D,)."""
        return constraints.independent(constraints.integer_interval(0, self.decoder.num_categories - 1), 1)

    def sample(self, sample_shape: Shape = (), *, temperature: float = 1.0, prefix: Tensor | None = None) -> Tensor:
        """Draws sequences, one step of the network per position for all of them at once.

        Args:
            sample_shape: Usually (M,).
            temperature: Divides the logits; 1 draws from the distribution itself, less is closer to its modes.
            prefix: Tokens that the sequences begin with, shape (P,), or (B, P) for those of each latent, with P at
                most D. One that has ended stays ended.

        Returns:
            int64 of shape ``sample_shape`` + (B, D). No gradient.

        Raises:
            ValueError: If the temperature is not above 0 or the prefix is longer than D.
        """
        sample_shape = torch.Size(sample_shape)
        with torch.no_grad():
            prefixes = Prefixes(self, sample_shape.numel(), temperature=temperature, prefix=prefix)
            while not prefixes.complete:
                prefixes.extend()
        return prefixes.tokens.view(*sample_shape, *self.batch_shape, self.decoder.num_positions)

    def rollouts(self, value: Tensor, num_rollouts: int) -> Tensor:
        r"""Completions of every proper prefix of every sequence, all in one run over the positions.

        Args:
            value: Sequences to take prefixes of, as :meth:`sample` draws them, shape (M, B, D).
            num_rollouts: R, completions of each prefix.

        Returns:
            int64 of shape (D - 1, R, M, B, D): at t - 1 those that begin with the first t tokens. A prefix that has
            ended is its own completion. No gradient.

        Raises:
            ValueError: If ``value`` does not end in (B, D) or holds no integers, or R is below 1.
        """
        value = self._checked(value)
        check_at_least("num_rollouts", num_rollouts, 1)
        num_prefixes = self.decoder.num_positions - 1
        if num_prefixes == 0:
            return value.new_empty(0, num_rollouts, *value.shape)
        with torch.no_grad():
            rows = num_rollouts * value.shape[:-1].numel()  # of one prefix length; those of longer ones come after
            z = self._rows(num_prefixes * rows // len(self.z))
            tokens = value.flatten(0, -2).repeat(num_prefixes * num_rollouts, 1)
            state = self.decoder.initial_state(z[:rows])
            _, read = self.decoder.step(self._start(rows), z[:rows], state)  # state of the sequences themselves
            state = tuple(each[:, :0] for each in read)
            for length in range(1, num_prefixes + 1):
                active = slice(0, length * rows)
                state = tuple(torch.cat(pair, dim=1) for pair in zip(state, read, strict=True))
                previous = tokens[active, length - 1]
                hidden, state = self.decoder.step(previous, z[active], state)
                read = tuple(each[:, -rows:] for each in state)  # the newest rows have read their prefix and no more
                tokens[active, length] = self._next(
                    hidden, torch.eq(previous, -1 if self.end is None else self.end), 1.0
                )
        return tokens.view(num_prefixes, num_rollouts, *value.shape)

    def log_prob(self, value: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats.

        Args:
            value: Sequences of any integer type, shape (M, B, D) or any shape that ends in (B, D). What categories
                come after the first end does not matter.
            temperature: Divides the logits, as in :meth:`sample`.

        Returns:
            Shape of ``value`` without D. Gradients reach the decoder and z.

        Raises:
            ValueError: If ``value`` does not end in (B, D) or holds no integers, the temperature is not above 0, or,
                with ``validate_args``, a token is none of the K.
        """
        return self.step_log_prob(value, temperature=temperature).sum(dim=-1)

    def step_log_prob(self, value: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats of each token given those before it, in one teacher-forced pass.

        On a CPU only positions before the end reach the output layer, which has the largest product and the largest
        result. Elsewhere all do, as how many there are would have to be read from the device.

        Args:
            value: As for :meth:`log_prob`.
            temperature: Divides the logits.

        Returns:
            The shape of ``value``, 0 after the first end. Gradients reach the decoder and z.

        Raises:
            ValueError: As for :meth:`log_prob`.
        """
        value = self._checked(value)
        check_positive("temperature", temperature)
        tokens, z = value.reshape(-1, value.shape[-1]), self._rows(value.shape[:-2].numel())
        if self.end is None or z.device.type != "cpu":
            terms = self._teacher_forced(tokens, z, None, temperature).view(tokens.shape)
            return torch.where(before_end(tokens, self.end), terms, 0.0).view(value.shape)
        mask = before_end(tokens, self.end)
        terms = self._teacher_forced(tokens[:, : int(mask.any(dim=0).sum())], z, mask, temperature)
        return terms.new_zeros(tokens.shape).masked_scatter(mask, terms).view(value.shape)

    def _teacher_forced(self, tokens: Tensor, z: Tensor, mask: Tensor | None, temperature: float) -> Tensor:
        """Log-probabilities of the tokens (N, D) that the mask keeps, or of all, one after another."""
        shifted = torch.cat([self._start(len(tokens))[:, None], tokens[:, :-1]], dim=1)
        hidden = self.decoder.hidden(shifted, z)
        if mask is None:
            hidden, tokens = hidden.flatten(0, 1), tokens.flatten()
        else:
            mask = mask[:, : tokens.shape[1]]
            hidden, tokens = hidden[mask], tokens[mask]
        parts = zip(self._chunks(hidden), self._chunks(tokens), strict=True)
        return torch.cat([self._terms(*part, temperature) for part in parts])

    def _terms(self, hidden: Tensor, tokens: Tensor, temperature: float) -> Tensor:
        """Log-probabilities (N,) of tokens (N,) from hidden vectors (N, H)."""
        logits = self._logits(hidden, temperature)
        return -F.cross_entropy(logits, tokens, reduction="none")

    def rsample(self, sample_shape: Shape = (), *, temperature: float = 0.5, hard: bool = False) -> Tensor:
        r"""Relaxed sequences: at each position softmax((l + G) / tau), fed back as a mixture of embeddings.

        A sequence ends where its largest component is the end; the positions after it are the end, one-hot.

        Args:
            sample_shape: Usually (M,).
            temperature: :math:`\tau > 0`.
            hard: One-hot forward, keep the relaxed gradient backward (straight-through).

        Returns:
            Points of the simplex, shape ``sample_shape`` + (B, D, K). Gradients reach the decoder and z.

        Raises:
            ValueError: If the temperature is not above 0.

        References:
            RelGAN: Relational Generative Adversarial Networks for Text Generation (Nie et al., 2019),
            https://openreview.net/forum?id=rJedV3R5tm
        """
        check_positive("temperature", temperature)
        sample_shape = torch.Size(sample_shape)
        z = self._rows(sample_shape.numel())
        state, previous = self.decoder.initial_state(z), self._start(len(z))
        ended = torch.zeros(len(z), 1, dtype=torch.bool, device=z.device)
        only_end = torch.eq(
            torch.arange(self.decoder.num_categories, device=z.device), -1 if self.end is None else self.end
        )
        drawn = []
        for _ in range(self.decoder.num_positions):
            hidden, state = self.decoder.step(previous, z, state)
            logits = torch.log_softmax(at_least_float32(self.decoder.logits(hidden)), dim=-1)
            relaxed = torch.softmax((logits - torch.empty_like(logits).exponential_().log()) / temperature, dim=-1)
            index = relaxed.detach().argmax(dim=-1, keepdim=True)
            if hard:
                relaxed = torch.zeros_like(relaxed).scatter_(-1, index, 1) + (relaxed - relaxed.detach())
            if self.end is not None:
                relaxed = torch.where(ended, only_end.to(relaxed.dtype), relaxed)
                ended = ended | (index == self.end)
            drawn.append(relaxed)
            previous = relaxed
        return torch.stack(drawn, dim=1).view(*sample_shape, *self.batch_shape, len(drawn), -1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All sequences, each once: at most K^D.

        Args:
            expand: Over the batch shape.

        Returns:
            int64, shape (S, B, D), or (S, 1, D) without ``expand``.
        """
        values = torch.tensor(list(self._sequences()), device=self.z.device)[:, None]
        return values.expand(-1, len(self.z), -1) if expand else values

    def _sequences(self) -> Iterator[tuple[int, ...]]:
        for sequence in itertools.product(range(self.decoder.num_categories), repeat=self.decoder.num_positions):
            ended = sequence.index(self.end) if self.end in sequence else len(sequence)
            if all(token == self.end for token in sequence[ended:]):
                yield sequence

    def _rows(self, num_samples: int) -> Tensor:
        """Latents of every row, (num_samples * B, latent_dim)."""
        return self.z.repeat(num_samples, 1)

    def _start(self, num_rows: int) -> Tensor:
        return torch.full((num_rows,), self.decoder.num_categories, device=self.z.device)

    def _blank(self, num_rows: int) -> Tensor:
        fill = 0 if self.end is None else self.end
        return torch.full((num_rows, self.decoder.num_positions), fill, device=self.z.device)

    def _next(self, hidden: Tensor, ended: Tensor, temperature: float) -> Tensor:
        """Tokens (N,) drawn from hidden vectors (N, H); the end where a sequence has ended."""
        tokens = torch.cat([draw(self._logits(part, temperature)) for part in self._chunks(hidden)])
        return tokens if self.end is None else tokens.masked_fill_(ended, self.end)

    def _logits(self, hidden: Tensor, temperature: float) -> Tensor:
        logits = at_least_float32(self.decoder.logits(hidden))
        if temperature == 1:
            return logits
        # Relative to the largest, so that none overflows and the lowest temperature takes the likeliest token.
        return (logits - logits.detach().amax(dim=-1, keepdim=True)) / max(temperature, torch.finfo(logits.dtype).tiny)

    def _chunks(self, rows: Tensor) -> tuple[Tensor, ...]:
        return rows.split(max(1, _MOST_LOGITS // self.decoder.num_categories))

    def _checked(self, value: Tensor) -> Tensor:
        """The tokens as int64."""
        expected = (len(self.z), self.decoder.num_positions)
        if value.shape[-2:] != expected:
            raise ValueError(f"value: expected a shape ending in {expected}, got {tuple(value.shape)}")
        if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
            raise ValueError(f"value: expected tokens of an integer type, got {value.dtype}")
        if self._validate_args:
            check_support(value, self.support, f"tokens 0 to {self.decoder.num_categories - 1}")
        return value.long()
