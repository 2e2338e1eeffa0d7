"""What a text data set looks like, as a few lines to read."""

import torch
from torch import Tensor

from discrete_gan.data.classes import printable
from discrete_gan.data.text_data import TextData
from discrete_gan.data.vocabulary import Vocabulary

_NUM_BARS = 8
_BAR = 40  # characters of the longest
_NUM_NAMED = 10


def report_text(data: TextData) -> str:
    """Counts, lengths with a histogram, vocabulary, and what was left out."""
    notes, vocabulary = data.notes, data.vocabulary
    lengths = torch.cat([_lengths(part, vocabulary.end) for part in (data.train, data.held_out)])
    counts = data.train.flatten().bincount(minlength=vocabulary.size)[: vocabulary.end]
    lines = [
        f"{data.name}: {notes.lines:,} lines, {notes.empty:,} of them empty",
        f"sequences  {len(data.train):,} for training, {len(data.held_out):,} held out",
        f"lengths    min {lengths.min()}, median {lengths.median()}, mean {lengths.double().mean():.1f}, "
        f"max {lengths.max()} tokens; D = {data.max_length}",
        *_histogram(lengths),
        f"vocabulary K = {vocabulary.size:,} ({vocabulary.kind}, and the end); {int((counts == 1).sum()):,} seen once",
        *_classes(data),
        f"frequent   {_frequent(counts, vocabulary)}",
        f"unknown    {notes.unknown_rate:.2%} of the held-out tokens",
        f"repeated   {notes.duplicates:,} training sequences; {notes.overlap:,} held-out ones that training has too",
        f"left out   {notes.undecodable:,} lines that are not UTF-8, {notes.too_long:,} that are too long",
        *(f"           {remark}" for remark in notes.remarks),
    ]
    return "\n".join(lines)


def _classes(data: TextData) -> list[str]:
    """How many training sequences are of each class."""
    if data.classes is None or data.train_labels is None:
        return []
    counts = data.train_labels.bincount(minlength=len(data.classes.names)).tolist()
    named = [f"{printable(name)} {count:,}" for name, count in zip(data.classes.names, counts, strict=True)]
    more = f", ... ({len(named)} in all)" if len(named) > _NUM_NAMED else ""
    return [f"classes    {', '.join(named[:_NUM_NAMED])}{more}"]


def _lengths(tokens: Tensor, end: int) -> Tensor:
    return (tokens != end).sum(dim=1)


def _histogram(lengths: Tensor) -> list[str]:
    """A bar for each of at most eight ranges of equal width."""
    low, high = int(lengths.min()), int(lengths.max())
    width = (high - low) // _NUM_BARS + 1
    counts = ((lengths - low) // width).bincount().tolist()
    label = len(str(high))
    return [
        f"  {low + index * width:>{label}}-{low + (index + 1) * width - 1:<{label}} {count:>9,} "
        f"{'#' * round(_BAR * count / max(counts))}".rstrip()
        for index, count in enumerate(counts)
    ]


def _frequent(counts: Tensor, vocabulary: Vocabulary) -> str:
    tokens = [index for index in counts.argsort(descending=True, stable=True)[:_NUM_NAMED].tolist() if counts[index]]
    texts = vocabulary.decode(torch.tensor(tokens)[:, None])
    return ", ".join(f"{text!r} {int(counts[index]):,}" for text, index in zip(texts, tokens, strict=True))
