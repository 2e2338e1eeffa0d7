"""Rows of tokens without their padding, the n-grams in them, and the metric that collects them.

The token ``end`` ends a row, and everything behind the first ``end`` is padding. It is no token of the text: no
n-gram holds it, and no length counts it. ``end=None`` is for rows of fixed length, where every position is a token.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class Sequences(NamedTuple):
    """Rows of any length: their tokens one row after the other, shape (T,), and the lengths, shape (N,); int64."""

    tokens: Tensor
    lengths: Tensor


def flatten(name: str, tokens: Tensor | Sequences, end: int | None) -> Sequences:
    """Rows without their padding.

    Args:
        name: What the caller calls the tokens, for the message.
        tokens: int64, shape (N, D); or the rows already without padding, returned as they are.
        end: The token that ends a row; None if all D positions are tokens.

    Raises:
        ValueError: If the shape is not (N, D), the type is not int64, or there is no row.
    """
    if not isinstance(tokens, Sequences):
        if tokens.ndim != 2 or tokens.dtype != torch.int64:
            raise ValueError(f"{name}: expected int64 of shape (N, D), got {tokens.dtype} of {tuple(tokens.shape)}")
        inside = torch.ones_like(tokens) if end is None else ((tokens == end).cumsum(1) == 0).long()
        tokens = Sequences(tokens[inside.bool()], inside.sum(1))
    if len(tokens.lengths) == 0:
        raise ValueError(f"{name}: expected at least 1 row, got 0")
    return tokens


def joined(first: Sequences, second: Sequences) -> Sequences:
    """The rows of the first and then those of the second, so that their n-grams share ids."""
    return Sequences(torch.cat([first.tokens, second.tokens]), torch.cat([first.lengths, second.lengths]))


class NGrams(NamedTuple):
    """All n-grams of one order: their ids in [0, size) and the rows they are in, both of shape (L,)."""

    ids: Tensor
    rows: Tensor
    size: int


def ngrams(sequences: Sequences, max_order: int) -> Iterator[NGrams]:
    """All n-grams, order by order, each distinct one with an id of its own.

    An n-gram is a pair, the (n-1)-gram it begins with and its last token, so ranking the pairs gives ids without
    collisions, however many tokens there are: a sort of the text for each order.

    Args:
        sequences: The rows.
        max_order: The largest n.

    Yields:
        The n-grams of order 1, 2, ..., max_order; none (size 0) where every row is shorter.
    """
    lengths = sequences.lengths
    rows = torch.repeat_interleave(lengths)
    starts = torch.arange(len(rows), device=rows.device)
    left = lengths.cumsum(0)[rows] - starts  # tokens from each position to the end of its row
    symbols, tokens = torch.unique(sequences.tokens, return_inverse=True)
    ids = torch.zeros_like(starts)
    for order in range(1, max_order + 1):
        fits = left[starts] >= order
        starts, ids = starts[fits], ids[fits]
        pairs, ids = torch.unique(ids * len(symbols) + tokens[starts + order - 1], return_inverse=True)
        yield NGrams(ids, rows[starts], len(pairs))


class RowCounts(NamedTuple):
    """How often an n-gram occurs in a row, one entry for each pair that occurs: row, id and count, shape (P,)."""

    rows: Tensor
    ids: Tensor
    counts: Tensor


def row_counts(grams: NGrams) -> RowCounts:
    """The n-grams of each row with their counts."""
    size = max(grams.size, 1)
    keys, counts = torch.unique(grams.rows * size + grams.ids, return_counts=True)
    return RowCounts(keys // size, keys % size, counts)


def row_ids(sequences: Sequences) -> Tensor:
    """An id for each row, equal exactly where the rows are, shape (N,).

    Neighbors are merged two by two into one id each, until at most one is left in each row.
    """
    tokens, lengths = sequences
    while len(tokens) > len(lengths) or (lengths > 1).any():
        rows = torch.repeat_interleave(lengths)
        ends = lengths.cumsum(0)[rows]
        position = torch.arange(len(tokens), device=tokens.device) - (ends - lengths[rows])
        symbols, tokens = torch.unique(tokens, return_inverse=True)
        first = (position % 2 == 0).nonzero()[:, 0]
        has_second = first + 1 < ends[first]
        second = torch.zeros_like(first)  # no neighbor, which differs from every token
        second[has_second] = tokens[first[has_second] + 1] + 1
        tokens = torch.unique(tokens[first] * (len(symbols) + 1) + second, return_inverse=True)[1]
        lengths = (lengths + 1) // 2
    ids = torch.full_like(lengths, -1)
    ids[lengths == 1] = torch.unique(tokens, return_inverse=True)[1]
    return ids


class SequenceMetric(Metric):
    """Base of the metrics that need all rows at once: collects them, on one process or several.

    Rows are kept without padding, so batches may differ in D if there is an ``end``.

    Args:
        end: The token that ends a row; None if all D positions are tokens.
        kwargs: Of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    full_state_update = False

    tokens: list[Tensor]
    lengths: list[Tensor]

    def __init__(self, end: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.end = end
        self.add_state("tokens", [], dist_reduce_fx="cat")
        self.add_state("lengths", [], dist_reduce_fx="cat")

    @property
    def dtype(self) -> torch.dtype:
        """Type of what a process without samples contributes; float32 would spoil the others' integers."""
        return torch.int64

    def update(self, tokens: Tensor) -> None:
        """Add samples.

        Args:
            tokens: int64, shape (N, D).

        Raises:
            ValueError: If the shape is not (N, D), or D differs from an earlier batch and there is no ``end``.
        """
        added = flatten("tokens", tokens.to(self.device), self.end)
        if self.end is None and self.lengths and len(self.tokens[0]) != len(self.lengths[0]) * tokens.shape[1]:
            width = len(self.tokens[0]) // len(self.lengths[0])
            raise ValueError(f"tokens: expected D = {width} as before, since there is no end, got {tokens.shape[1]}")
        self.tokens.append(added.tokens)
        self.lengths.append(added.lengths)

    def sequences(self) -> Sequences:
        """All rows so far.

        Raises:
            ValueError: If there is none.
        """
        if len(self.lengths) == 0:
            raise ValueError(f"{type(self).__name__}: needs at least 1 sample, got 0")
        return Sequences(dim_zero_cat(self.tokens), dim_zero_cat(self.lengths))
