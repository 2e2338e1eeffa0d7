"""Discriminators of token sequences: convolutions of several widths, a recurrent one with a logit a step, attention.

All take tokens, int64 of shape (..., D), or relaxed ones, floats of shape (..., D, K), over any leading axes.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from discrete_gan.distributions import before_end
from discrete_gan.models.base import HubModel

SEQGAN_WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)
SEQGAN_CHANNELS = (100, 200, 200, 200, 200, 100, 100, 100, 100, 100, 160, 160)


class _TokenDiscriminator(HubModel):
    """Embedding of tokens, hard or relaxed, and the raw output from the features."""

    def __init__(self, num_categories: int, num_positions: int, end: int | None, embedding_dim: int) -> None:
        super().__init__()
        self.num_positions, self.end = num_positions, end
        self.embedding = nn.Embedding(num_categories, embedding_dim)
        self.output: nn.Module

    def embed(self, x: Tensor) -> Tensor:
        """Vectors of the tokens, (..., D, E). Carries gradient to relaxed tokens."""
        return x @ self.embedding.weight if x.is_floating_point() else self.embedding(x)

    def forward(self, x: Tensor) -> Tensor:
        """Raw outputs, log-ratios in nats, (...)."""
        return self.output(self.features(x)).squeeze(-1)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees, (..., F)."""
        raise NotImplementedError

    def _is_inside(self, x: Tensor) -> Tensor:
        """Which positions belong to the sequences, (..., D)."""
        return before_end(x.detach().argmax(dim=-1) if x.is_floating_point() else x, self.end)


class TextCNN(_TokenDiscriminator):
    """Convolutions of several widths, the largest response of each channel, a highway layer.

    SeqGAN's widths and channels are :data:`SEQGAN_WIDTHS` and :data:`SEQGAN_CHANNELS`. Positions behind the end are
    seen as the end.

    Args:
        num_categories: K.
        num_positions: D.
        end: The category that ends a sequence; None for sequences of exactly D tokens.
        embedding_dim: Size of a token's vector.
        widths: Tokens that a convolution sees; those above D are left out.
        channels: Of all widths, or of each.
        dropout: Before the last layer.

    Raises:
        ValueError: If there are not as many channels as widths, or no width fits.

    References:
        SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient (Yu et al., 2017),
        https://arxiv.org/abs/1609.05473
    """

    def __init__(
        self,
        num_categories: int,
        num_positions: int,
        *,
        end: int | None,
        embedding_dim: int = 64,
        widths: Sequence[int] = (1, 2, 3, 4, 5),
        channels: int | Sequence[int] = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(num_categories, num_positions, end, embedding_dim)
        channels = [channels] * len(widths) if isinstance(channels, int) else channels
        if len(channels) != len(widths):
            raise ValueError(f"channels: expected one number a width, {len(widths)}, got {len(channels)}")
        used = [(width, number) for width, number in zip(widths, channels, strict=True) if width <= num_positions]
        if not used:
            raise ValueError(f"widths: expected one of at most {num_positions} tokens, got {list(widths)}")
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding_dim, number, width) for width, number in used)
        size = sum(number for _, number in used)
        self.highway = nn.Linear(size, 2 * size)
        nn.init.constant_(self.highway.bias[size:], -2.0)  # at first most of the input is carried through
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(size, 1)

    def score(self, embedded: Tensor) -> Tensor:
        """Raw outputs (N,) from vectors (N, D, E): for penalties on the gradient in them."""
        return self.output(self._features(embedded)).squeeze(-1)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees, (..., F)."""
        embedded = self.embed(x)
        flat = self._features(embedded.reshape(-1, *embedded.shape[-2:]))
        return flat.view(*embedded.shape[:-2], -1)

    def _features(self, embedded: Tensor) -> Tensor:
        channels_first = embedded.transpose(1, 2)
        pooled = torch.cat([layer(channels_first).amax(dim=-1) for layer in self.convolutions], dim=-1)
        new, gate = self.highway(pooled).chunk(2, dim=-1)
        gate = torch.sigmoid(gate)
        return self.dropout(gate * torch.relu(new) + (1 - gate) * pooled)


class RecurrentDiscriminator(_TokenDiscriminator):
    """A raw output a step: the log-ratio of the first t tokens; that of the sequence is the last.

    Args:
        num_categories: K.
        num_positions: D.
        end: The category that ends a sequence; None for sequences of exactly D tokens.
        embedding_dim: Size of a token's vector.
        hidden: Width of each recurrent layer.
        num_layers: Recurrent layers.
        dropout: On the vectors of the tokens and before the last layer.
    """

    def __init__(
        self,
        num_categories: int,
        num_positions: int,
        *,
        end: int | None,
        embedding_dim: int = 64,
        hidden: int = 128,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(num_categories, num_positions, end, embedding_dim)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.LSTM(embedding_dim, hidden, num_layers, batch_first=True)
        self.output = nn.Linear(hidden, 1)

    def steps(self, x: Tensor) -> Tensor:
        r"""Log-ratio of every prefix, :math:`\log p_{data}(x_{\le t}) / p_g(x_{\le t})` in nats, (..., D).

        Behind the end it is that of the whole sequence, which no padding changes.
        """
        return self.output(self._steps(x)).squeeze(-1)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees at the last token, (..., hidden)."""
        return self._steps(x)[..., -1, :]

    def _steps(self, x: Tensor) -> Tensor:
        embedded = self.dropout(self.embed(x))
        hidden, _ = self.rnn(embedded.reshape(-1, *embedded.shape[-2:]))
        hidden = self.dropout(hidden).view(*embedded.shape[:-1], -1)
        last = self._is_inside(x).sum(dim=-1, keepdim=True) - 1
        position = torch.arange(x.shape[len(embedded.shape) - 2], device=x.device)
        return hidden.take_along_dim(torch.minimum(position, last)[..., None], dim=-2)


class TransformerDiscriminator(_TokenDiscriminator):
    """A small transformer encoder, averaged over the tokens of a sequence.

    Args:
        num_categories: K.
        num_positions: D.
        end: The category that ends a sequence; None for sequences of exactly D tokens.
        embedding_dim: Width throughout, a multiple of ``num_heads``.
        num_layers: Layers of the encoder.
        num_heads: Attention heads.
        dropout: Of the encoder.

    Raises:
        ValueError: If the heads do not divide the width.
    """

    def __init__(
        self,
        num_categories: int,
        num_positions: int,
        *,
        end: int | None,
        embedding_dim: int = 64,
        num_layers: int = 2,
        num_heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(num_categories, num_positions, end, embedding_dim)
        if embedding_dim % num_heads:
            raise ValueError(f"embedding_dim: expected a multiple of {num_heads} heads, got {embedding_dim}")
        self.positions = nn.Parameter(torch.randn(num_positions, embedding_dim) / math.sqrt(embedding_dim))
        layer = nn.TransformerEncoderLayer(
            embedding_dim, num_heads, 4 * embedding_dim, dropout, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers, nn.LayerNorm(embedding_dim), enable_nested_tensor=False)
        self.output = nn.Linear(embedding_dim, 1)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees, (..., E)."""
        embedded, inside = self.embed(x) + self.positions, self._is_inside(x)
        flat, flat_inside = embedded.reshape(-1, *embedded.shape[-2:]), inside.reshape(-1, inside.shape[-1])
        encoded = self.encoder(flat, src_key_padding_mask=~flat_inside)
        weights = flat_inside / flat_inside.sum(dim=-1, keepdim=True)
        return torch.einsum("nd,nde->ne", weights.to(encoded.dtype), encoded).view(*embedded.shape[:-2], -1)
