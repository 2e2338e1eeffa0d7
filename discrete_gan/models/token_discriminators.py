"""Discriminators of token sequences: convolutions of several widths, a recurrent one with a logit per step, attention.

All take tokens, int64 of shape (..., D), or relaxed ones, floats of shape (..., D, K), over any leading axes.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from discrete_gan.distributions import before_end
from discrete_gan.models.base import HubModel
from discrete_gan.models.labels import ClassProjection

SEQGAN_WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)
SEQGAN_CHANNELS = (100, 200, 200, 200, 200, 100, 100, 100, 100, 100, 160, 160)


class TokenDiscriminator(HubModel):
    """What the discriminators of sequences share: embedding of tokens, leading axes, penalty.

    A subclass encodes vectors of tokens as features of the sequence, or of each of its steps.
    """

    def __init__(self, num_categories: int, num_positions: int, end: int | None, embedding_dim: int) -> None:
        super().__init__()
        self.num_positions, self.end = num_positions, end
        self.embedding = nn.Embedding(num_categories, embedding_dim)
        self.output: nn.Module
        self.classes: ClassProjection

    def end_with(self, num_features: int, num_classes: int) -> None:
        """Make the last layer, from F features, and what classes add to it."""
        self.output = nn.Linear(num_features, 1)
        self.classes = ClassProjection(num_classes, num_features)

    def encode(self, embedded: Tensor, inside: Tensor) -> Tensor:
        """Features (N, F) or, of every step, (N, D, F) from vectors (N, D, E) and which tokens count, (N, D)."""
        raise NotImplementedError

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Raw outputs, log-ratios in nats, (...), of sequences of classes (B,) if any."""
        return self._raw(self.features(x), labels)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees, (..., F)."""
        return self._encoded(x)

    def outputs(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """All raw outputs, for the discriminator's loss: (...), or (..., D) where there is one per step."""
        return self._raw_outputs(self._encoded(x), labels)

    def _raw_outputs(self, encoded: Tensor, labels: Tensor | None) -> Tensor:
        """Of what :meth:`encode` returns."""
        return self._raw(encoded, labels)

    def _raw(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """Of features (..., B, F) and classes (B,)."""
        return self.output(features).squeeze(-1) + self.classes(features, labels)

    def penalized(self, tokens: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Raw outputs of sequences and the R1 penalty on them, in one pass.

        .. math:: \tfrac12 \sum_t \tfrac1K \sum_k \left(\partial F / \partial x_{t,k}\right)^2

        with x one-hot and, of several outputs, F their mean. What a category adds is the product of its vector with the
        gradient in the position's vector, so the sum over categories is a quadratic form in the K vectors' Gram matrix:
        nothing of the size D K is made.

        Args:
            tokens: Data, int64, shape (B, D).
            labels: Classes, shape (B,), if it takes any.

        Returns:
            Raw outputs, (B,), or (B, D) of every step, and penalties, (B,). Gradients reach the parameters.

        Reference:
            Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018),
            https://arxiv.org/abs/1801.04406
        """
        # The fused kernels of recurrent layers and of attention have no second derivative.
        recurrent = any(isinstance(module, nn.RNNBase) for module in self.modules())
        with _unfused() if recurrent else nullcontext(), sdpa_kernel(SDPBackend.MATH):
            embedded = self.embed(tokens)
            raw = self._raw_outputs(self.encode(embedded, self.is_inside(tokens)), labels)
            (slope,) = torch.autograd.grad(raw.reshape(len(raw), -1).mean(dim=1).sum(), embedded, create_graph=True)
        gram = self.embedding.weight.T @ self.embedding.weight / len(self.embedding.weight)
        return raw, 0.5 * ((slope @ gram) * slope).sum(dim=(1, 2))

    def _encoded(self, x: Tensor) -> Tensor:
        """Features of tokens or relaxed tokens over any leading axes."""
        embedded, inside = self.embed(x), self.is_inside(x.detach())
        encoded = self.encode(embedded.reshape(-1, *embedded.shape[-2:]), inside.reshape(-1, inside.shape[-1]))
        return encoded.view(*embedded.shape[:-2], *encoded.shape[1:])

    def embed(self, x: Tensor) -> Tensor:
        """Vectors (..., D, E) of tokens (..., D) or relaxed ones (..., D, K)."""
        return x @ self.embedding.weight if x.is_floating_point() else self.embedding(x)

    def is_inside(self, x: Tensor) -> Tensor:
        """Which positions of tokens or relaxed ones belong to the sequences, (..., D)."""
        return before_end(x.argmax(dim=-1) if x.is_floating_point() else x, self.end)


@contextmanager
def _unfused() -> Iterator[None]:
    """Recurrent layers from differentiable steps. Not ``mkldnn.flags``: it sets TF32 as well, and warns."""
    enabled, *_ = torch.backends.mkldnn.set_flags(_enabled=False)
    try:
        with torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=enabled)


class TextCNN(TokenDiscriminator):
    """Convolutions of several widths, the largest response of each channel, a highway layer.

    SeqGAN's widths and channels are :data:`SEQGAN_WIDTHS` and :data:`SEQGAN_CHANNELS`. Positions after the end are
    seen as the end.

    Args:
        num_categories: K.
        num_positions: D.
        end: The category that ends a sequence; None for sequences of exactly D tokens.
        embedding_dim: Size of a token's vector.
        widths: Tokens that a convolution sees; those above D are left out.
        channels: Of all widths, or of each.
        dropout: Before the last layer.
        num_classes: Of the labels that a conditional discriminator takes; 0 for one without.

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
        num_classes: int = 0,
    ) -> None:
        super().__init__(num_categories, num_positions, end, embedding_dim)
        channels = [channels] * len(widths) if isinstance(channels, int) else channels
        if len(channels) != len(widths):
            raise ValueError(f"channels: expected one number per width, {len(widths)}, got {len(channels)}")
        used = [(width, number) for width, number in zip(widths, channels, strict=True) if width <= num_positions]
        if not used:
            raise ValueError(f"widths: expected one of at most {num_positions} tokens, got {list(widths)}")
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding_dim, number, width) for width, number in used)
        size = sum(number for _, number in used)
        self.highway = nn.Linear(size, 2 * size)
        nn.init.constant_(self.highway.bias[size:], -2.0)  # at first most of the input is carried through
        self.dropout = nn.Dropout(dropout)
        self.end_with(size, num_classes)

    def encode(self, embedded: Tensor, inside: Tensor) -> Tensor:
        """Features (N, F) from vectors (N, D, E)."""
        channels_first = embedded.transpose(1, 2)
        pooled = torch.cat([layer(channels_first).amax(dim=-1) for layer in self.convolutions], dim=-1)
        new, gate = self.highway(pooled).chunk(2, dim=-1)
        gate = torch.sigmoid(gate)
        return self.dropout(gate * torch.relu(new) + (1 - gate) * pooled)


