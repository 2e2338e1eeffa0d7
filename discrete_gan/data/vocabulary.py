"""Text as token indices and back, around a tokenizer of Hugging Face's ``tokenizers``."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from discrete_gan.data.extras import nearest_path, one_line, require
from discrete_gan.data.tokenizer_file import check_tokenizer
from discrete_gan.errors import InputError, unknown_name
from discrete_gan.writing import write_aside

if TYPE_CHECKING:  # Importing this module needs no tokenizers.
    from tokenizers import Tokenizer

UNKNOWN = "<unk>"
_BPE_SIZE = 2000
_BYTES = 256
_LOOKED_AT = 1000  # lines, for how tokens are joined
_CHUNK = 10_000  # lines encoded at a time: what the library returns for a line takes kilobytes
# What str.split takes for white space; without the four separators that \s leaves out, learning would differ.
_BLANKS = r"[\s\x1c-\x1f]+"

Learnt = Literal["char", "word", "bpe"]
Kind = Literal["char", "word", "bpe", "other"]

KINDS: tuple[Learnt, ...] = get_args(Learnt)


class Vocabulary:
    """Tokens and the category after them that ends a sequence: K = number of tokens + 1, ``end`` = K - 1.

    Args:
        tokenizer: Its token ids are the categories.
        kind: How it cuts text; ``other`` for a tokenizer of the user's.
        split: Cuts a line into tokens that are then looked up, instead of the tokenizer's own way.

    Attributes:
        size: K.
        end: The category that ends a sequence.
        unknown: The token of everything that the vocabulary lacks; None where it lacks nothing, as with bytes.
    """

    def __init__(
        self, tokenizer: "Tokenizer", kind: Kind, *, split: Callable[[str], Sequence[str]] | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self.kind: Kind = kind
        self._split = split
        self.tokens = tokenizer.get_vocab()
        self.size = max(self.tokens.values()) + 2  # Some tokenizers leave ids out.
        self.end = self.size - 1
        self.unknown = _find_unknown(tokenizer)
        # Thirty times as fast as asking the library for each of a million short lines.
        self._by_character = (
            kind == "char" and split is None and self.unknown is not None and not tokenizer.get_added_tokens_decoder()
        )
        if self._by_character:
            names = {index: token for token, index in self.tokens.items()}
            self._characters = [names.get(index, "") for index in range(max(self.end, *names) + 1)]
            self._sizes = np.array([len(name) for name in self._characters])

    @classmethod
    def learn(cls, lines: Iterable[str], kind: Learnt, size: int | None = None) -> "Vocabulary":
        """Learns the tokens of lines of text.

        Args:
            lines: Training lines.
            kind: ``char``: each Unicode code point is a token, blanks too. ``word``: text is split at white space.
                ``bpe``: merged pairs of bytes, which encode any text.
            size: Characters or words to keep, the most frequent ones, all if not given; or the number of tokens of
                ``bpe``, 2,000 if not given, fewer if the lines have no more pairs.

        Raises:
            InputError: If ``kind`` is unknown or ``size`` too small.
        """
        if kind not in KINDS:
            raise unknown_name("tokenizer", kind, KINDS)
        least = _BYTES if kind == "bpe" else 1
        if size is not None and size < least:
            raise InputError(f"vocabulary_size: expected at least {least} with tokenizer {kind}, got {size}")
        if kind == "bpe":
            return cls(_learn_bpe(lines, size or _BPE_SIZE), kind)
        counts = Counter(chain.from_iterable(lines if kind == "char" else map(str.split, lines)))
        del counts[UNKNOWN]
        # Ties in alphabetical order, so that the order of the lines does not matter.
        kept = sorted(counts, key=lambda token: (-counts[token], token))[:size]
        return cls(_lookup([UNKNOWN, *kept], kind), kind)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Reads a JSON file of the tokenizers library, its padding and truncation left aside.

        Raises:
            InputError: If there is none.
        """
        path = Path(path).expanduser()
        tokenizers = require("tokenizers", "tokenizers", f"{path}: reading it")
        if not path.exists() or path.is_dir():
            raise InputError(f"no tokenizer at {str(path)!r}: {nearest_path(path)}expected a JSON file of tokenizers")
        content = check_tokenizer(path)
        try:
            tokenizer = tokenizers.Tokenizer.from_str(content)
        except Exception as error:  # The library raises plain Exception.
            raise InputError(f"{path}: expected a JSON file of tokenizers: {one_line(error)}") from error
        if not tokenizer.get_vocab():
            raise InputError(f"{path}: the tokenizer has no tokens")
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(tokenizer, _find_kind(tokenizer))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a JSON file that ``tokenizers.Tokenizer.from_file`` reads too; ``split`` is not part of it."""
        write_aside(Path(path), lambda file: file.write(self.tokenizer.to_str().encode()))

    def joined_as(self, lines: Sequence[str]) -> "Vocabulary":
        """One that writes tokens as they stand in these lines, where the tokenizer does not say how they are joined.

        Without a decoder the library puts blanks between tokens: right for words, and for pieces of a molecule not.
        """
        if self.kind != "other" or self.tokenizer.decoder is not None or self._split is not None:
            return self
        from tokenizers import Tokenizer, decoders

        looked_at = list(lines[:_LOOKED_AT])
        ids = self.encode(looked_at)
        fused = Tokenizer.from_str(self.tokenizer.to_str())
        fused.decoder = decoders.Fuse()
        right = [
            sum(map(str.__eq__, looked_at, one.decode_batch(ids, skip_special_tokens=False)))
            for one in (self.tokenizer, fused)
        ]
        return Vocabulary(fused, self.kind) if right[1] > right[0] else self

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Token indices of each line, without ``end``.

        Raises:
            InputError: If the vocabulary has no unknown token and lacks a token, or may drop what it lacks.
        """
        if self._split is not None:
            return [[self._look_up(token) for token in self._split(line)] for line in lines]
        if self.unknown is None and not _encodes_anything(self.tokenizer):
            raise InputError("the tokenizer drops what it lacks: expected one with an unknown token, or one of bytes")
        if self._by_character:
            of, unknown = self.tokens.get, self.unknown
            return [[of(character, unknown) for character in line] for line in lines]  # pyright: ignore[reportReturnType]
        ids: list[list[int]] = []
        for start in range(0, len(lines), _CHUNK):
            chunk = list(lines[start : start + _CHUNK])
            ids += [line.ids for line in self.tokenizer.encode_batch_fast(chunk, add_special_tokens=False)]
        return ids

    def _look_up(self, token: str) -> int:
        index = self.tokens.get(token, self.unknown)
        if index is None:
            raise InputError(f"{token!r} is not in the vocabulary, which has no unknown token")
        return index

    def pad(self, ids: Sequence[Sequence[int]], length: int) -> Tensor:
        """Sequences as rows of one tensor, ``end`` after each.

        Args:
            ids: Token indices of each sequence.
            length: D, at least the longest sequence; one of exactly that length has no ``end``.

        Returns:
            int64, shape (N, D).

        Raises:
            ValueError: If a sequence is longer.
        """
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        if lengths.max(initial=0) > length:
            raise ValueError(f"ids: expected sequences of at most length = {length} tokens, got {lengths.max()}")
        rows = np.full((len(ids), length), self.end)
        rows[np.arange(length) < lengths[:, None]] = np.fromiter(chain.from_iterable(ids), dtype=np.int64)
        return torch.from_numpy(rows)

    def decode(self, tokens: Tensor) -> list[str]:
        """Text of each row up to its first ``end``; an unknown token is written as its name, such as ``<unk>``.

        Args:
            tokens: Token indices, shape (N, D).
        """
        rows = tokens.cpu().numpy()
        if self._by_character:
            return list(chain.from_iterable(map(self._joined, np.array_split(rows, len(rows) // _CHUNK + 1))))
        ends = np.where((rows == self.end).any(axis=1), (rows == self.end).argmax(axis=1), rows.shape[1])
        ids = [row[:end].tolist() for row, end in zip(rows, ends, strict=True)]
        return self.tokenizer.decode_batch(ids, skip_special_tokens=False)

    def _joined(self, rows: np.ndarray) -> list[str]:
        """Characters of each row up to its end: one text of them all, cut where the rows are."""
        rows = np.where(np.logical_or.accumulate(rows == self.end, axis=1), self.end, rows)
        text = "".join(map(self._characters.__getitem__, rows.ravel().tolist()))
        stops = self._sizes[rows].sum(axis=1).cumsum().tolist()
        return [text[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def _lookup(tokens: Sequence[str], kind: Literal["char", "word"]) -> "Tokenizer":
    """A tokenizer that looks characters or words up; the first token is the unknown one."""
    require("tokenizers", "tokenizers", "text")
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    table = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(table, unk_token=tokens[0]))
    if kind == "char":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
    else:  # Without a decoder, tokens are joined by blanks.
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_BLANKS), "removed")
    return tokenizer


def _learn_bpe(lines: Iterable[str], size: int) -> "Tokenizer":
    require("tokenizers", "tokenizers", "text")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def _find_unknown(tokenizer: "Tokenizer") -> int | None:
    model = json.loads(tokenizer.to_str())["model"]
    if "unk_id" in model:  # Unigram
        return model["unk_id"]
    return None if model.get("unk_token") is None else tokenizer.token_to_id(model["unk_token"])


def _encodes_anything(tokenizer: "Tokenizer") -> bool:
    try:  # A rare Chinese character, in hardly anyone's vocabulary.
        return len(tokenizer.encode("\U0002a6a5", add_special_tokens=False).ids) > 0
    except Exception:  # The library raises plain Exception.
        return False


def _find_kind(tokenizer: "Tokenizer") -> Kind:
    """The kind of a tokenizer that was learnt here; ``other`` for any other one."""

    def steps(one: "Tokenizer") -> list[Any]:
        state = json.loads(one.to_str())
        return [state[step] for step in ("normalizer", "pre_tokenizer", "decoder")] + [state["model"]["type"]]

    for kind in KINDS:
        if steps(Vocabulary.learn(["a"], kind).tokenizer) == steps(tokenizer):
            return kind
    return "other"
