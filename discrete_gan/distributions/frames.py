"""Sequences of frames, each a row of columns: notes that sound together, neurons that fire, events of a moment."""

import itertools
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size as Shape

from discrete_gan._arguments import check_positive
from discrete_gan._precision import at_least_float32
from discrete_gan.distributions.autoregressive import State
from discrete_gan.distributions.ragged import ragged_one_hot


class FrameDecoder(Protocol):
    """The network of the distribution: what it computes of N sequences under way.

    A frame is a row of 1 + D numbers: whether the sequence has ended, and the categories of its columns, or of sum K
    numbers where it is relaxed, one-hot columns side by side.
    """

    num_frames: int
    sizes: tuple[int, ...]

    def initial_state(self, z: Tensor) -> State:
        """State before the first frame, from latents (N, latent_dim)."""
        ...

    def step(self, frame: Tensor | None, z: Tensor, state: State) -> tuple[Tensor, State]:
        """Hidden vectors (N, H) of the next frame, and the state, after a frame (N, 1 + D); None before the first."""
        ...

    def hidden(self, frames: Tensor, z: Tensor) -> Tensor:
        """Hidden vectors of all frames in one pass, (N, T, H), each from the frames before it in (N, T, 1 + D)."""
        ...

    def end(self, hidden: Tensor) -> Tensor:
        """Logits in nats of the sequence having ended, (...), from hidden vectors (..., H)."""
        ...

    def within(self, hidden: Tensor) -> Any:
        """A distribution of the columns of a frame, batch (N,), event (D,), from hidden vectors (N, H)."""
        ...


