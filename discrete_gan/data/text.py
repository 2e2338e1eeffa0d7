"""Reading text data sets: sequences of tokens for training, and others held out."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sized
from itertools import chain, compress
from typing import cast, get_args

import torch
from torch import Tensor

from discrete_gan.data.classes import Classes
from discrete_gan.data.formats import Corrupt
from discrete_gan.data.text_data import TextData, TextNotes
from discrete_gan.data.text_labels import are_single_words, find_labels, two_fields
from discrete_gan.data.text_lines import Lines, Source, TextReading, undecodable
from discrete_gan.data.text_sources import has_text_columns, read_source
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
    column: str | None = None,
    conditional: bool = False,
    label_column: str | None = None,
    label_bins: int | None = None,
    classes: Classes | None = None,
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
            ``hub:NAME[:CONFIG]`` or ``hub:FOLDER`` through the datasets library, or a .csv, .tsv, .jsonl or .parquet
            file.
        tokenizer: ``char``, ``word``, ``bpe``, a JSON file of the tokenizers library, or a vocabulary. If not given,
            ``char`` for equations, running text, and where most lines are a single word, else ``word``.
        column: Of the text, in data with columns; if not given, the one named ``text``, or the only one.
        conditional: Whether lines have classes: of equations their sign, else in ``label_column``, or of a file of
            lines before the first tab.
        label_column: Of the labels, in data with columns.
        label_bins: Cut labels that are numbers into so many classes, equally frequent in the training part.
        classes: What the classes are, where that is known: labels are numbered as there.
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
    limits: dict[str, int | None] = {"max_length": max_length, "window": window, "vocabulary_size": vocabulary_size}
    limits["label_bins"] = None if label_bins is None else label_bins - 1
    for argument, value in limits.items():
        if value is not None and value < 1:
            least = 2 if argument == "label_bins" else 1
            raise InputError(f"{argument}: expected at least {least}, got {value + least - 1}")
    if conditional and window is not None:
        raise InputError("conditional: expected lines with classes, pieces of running text (window) have none")
    for argument, given in {"label_column": label_column, "label_bins": label_bins}.items():
        if given is not None and not conditional:
            raise InputError(f"{argument} {given}: expected with conditional")
    if corrupt not in get_args(Corrupt):
        raise unknown_name("treatment of corrupt lines", corrupt, get_args(Corrupt))
    spec = "equations" if spec is None else os.fspath(spec)
    by_default = "char" if window or spec == "equations" else "word"
    kind, vocabulary = _find_tokenizer(by_default if tokenizer is None else tokenizer, vocabulary_size)
    reading = TextReading(column, conditional, label_column, corrupt, running=window is not None, seed=seed)
    name, read = _read(spec, held_out, reading)
    remarks = [f"{undecodable(lines)}, left out" for lines in read if lines.undecodable]
    pieces = [_cut(lines, window, by_word=kind != "char") if window else lines for lines in read]
    parts = [_only_short(part, remarks) for part in pieces]
    parts = parts if len(parts) == 2 else _split(parts[0], seed, remarks)
    remarks += two_fields(parts[0])
    if kind == "word" and vocabulary is None and not window and are_single_words(parts[0].texts):
        kind = _single_words(parts[0], remarks, asked=tokenizer is not None)
    if vocabulary is None:
        vocabulary = Vocabulary.learn(parts[0].texts, cast(Learnt, kind), vocabulary_size)
    else:
        vocabulary = vocabulary.joined_as(parts[0].texts)

    ids = [vocabulary.encode(part.texts) for part in parts]
    sizes = [len(tokens) for tokens in chain(*ids) if window or len(tokens) <= _LONGEST]
    length = max_length or max(sizes, default=_LONGEST)
    rows = [_to_rows(part, its, length, vocabulary, remarks) for part, its in zip(parts, ids, strict=True)]
    (train, of_train), (apart, of_apart) = rows
    _require(train, parts[0], "for training", remarks)
    num_kept = len(train) + len(apart)
    known = set(_digests(train))
    is_new = torch.tensor([digest not in known for digest in _digests(apart)], dtype=torch.bool)
    overlap = int((~is_new).sum())
    if overlap:
        remarks.append(f"{parts[1].where}: {overlap} held-out sequences are in the training part too, left out")
    apart, of_apart = apart[is_new], of_apart.kept(is_new.tolist())
    _require(apart, parts[1], "to be held out", remarks)
    found = find_labels(name, of_train, of_apart, bins=label_bins, known=classes) if conditional else None
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
    texts = vocabulary.decode(train), vocabulary.decode(apart)
    return TextData(name, vocabulary, train, apart, *texts, notes, *(found or (None, None, None)))


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


def _single_words(lines: Lines, remarks: list[str], *, asked: bool) -> Learnt:
    """The tokenizer of lines that are mostly a single word."""
    if not asked:
        remarks.append(f"{lines.where}: most lines are a single word: taken as characters, tokenizer=char")
        return "char"
    if 2 * sum(number == 1 for number in Counter(lines.texts).values()) > len(lines.texts):
        told = "most lines are a single word that no other line has, samples could only repeat them"
        raise InputError(f"{lines.where}: {told}: expected tokenizer char or bpe, got word")
    remarks.append(f"{lines.where}: most lines are a single word: tokenizer=char takes characters")
    return "word"


def _read(spec: str, held_out: Spec | None, reading: TextReading) -> tuple[str, list[Lines]]:
    """The name of the data, its lines, and those held out if they are lines of their own."""
    have_columns = [one for one in (spec, held_out) if one is not None and has_text_columns(one)]

    def read(one: Spec) -> Source:
        """With the columns that are named, unless the other part alone has such."""
        plain = reading._replace(column=None, label_column=None)
        return read_source(one, plain if have_columns and one not in have_columns else reading)

    source = read(spec)
    apart = source.held_out
    if held_out is not None:
        other = read(held_out)
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
    return part.kept(fits)


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
    return [lines.kept(side) for side in sides]


def _to_rows(
    part: Lines, ids: list[list[int]], length: int, vocabulary: Vocabulary, remarks: list[str]
) -> tuple[Tensor, Lines]:
    """Sequences that are short enough, and their lines."""
    fits = _up_to(length, map(len, ids), f"of over {length} tokens (max_length)", part, remarks)
    keeps = [fit and len(tokens) > 0 for fit, tokens in zip(fits, ids, strict=True)]
    return vocabulary.pad(list(compress(ids, keeps)), length), part.kept(keeps)


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
