"""Rows of tokens without their padding, and the n-grams in them.

The token ``end`` ends a row, and everything after the first ``end`` is padding. It is no token of the text: no
n-gram holds it, and no length counts it. ``end=None`` is for rows of fixed length, where every position is a token.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor


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
