"""What the text loader returns."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from discrete_gan.data.classes import Classes
from discrete_gan.data.vocabulary import Vocabulary


class TextNotes(NamedTuple):
    """What happened to the lines, of both parts together.

    Attributes:
        lines: Lines read.
        empty: Lines without text, left out; kept in running text.
        undecodable: Lines that are not UTF-8, left out.
        too_long: Lines or pieces of too many tokens or characters, left out.
        duplicates: Training sequences that repeat an earlier one; they are kept.
        overlap: Held-out sequences that are also in the training part, left out.
        unknown_rate: Fraction of the held-out tokens that the vocabulary lacks.
        remarks: Sentences on what was left out, with the numbers of the first lines.
    """

    lines: int
    empty: int
    undecodable: int
    too_long: int
    duplicates: int
    overlap: int
    unknown_rate: float
    remarks: tuple[str, ...]


@dataclass(frozen=True, eq=False)  # Comparing tensors has no single truth value; compare fingerprints.
class TextData:
    """A text data set, whole, as tensors: D tokens per row, ``vocabulary.end`` after shorter sequences.

    Attributes:
        name: What to call it in titles and file names.
        vocabulary: Learnt from the training part, or given.
        train: Token indices, int64, shape (N, D).
        held_out: As ``train``; no row of it is in ``train``.
        train_lines: The rows of ``train`` as text, exactly what ``vocabulary.decode`` makes of them.
        held_out_lines: The rows of ``held_out`` as text.
        notes: What was left out.
        classes: What the labels are called; None where lines have none.
        train_labels: Of the training sequences, int64, shape (N,).
        held_out_labels: Of the others.
    """

    name: str
    vocabulary: Vocabulary
    train: Tensor
    held_out: Tensor
    train_lines: list[str]
    held_out_lines: list[str]
    notes: TextNotes
    classes: Classes | None = None
    train_labels: Tensor | None = None
    held_out_labels: Tensor | None = None

    @property
    def max_length(self) -> int:
        """D, tokens of the longest sequence that fits."""
        return self.train.shape[1]

    @property
    def num_categories(self) -> int:
        """K, tokens and ``end``."""
        return self.vocabulary.size

    def summary(self) -> dict[str, object]:
        """What a run's config.json says of its data."""
        counts = {name: value for name, value in self.notes._asdict().items() if name != "remarks"}
        return {
            "name": self.name,
            "num_train": len(self.train),
            "num_held_out": len(self.held_out),
            "max_length": self.max_length,
            "num_categories": self.num_categories,
            "tokenizer": self.vocabulary.kind,
            **({} if self.classes is None else {"classes": list(self.classes.names)}),
            "counts": counts,
            "fingerprint": self.fingerprint(),
        }

    def fingerprint(self) -> str:
        """16 hex digits that change with any sequence or token, and not with the name or the device."""
        tokens = sorted(self.vocabulary.tokens.items(), key=lambda item: (item[1], item[0]))
        digest = hashlib.blake2b(repr(tokens).encode("utf-8", "backslashreplace"), digest_size=8)
        labels = [each for each in (self.train_labels, self.held_out_labels) if each is not None]
        for part in (self.train, self.held_out, *labels):
            digest.update(repr(tuple(part.shape)).encode())
            digest.update(part.cpu().contiguous().numpy().data)
        return digest.hexdigest()
