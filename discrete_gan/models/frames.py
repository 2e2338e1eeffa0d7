"""Networks for sequences of frames, each a row of columns."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from discrete_gan.distributions import FrameSequence, RaggedCategorical, before_end
from discrete_gan.distributions.autoregressive import State
from discrete_gan.models.base import Generator
from discrete_gan.models.rnn import cell_step
from discrete_gan.models.table import AutoregressiveTableGenerator
from discrete_gan.models.token_discriminators import (
    RecurrentDiscriminator,
    TokenDiscriminator,
    TransformerDiscriminator,
)

Within = Literal["autoregressive", "factorized"]


class FrameEmbedding(nn.Embedding):
    """A vector for each category of each column, added up over the columns of a frame.

    Args:
        sizes: Categories of each column.
        width: Size of the vectors.
    """

    starts: Tensor

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__(sum(sizes), width)
        nn.init.normal_(self.weight, std=len(sizes) ** -0.5)
        starts = torch.tensor([0, *itertools.accumulate(sizes)][:-1])
        self.register_buffer("starts", starts, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Vectors (..., width) of frames (..., columns), or of relaxed ones (..., K)."""
        if input.is_floating_point():
            return input @ self.weight
        rows = (input + self.starts).reshape(-1, len(self.starts))
        return F.embedding_bag(rows, self.weight, mode="sum").view(*input.shape[:-1], -1)


class FrameGenerator(Generator):
    r"""Latent z to a distribution over sequences of frames: an LSTM over frames, and within each one a distribution.

    ``"factorized"`` draws the columns of a frame independently given the frames before it; ``"autoregressive"`` each
    given those before it in its frame too, as chords need it.

    Args:
        sizes: :math:`K_d` of each of the D columns.
        num_frames: T.
        latent_dim: Size of z, standard normal, which sets the first state and is read with every frame; 0 for none.
        hidden: Width of each recurrent layer, and of the vectors of frames.
        num_layers: Recurrent layers.
        within: What draws a frame.
        width: Of the network that draws it column by column.
        ends: Whether sequences may end before T.

    Raises:
        ValueError: If ``within`` is unknown.

    References:
        Modeling Temporal Dependencies in High-Dimensional Sequences (Boulanger-Lewandowski et al., 2012),
        https://arxiv.org/abs/1206.6392
    """

    def __init__(
        self,
        sizes: Sequence[int] = (2,),
        num_frames: int = 16,
        latent_dim: int = 0,
        hidden: int = 128,
        num_layers: int = 1,
        within: Within = "autoregressive",
        width: int = 64,
        ends: bool = True,
    ) -> None:
        super().__init__()
        if within not in ("autoregressive", "factorized"):
            raise ValueError(f"within: expected autoregressive or factorized, got {within!r}")
        self.sizes, self.num_frames, self.latent_dim, self.ends = tuple(sizes), num_frames, latent_dim, ends
        self.embedding = FrameEmbedding((2, *sizes), hidden)
        self.first = nn.Parameter(torch.zeros(hidden))  # stands before the first frame
        self.rnn = nn.LSTM(hidden + latent_dim, hidden, num_layers, batch_first=True)
        if latent_dim:
            self.state = nn.Linear(latent_dim, 2 * num_layers * hidden)
        self.of_end = nn.Linear(hidden, 1)
        if within == "autoregressive":
            self.columns: nn.Module = AutoregressiveTableGenerator(hidden, sizes, width)
        else:
            self.columns = nn.Linear(hidden, sum(sizes))

    def forward(self, z: Tensor) -> FrameSequence:
        """Latents (B, latent_dim) to a distribution of batch (B,), event (T, 1 + D)."""
        return FrameSequence(self, z)

    @torch.no_grad()
    def begin_at(self, frames: Tensor) -> None:
        """Set the biases so that untrained frames are about distributed as those of data, and as many.

        Args:
            frames: Sequences, int64, shape (N, T, 1 + D).
        """
        there = frames[..., 0].cumsum(dim=1) == 0
        rows = frames[..., 1:][there]
        ends, frames_with_next = (~there[:, -1]).sum(), there[:, :-1].sum()
        self.of_end.bias.copy_(torch.logit((ends + 0.5) / (frames_with_next + 1)))
        nn.init.zeros_(self.of_end.weight)
        if isinstance(self.columns, AutoregressiveTableGenerator):
            self.columns.begin_at(rows)
        elif isinstance(self.columns, nn.Linear):
            counts = [rows[:, d].bincount(minlength=size) for d, size in enumerate(self.sizes)]
            self.columns.bias.copy_(torch.cat([(each + 0.5).log() - (each + 0.5).log().mean() for each in counts]))
            nn.init.zeros_(self.columns.weight)

    def initial_state(self, z: Tensor) -> State:
        """State before the first frame, two tensors (num_layers, N, hidden), from z (N, latent_dim)."""
        shape = (len(z), 2, self.rnn.num_layers, self.rnn.hidden_size)
        state = torch.tanh(self.state(z)).view(shape) if self.latent_dim else self.first.new_zeros(shape)
        return tuple(state.permute(1, 2, 0, 3))

    def step(self, frame: Tensor | None, z: Tensor, state: State) -> tuple[Tensor, State]:
        """Hidden vectors (N, hidden) of the next frame, and the state, after a frame; None before the first."""
        embedded = self.first.expand(len(z), -1) if frame is None else self.embedding(frame)
        return cell_step(self.rnn, torch.cat([embedded, z], dim=-1) if self.latent_dim else embedded, state)

    def hidden(self, frames: Tensor, z: Tensor) -> Tensor:
        """Hidden vectors of all frames (N, T, hidden), each from the frames before it."""
        first = self.first.expand(len(frames), 1, -1)
        inputs = torch.cat([first, self.embedding(frames[:, :-1])], dim=1)
        if self.latent_dim:
            inputs = torch.cat([inputs, z[:, None].expand(-1, inputs.shape[1], -1)], dim=-1)
        state = tuple(each.contiguous() for each in self.initial_state(z))
        return self.rnn(inputs, state)[0]

    def end(self, hidden: Tensor) -> Tensor:
        """Logits in nats of the sequence having ended, (...); far below zero where none ends."""
        logits = self.of_end(hidden).squeeze(-1)
        return logits if self.ends else torch.full_like(logits, -1e4)  # its logarithm is finite, its probability is not

    def within(self, hidden: Tensor) -> Any:
        """A distribution of the columns of a frame from hidden vectors (N, hidden)."""
        found = self.columns(hidden)
        return RaggedCategorical(found, self.sizes) if isinstance(found, Tensor) else found