class FrameSequence(Distribution):
    r"""T frames of D columns, :math:`g(x \mid z) = \prod_t g(e_t \mid x_{<t}, z)\, g(x_t \mid e_t, x_{<t}, z)`.

    First it is drawn whether the sequence has ended, which it has not before its first frame, then the columns of a
    frame that is there, by any distribution of rows. From the end on frames are one and the same with probability one:
    the end, and the first category of every column. A sequence that does not end is cut at T.

    Args:
        decoder: The network.
        z: Latents, shape (B, latent_dim); latent_dim may be 0.

    Samples have event shape (T, 1 + D), int64, with the end, 0 or 1, in the first column.
    """

    arg_constraints = {}  # pyright: ignore
    has_enumerate_support = True

    def __init__(self, decoder: FrameDecoder, z: Tensor) -> None:
        if z.dim() != 2:
            raise ValueError(f"z: expected shape (B, latent_dim), got {tuple(z.shape)}")
        self.decoder, self.z = decoder, z
        event = torch.Size([decoder.num_frames, 1 + len(decoder.sizes)])
        super().__init__(torch.Size([len(z)]), event, validate_args=False)

    @constraints.dependent_property(is_discrete=True, event_dim=2)
    def support(self) -> constraints.Constraint:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Categories of each column, shape (T, 1 + D)."""
        most = torch.tensor([2, *self.decoder.sizes], device=self.z.device) - 1
        most = most.expand(self.event_shape)
        return constraints.independent(constraints.integer_interval(torch.zeros_like(most), most), 2)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draws sequences, a frame of all of them at once.

        Args:
            sample_shape: Usually (M,).

        Returns:
            int64 of shape ``sample_shape`` + (B, T, 1 + D). No gradient.
        """
        sample_shape = torch.Size(sample_shape)
        with torch.no_grad():
            z = self._rows(sample_shape.numel())
            state, frame, frames = self.decoder.initial_state(z), None, []
            ended = torch.zeros(len(z), dtype=torch.bool, device=z.device)
            for t in range(self.decoder.num_frames):
                hidden, state = self.decoder.step(frame, z, state)
                if t:
                    logit = at_least_float32(self.decoder.end(hidden))
                    ended = ended | (torch.rand_like(logit) < torch.sigmoid(logit))
                columns = self.decoder.within(hidden).sample().masked_fill(ended[:, None], 0)
                frame = torch.cat([ended.long()[:, None], columns], dim=1)
                frames.append(frame)
        return torch.stack(frames, dim=1).view(*sample_shape, *self.batch_shape, *self.event_shape)

    def rsample(self, sample_shape: Shape = (), *, temperature: float = 0.5, hard: bool = False) -> Tensor:
        """Relaxed sequences: each column from its Gumbel-softmax distribution given the relaxed frames before it.

        A sequence ends where the end is the larger component.

        Args:
            sample_shape: Usually (M,).
            temperature: Above 0.
            hard: One-hot forward, keep the relaxed gradient backward (straight-through).

        Returns:
            Shape ``sample_shape`` + (B, T, K), with K the categories of all columns and two of the end. Gradients reach
            the decoder and z.

        Raises:
            ValueError: If the temperature is not above 0.
        """
        check_positive("temperature", temperature)
        sample_shape = torch.Size(sample_shape)
        z = self._rows(sample_shape.numel())
        state, frame, frames = self.decoder.initial_state(z), None, []
        ended = torch.zeros(len(z), 1, dtype=torch.bool, device=z.device)
        last = self.to_one_hot(self._end_of_frames())
        for t in range(self.decoder.num_frames):
            hidden, state = self.decoder.step(frame, z, state)
            columns = self.decoder.within(hidden).rsample(temperature=temperature, hard=hard)
            logit = at_least_float32(self.decoder.end(hidden))
            both = torch.stack([torch.zeros_like(logit), logit], dim=-1)
            end = F.gumbel_softmax(both, temperature, hard=hard) if t else torch.zeros_like(both)
            there, over = end[:, :1], end[:, 1:]
            there = there if t else 1 + there
            columns = there * columns + over * last[2:]
            frame = torch.where(ended, last, torch.cat([there, over, columns], dim=-1))
            ended = ended | (over > there).detach()
            frames.append(frame)
        return torch.stack(frames, dim=1).view(*sample_shape, *self.batch_shape, len(frames), -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats.

        Args:
            value: Sequences of any integer type, shape (M, B, T, 1 + D) or any shape that ends in (B, T, 1 + D). What
                comes after the first end does not matter.

        Returns:
            Shape of ``value`` without (T, 1 + D). Gradients reach the decoder and z.

        Raises:
            ValueError: If ``value`` does not end in (B, T, 1 + D) or holds no integers.
        """
        return self.step_log_prob(value).sum(dim=-1)

    def step_log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats of each frame given those before it, in one teacher-forced pass.

        Args:
            value: As for :meth:`log_prob`.

        Returns:
            Shape of ``value`` without 1 + D, 0 after the first end. Gradients reach the decoder and z.

        Raises:
            ValueError: As for :meth:`log_prob`.
        """
        expected = (len(self.z), *self.event_shape)
        if value.shape[-3:] != expected or value.is_floating_point():
            raise ValueError(f"value: expected integers of a shape ending in {expected}, got {tuple(value.shape)}")
        frames = value.long().reshape(-1, *self.event_shape)
        ended = frames[..., 0].cumsum(dim=1) > 0  # (N, T)
        hidden = self.decoder.hidden(frames, self._rows(value.shape[:-3].numel()))
        logit = at_least_float32(self.decoder.end(hidden))
        before = F.pad(ended[:, :-1], (1, 0))  # had ended already
        first = torch.arange(ended.shape[1], device=ended.device) == 0
        of_end = F.logsigmoid(torch.where(ended, logit, -logit)).masked_fill(before | first, 0.0)
        of_end = of_end.masked_fill(ended & first, -torch.inf)  # a sequence has a frame
        if self.z.device.type == "cpu":  # elsewhere how many frames there are would have to be read from the device
            there = ~ended
            terms = self.decoder.within(hidden[there]).log_prob(frames[..., 1:][there])
            of_columns = terms.new_zeros(ended.shape).masked_scatter(there, terms)
        else:
            terms = self.decoder.within(hidden.flatten(0, 1)).log_prob(frames[..., 1:].flatten(0, 1))
            of_columns = terms.view(ended.shape).masked_fill(ended, 0.0)
        return (of_end + of_columns).view(value.shape[:-1])

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All sequences, each once.

        Args:
            expand: Over the batch shape.

        Returns:
            int64, shape (S, B, T, 1 + D), or (S, 1, T, 1 + D) without ``expand``.
        """
        most, rows = self.decoder.num_frames, list(itertools.product(*map(range, self.decoder.sizes)))
        end = (1, *(0 for _ in self.decoder.sizes))
        sequences = [
            [*((0, *row) for row in chosen), *[end] * (most - length)]
            for length in range(1, most + 1)
            for chosen in itertools.product(rows, repeat=length)
        ]
        values = torch.tensor(sequences, device=self.z.device)[:, None]
        return values.expand(-1, len(self.z), -1, -1) if expand else values

    def to_one_hot(self, value: Tensor) -> Tensor:
        """Frames (..., 1 + D) as rows of K numbers, of the type of z."""
        return ragged_one_hot(value, (2, *self.decoder.sizes), self.z.dtype)

    def _rows(self, num_samples: int) -> Tensor:
        """Latents of every row, (num_samples * B, latent_dim)."""
        return self.z.repeat(num_samples, 1)

    def _end_of_frames(self) -> Tensor:
        """A frame after the end, (1 + D,)."""
        return F.one_hot(torch.zeros((), dtype=torch.int64, device=self.z.device), self.event_shape[1])