class RecurrentDiscriminator(TokenDiscriminator):
    """One raw output per step: the log-ratio of the first t tokens; that of the sequence is the last.

    Args:
        num_categories: K.
        num_positions: D.
        end: The category that ends a sequence; None for sequences of exactly D tokens.
        embedding_dim: Size of a token's vector.
        hidden: Width of each recurrent layer.
        num_layers: Recurrent layers.
        dropout: On the vectors of the tokens and before the last layer.
        num_classes: Of the labels that a conditional discriminator takes; 0 for one without.
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
        num_classes: int = 0,
    ) -> None:
        super().__init__(num_categories, num_positions, end, embedding_dim)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.LSTM(embedding_dim, hidden, num_layers, batch_first=True)
        self.end_with(hidden, num_classes)

    def steps(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        r"""Log-ratio of every prefix, :math:`\log p_{data}(x_{\le t}) / p_g(x_{\le t})` in nats, (..., D).

        After the end it is that of the whole sequence, which no padding changes.
        """
        return self.outputs(x, labels)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees at the last token, (..., hidden)."""
        return self._encoded(x)[..., -1, :]

    def _raw_outputs(self, encoded: Tensor, labels: Tensor | None) -> Tensor:
        """Of every step, (..., B, D), from (..., B, D, hidden)."""
        return self._raw(encoded.transpose(-2, -3), labels).transpose(-1, -2)

    def encode(self, embedded: Tensor, inside: Tensor) -> Tensor:
        """Features of every step (N, D, hidden), after the end those of the last token."""
        hidden = self.dropout(self.rnn(self.dropout(embedded))[0])
        last = inside.sum(dim=-1, keepdim=True) - 1
        position = torch.arange(inside.shape[-1], device=inside.device)
        return hidden.take_along_dim(torch.minimum(position, last)[..., None], dim=-2)


