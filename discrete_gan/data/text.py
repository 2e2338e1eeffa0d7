"""Reading text data sets: sequences of tokens for training, and others held out."""

import hashlib
import os
from collections.abc import Iterable, Sized
from itertools import chain, compress
from typing import cast, get_args

import torch
from torch import Tensor

from discrete_gan.data.formats import Corrupt
from discrete_gan.data.text_data import TextData, TextNotes
from discrete_gan.data.text_lines import Lines, undecodable
from discrete_gan.data.text_sources import read_source
from discrete_gan.data.vocabulary import KINDS, Learnt, Vocabulary
from discrete_gan.errors import InputError, unknown_name

_LONGEST = 256  # tokens, where max_length does not say more
_MOST_CHARACTERS = 100_000  # of a line: a longer one is no sequence, and tokenizers are slow on it
_HELD_OUT = (2**64 // 10).to_bytes(8, "big")  # hashes below it: a tenth of all

Spec = str | os.PathLike[str]


def load_text(
    spec: Spec | None = None,
    *,
    tokenizer: Spec | Vocabulary | None = None,
    column: str = "text",
    held_out: Spec | None = None,
    max_length: int | None = None,
    window: int | None = None,
    vocabulary_size: int | None = None,
    corrupt: Corrupt = "refuse",
    seed: int = 0,
) -> TextData:
    """Reads a text data set; each line is a sequence.

    A tenth of the lines is held out, chosen by a hash of ``seed`` and the line, so equal lines fall on the same side;
    unless the data set has a split ``test`` or ``validation`` or ``held_out`` names lines of its own.

    Args:
        spec: ``equations`` (generated, also if not given), a text file (plain, ``.gz`` or ``.xz``), or
            ``hub:NAME[:CONFIG]`` or ``hub:FOLDER`` through the datasets library.
        tokenizer: ``char``, ``word``, ``bpe``, a JSON file of the tokenizers library, or a vocabulary. If not given,
            ``char`` for equations and running text, else ``word``.
        column: Of the text, in a data set of the hub.
        held_out: Another file or name: its lines are held out; of a data set its split ``test`` or ``validation``, of
            equations their held-out part.
        max_length: D; longer sequences are left out. If not given, that of the longest one of at most 256.
        window: Take the lines as running text, cut into pieces of that many characters, or words if ``tokenizer`` is
            not ``char``; a shorter rest at the end is left out. Each piece is a sequence.
        vocabulary_size: As ``size`` in ``Vocabulary.learn``.
        corrupt: ``refuse`` lines that are not UTF-8, or ``skip`` them.
        seed: Of the hash, or of the equations. Global random states are neither read nor changed.

    Raises:
        InputError: If nothing is there, it cannot be read, or nothing is left for training or held out.
    """
    limits = {"max_length": max_length, "window": window, "vocabulary_size": vocabulary_size}
    for argument, value in limits.items():
        if value is not None and value < 1:
            raise InputError(f"{argument}: expected at least 1, got {value}")
    if corrupt not in get_args(Corrupt):
        raise unknown_name("treatment of corrupt lines", corrupt, get_args(Corrupt))
    spec = "equations" if spec is None else os.fspath(spec)
    by_default = "char" if window or spec == "equations" else "word"
    kind, vocabulary = _find_tokenizer(by_default if tokenizer is None else tokenizer, vocabulary_size)
    name, read = _read(spec, held_out, column, corrupt, running=window is not None, seed=seed)
    remarks = [f"{undecodable(lines)}, left out" for lines in read if lines.undecodable]
    pieces = [_cut(lines, window, by_word=kind != "char") if window else lines for lines in read]
    parts = [_only_short(part, remarks) for part in pieces]
    parts = parts if len(parts) == 2 else _split(parts[0], seed, remarks)
    if vocabulary is None:
        vocabulary = Vocabulary.learn(parts[0].texts, cast(Learnt, kind), vocabulary_size)

    ids = [vocabulary.encode(part.texts) for part in parts]
    sizes = [len(tokens) for tokens in chain(*ids) if window or len(tokens) <= _LONGEST]
    length = max_length or max(sizes, default=_LONGEST)
    train, apart = (_to_rows(part, its, length, vocabulary, remarks) for part, its in zip(parts, ids, strict=True))
    _require(train, parts[0], "for training", remarks)
    num_kept = len(train) + len(apart)
    known = set(_digests(train))
    is_new = torch.tensor([digest not in known for digest in _digests(apart)], dtype=torch.bool)
    overlap = int((~is_new).sum())
    if overlap:
        remarks.append(f"{parts[1].where}: {overlap} held-out sequences are in the training part too, left out")
    apart = apart[is_new]
    _require(apart, parts[1], "to be held out", remarks)
    if kind == "word" and not window and (train != vocabulary.end).sum(dim=1).double().median() <= 1:
        remarks.append(f"{parts[0].where}: most lines are a single word: tokenizer=char takes characters")
    without_token = sum(not tokens for tokens in chain(*ids))
    notes = TextNotes(
        lines=sum(lines.total for lines in read),
        empty=sum(lines.empty for lines in read) + without_token,
        undecodable=sum(len(lines.undecodable) for lines in read),
        too_long=sum(len(part.texts) for part in pieces) - num_kept - without_token,
        duplicates=len(train) - len(known),
        overlap=overlap,
        unknown_rate=_unknown_rate(apart, vocabulary),
        remarks=tuple(remarks),
    )
    return TextData(name, vocabulary, train, apart, vocabulary.decode(train), vocabulary.decode(apart), notes)


def _find_tokenizer(tokenizer: Spec | Vocabulary, size: int | None) -> tuple[str, Vocabulary | None]:
    """How text is cut, and the vocabulary unless it is to be learnt."""
    if not isinstance(tokenizer, Vocabulary):
        tokenizer = os.fspath(tokenizer)
        if tokenizer in KINDS:
            return tokenizer, None
        if not tokenizer.endswith(".json"):
            raise unknown_name("tokenizer", tokenizer, (*KINDS, "FILE.json"))
        tokenizer = Vocabulary.load(tokenizer)
    if size is not None:
        raise InputError(f"vocabulary_size {size}: expected none with a tokenizer that has its tokens already")
    return tokenizer.kind, tokenizer


def _read(
    spec: str, held_out: Spec | None, column: str, corrupt: Corrupt, *, running: bool, seed: int
) -> tuple[str, list[Lines]]:
    """The name of the data, its lines, and those held out if they are lines of their own."""
    source = read_source(spec, column=column, corrupt=corrupt, running=running, seed=seed)
    apart = source.held_out
    if held_out is not None:
        other = read_source(held_out, column=column, corrupt=corrupt, running=running, seed=seed)
        apart = other.held_out or other.train
    return source.name, [source.train] if apart is None else [source.train, apart]


def _cut(lines: Lines, window: int, *, by_word: bool) -> Lines:
    """Consecutive pieces of running text; a shorter rest is left out."""
    text = "\n".join(lines.texts)
    units = text.split() if by_word else text
    starts = range(0, len(units) - window + 1, window)
    if not starts:
        unit = "words" if by_word else "characters"
        raise InputError(f"window {window}: expected at most the {len(units)} {unit} of {lines.where}")
    pieces = [(" " if by_word else "").join(units[start : start + window]) for start in starts]
    return lines._replace(unit="piece", texts=pieces, numbers=list(range(1, len(pieces) + 1)))


def _only_short(part: Lines, remarks: list[str]) -> Lines:
    fits = _up_to(_MOST_CHARACTERS, map(len, part.texts), f"of over {_MOST_CHARACTERS:,} characters", part, remarks)
    return part._replace(texts=list(compress(part.texts, fits)), numbers=list(compress(part.numbers, fits)))


def _up_to(most: int, sizes: Iterable[int], what: str, part: Lines, remarks: list[str]) -> list[bool]:
    """Which lines are short enough; a remark says how many are not, and which is the first."""
    fits = [size <= most for size in sizes]
    if not all(fits):
        first = f"{part.unit} {part.numbers[fits.index(False)]}"
        remarks.append(f"{part.where}: {fits.count(False)} of {len(fits)} {part.unit}s {what} left out, first {first}")
    return fits


def _split(lines: Lines, seed: int, remarks: list[str]) -> list[Lines]:
    """Training and held-out lines, by a hash of each; the lowest is held out and the highest never."""
    hashes = [hashlib.blake2b(f"{seed}\n{text}".encode(), digest_size=8).digest() for text in lines.texts]
    _require(hashes, lines, "for training", remarks)
    if min(hashes) == max(hashes):
        found = f"all {lines.unit}s are equal" if len(hashes) > 1 else f"there is only one {lines.unit}"
        hint = "a smaller window" if lines.unit == "piece" else "more lines, or a window of running text"
        raise InputError(f"{lines.where}: {found}, none can be held out: expected {hint}")
    threshold = min(max(_HELD_OUT, min(hashes) + b"\0"), max(hashes))
    sides = [[digest >= threshold for digest in hashes], [digest < threshold for digest in hashes]]
    return [
        lines._replace(texts=list(compress(lines.texts, side)), numbers=list(compress(lines.numbers, side)))
        for side in sides
    ]


def _to_rows(part: Lines, ids: list[list[int]], length: int, vocabulary: Vocabulary, remarks: list[str]) -> Tensor:
    fits = _up_to(length, map(len, ids), f"of over {length} tokens (max_length)", part, remarks)
    return vocabulary.pad([tokens for tokens in compress(ids, fits) if tokens], length)


def _digests(rows: Tensor) -> list[bytes]:
    """Equal for equal rows, and smaller than they are."""
    return [hashlib.blake2b(row, digest_size=16).digest() for row in rows.numpy()]


def _require(rows: Sized, part: Lines, side: str, remarks: list[str]) -> None:
    if not len(rows):
        raise InputError("; ".join([f"{part.where}: nothing is left {side}", *remarks]))


def _unknown_rate(tokens: Tensor, vocabulary: Vocabulary) -> float:
    if vocabulary.unknown is None:
        return 0.0
    return float((tokens == vocabulary.unknown).sum() / (tokens != vocabulary.end).sum())