class _OfFrames(TokenDiscriminator):
    """What makes a discriminator of tokens one of frames."""

    def embed(self, x: Tensor) -> Tensor:
        """Vectors (..., T, E) of frames (..., T, 1 + D), or of relaxed ones (..., T, K)."""
        return self.embedding(x)

    def is_inside(self, x: Tensor) -> Tensor:
        """Which frames count, up to the first end and including it, (..., T)."""
        ended = x[..., 1] > x[..., 0] if x.is_floating_point() else x[..., 0] > 0
        return before_end(ended.long(), 1)


class RecurrentFrameDiscriminator(_OfFrames, RecurrentDiscriminator):
    """One raw output per frame: the log-ratio of the first t frames; that of the sequence is the last.

    Args:
        sizes: Categories of each column.
        num_frames: T.
        hidden: Width of each recurrent layer, and of the vectors.
        dropout: On the vectors of the frames and before the last layer.
    """

    def __init__(
        self, sizes: Sequence[int] = (2,), num_frames: int = 16, hidden: int = 128, dropout: float = 0.0
    ) -> None:
        super().__init__(2, num_frames, end=None, embedding_dim=hidden, hidden=hidden, dropout=dropout)
        self.embedding = FrameEmbedding((2, *sizes), hidden)


class TransformerFrameDiscriminator(_OfFrames, TransformerDiscriminator):
    """A small transformer encoder, averaged over the frames of a sequence.

    Args:
        sizes: Categories of each column.
        num_frames: T.
        width: Throughout, a multiple of 4 heads.
        dropout: Of the encoder.
    """

    def __init__(
        self, sizes: Sequence[int] = (2,), num_frames: int = 16, width: int = 64, dropout: float = 0.0
    ) -> None:
        super().__init__(2, num_frames, end=None, embedding_dim=width, dropout=dropout)
        self.embedding = FrameEmbedding((2, *sizes), width)