class TransformerDiscriminator(TokenDiscriminator):
    """A small transformer encoder, averaged over the tokens of a sequence.

    Args:
        num_categories: K.
        num_positions: D.
        end: The category that ends a sequence; None for sequences of exactly D tokens.
        embedding_dim: Width throughout, a multiple of ``num_heads``.
        num_layers: Layers of the encoder.
        num_heads: Attention heads.
        dropout: Of the encoder.
        num_classes: Of the labels that a conditional discriminator takes; 0 for one without.

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
        num_classes: int = 0,
    ) -> None:
        super().__init__(num_categories, num_positions, end, embedding_dim)
        if embedding_dim % num_heads:
            raise ValueError(f"embedding_dim: expected a multiple of {num_heads} heads, got {embedding_dim}")
        self.positions = nn.Parameter(torch.randn(num_positions, embedding_dim) / math.sqrt(embedding_dim))
        layer = nn.TransformerEncoderLayer(
            embedding_dim, num_heads, 4 * embedding_dim, dropout, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 1, nn.LayerNorm(embedding_dim), enable_nested_tensor=False)
        for _ in range(num_layers - 1):  # one by one, so that a loading can end at more than a file holds
            self.encoder.layers.append(copy.deepcopy(layer))
        self.encoder.num_layers = num_layers
        self.end_with(embedding_dim, num_classes)

    def encode(self, embedded: Tensor, inside: Tensor) -> Tensor:
        """Features (N, E), the mean over the tokens that count."""
        encoded = self.encoder(embedded + self.positions, src_key_padding_mask=~inside)
        weights = inside.to(encoded.dtype) / inside.sum(dim=-1, keepdim=True)
        return (weights[..., None] * encoded).sum(dim=1)


def token_discriminator(
    kind: Literal["lstm", "cnn", "transformer"],
    num_categories: int,
    num_positions: int,
    *,
    end: int | None,
    width: int,
    dropout: float = 0.0,
    num_classes: int = 0,
) -> TokenDiscriminator:
    """A discriminator by name, as recipes build it.

    Args:
        kind: ``"lstm"`` (:class:`RecurrentDiscriminator`), ``"cnn"`` or ``"transformer"``.
        num_categories: K.
        num_positions: D.
        end: The category that ends a sequence; None for sequences of exactly D tokens.
        width: Hidden units, channels of each width, or size of the vectors.
        dropout: As of the class.
        num_classes: As of the class.

    Raises:
        ValueError: If the kind is unknown or the class refuses the width.
    """
    shape: dict[str, Any] = {"end": end, "dropout": dropout, "num_classes": num_classes}
    if kind == "lstm":
        return RecurrentDiscriminator(num_categories, num_positions, hidden=width, **shape)
    if kind == "cnn":
        return TextCNN(num_categories, num_positions, channels=width, **shape)
    if kind == "transformer":
        return TransformerDiscriminator(num_categories, num_positions, embedding_dim=width, **shape)
    raise ValueError(f"kind: expected lstm, cnn or transformer, got {kind!r}")
