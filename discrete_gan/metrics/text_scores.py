"""Scores of generated lines of text, each with its protocol and with what real text gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_choice
from discrete_gan.metrics.bleu import EPSILON, bleu, self_bleu, self_sentence_bleu, sentence_bleu
from discrete_gan.metrics.diversity import distinct_n, distinct_samples
from discrete_gan.metrics.ngram_divergence import ngram_js
from discrete_gan.metrics.ngrams import Sequences

# Part of every signature: to be raised when the same name comes to mean another number.
VERSION = 1


@dataclass(frozen=True)
class TextScores:
    """Scores of a set of sample lines.

    Attributes:
        values: By name: ``bleu2`` to ``bleu5`` against held-out lines, ``self_bleu2`` to ``self_bleu5``, ``js1`` to
            ``js6`` in bits against held-out lines, ``distinct1`` to ``distinct4``, ``distinct_samples``, ``copied``
            (the fraction that are training lines) and ``mean_length`` in units.
        real: The same of ``num_real`` training lines scored as if they were generated, without ``copied``. Its
            ``js1`` to ``js6`` are the floor.
        signatures: By name, everything that a value depends on besides the samples: values compare where the
            signatures are equal.
        num_samples: Samples scored.
        num_real: Training lines behind ``real``: ``num_samples`` unless the data has fewer.
        num_held_out: Held-out lines.
        mean_length_held_out: Of the held-out lines, in units.
        unit: What is counted, "word" or "char".
    """

    values: dict[str, float]
    real: dict[str, float]
    signatures: dict[str, str]
    num_samples: int
    num_real: int
    num_held_out: int
    mean_length_held_out: float
    unit: str

    def lines(self) -> list[str]:
        """A few plain lines for the terminal, real text in parentheses."""

        def row(title: str, names: list[str], rest: str = "") -> str:
            values, real = (" ".join(f"{x[name]:#.3g}" for name in names) for x in (self.values, self.real))
            return f"{title:<18}{values} ({real}){rest}"

        families = {
            "bleu2": "BLEU",
            "self_bleu2": "self-BLEU",
            "js1": "JS",
            "distinct1": "distinct",
            "copied": "copied",
        }
        return [
            row("BLEU-2..5", [f"bleu{n}" for n in range(2, 6)]),
            row("self-BLEU-2..5", [f"self_bleu{n}" for n in range(2, 6)]),
            row("JS-1..6", [f"js{n}" for n in range(1, 7)], " bits"),
            row("distinct-1..4", [f"distinct{n}" for n in range(1, 5)]),
            row("distinct samples", ["distinct_samples"], f", copied from training {self.values['copied']:#.3g}"),
            row("mean length", ["mean_length"], f" {self.unit}s, held-out lines {self.mean_length_held_out:#.3g}"),
            f"{'protocol':<18}{self.num_samples:,} samples against {self.num_held_out:,} held-out lines "
            f"(in parentheses {self.num_real:,} training lines)",
            *(f"{'':<18}{title}{self.signatures[name].removeprefix(name)}" for name, title in families.items()),
        ]

    def as_dict(self) -> dict[str, object]:
        """Everything as plain numbers, strings and dictionaries, ready for JSON."""
        return {
            **self.values,
            "mean_length_held_out": self.mean_length_held_out,
            "num_samples": self.num_samples,
            "num_held_out": self.num_held_out,
            "real": {**self.real, "num_samples": self.num_real},
            "signatures": self.signatures,
        }


class TextScorer:
    """Scores sample lines again and again against the same real text.

    Args:
        train: Training lines, at least 2.
        held_out: Held-out lines, at least 1: the reference.
        unit: Count words, split at white space, or characters.
        split: Names the split of the data in the signatures, such as a hash of it.
        max_references: BLEU takes at most so many of the held-out lines, always the same choice; None for all.

    Raises:
        ValueError: If there are too few lines or the unit is unknown.
    """

    def __init__(
        self,
        train: Sequence[str],
        held_out: Sequence[str],
        *,
        unit: Literal["word", "char"] = "word",
        split: str = "",
        max_references: int | None = None,
    ) -> None:
        check_choice("unit", unit, ("word", "char"))
        check_at_least("train", len(train), 2, "lines, for self-BLEU of real text")
        check_at_least("held_out", len(held_out), 1, "line")
        check_at_least("max_references", 1 if max_references is None else max_references, 1)
        self.unit = unit
        self.split = split or "unknown"
        self._train = train
        self._known = {self._normal(line) for line in train}
        self._train_order = _order(len(train))
        self._ids: dict[str, int] = {}
        self._held_out = self._encode(held_out, self._ids)
        chosen = _order(len(held_out))[:max_references]
        self._references = self._encode([held_out[i] for i in chosen], self._ids)
        self._real: dict[int, dict[str, float]] = {}

    def __call__(self, samples: Sequence[str]) -> TextScores:
        """Scores of generated lines.

        Args:
            samples: The lines, at least 2; empty ones count as samples without units.

        Raises:
            ValueError: If there are fewer than 2.
        """
        check_at_least("samples", len(samples), 2, "lines, for self-BLEU")
        num_real = min(len(samples), len(self._train))
        if num_real not in self._real:
            self._real[num_real] = self._values([self._train[i] for i in self._train_order[:num_real]])
        copied = sum(self._normal(line) in self._known for line in samples) / len(samples)
        return TextScores(
            values={**self._values(samples), "copied": copied},
            real=self._real[num_real],
            signatures=self.signatures(len(samples)),
            num_samples=len(samples),
            num_real=num_real,
            num_held_out=len(self._held_out.lengths),
            mean_length_held_out=self._held_out.lengths.double().mean().item(),
            unit=self.unit,
        )

    def by_sample(self, samples: Sequence[str]) -> dict[str, Tensor]:
        """Of each sample what the values that are means over samples are means of, shape (N,): BLEU, self-BLEU, copied.

        Raises:
            ValueError: If there are fewer than 2 samples.
        """
        check_at_least("samples", len(samples), 2, "lines, for self-BLEU")
        lines = self._encode(samples, self._ids.copy())
        families = {
            "bleu": sentence_bleu(lines, self._references, max_order=5, end=None),
            "self_bleu": self_sentence_bleu(lines, max_order=5, end=None),
        }
        values = {f"{name}{n}": row for name, rows in families.items() for n, row in enumerate(rows, 2)}
        copied = torch.tensor([self._normal(line) in self._known for line in samples], dtype=torch.float64)
        return {**values, "copied": copied}

    def _units(self, line: str) -> list[str]:
        return line.split() if self.unit == "word" else list(line)

    def _normal(self, line: str) -> str:
        """Equal exactly for lines of equal units."""
        return " ".join(line.split()) if self.unit == "word" else line

    def _encode(self, lines: Sequence[str], ids: dict[str, int]) -> Sequences:
        """Tokens of lines; a unit that ``ids`` lacks is added to it."""
        units = [self._units(line) for line in lines]
        tokens = [ids.setdefault(unit, len(ids)) for row in units for unit in row]
        return Sequences(torch.tensor(tokens, dtype=torch.int64), torch.tensor([len(row) for row in units]))

    def _values(self, lines: Sequence[str]) -> dict[str, float]:
        samples = self._encode(lines, self._ids.copy())
        families = {
            "bleu": (2, bleu(samples, self._references, max_order=5, end=None)),
            "self_bleu": (2, self_bleu(samples, max_order=5, end=None)),
            "js": (1, ngram_js(samples, self._held_out, max_order=6, end=None)),
            "distinct": (1, distinct_n(samples, max_order=4, end=None)),
        }
        return {
            **{f"{name}{n}": v for name, (first, x) in families.items() for n, v in enumerate(x.tolist(), first)},
            "distinct_samples": distinct_samples(samples, end=None).item(),
            "mean_length": samples.lengths.double().mean().item(),
        }

    def signatures(self, num_samples: int) -> dict[str, str]:
        """By name, what each value of so many samples depends on besides them."""
        references, held_out = len(self._references.lengths), len(self._held_out.lengths)
        smooth = f"smooth:method1-{EPSILON}"
        protocols = {
            **{f"bleu{n}": [f"refs:{references}", smooth] for n in range(2, 6)},
            **{f"self_bleu{n}": ["refs:others", smooth] for n in range(2, 6)},
            **{f"js{n}": [f"refs:{held_out}", "base:2"] for n in range(1, 7)},
            **{f"distinct{n}": [] for n in range(1, 5)},
            "distinct_samples": [],
            "mean_length": [],
            "copied": [f"train:{len(self._train)}"],
        }
        shared = [f"unit:{self.unit}", f"split:{self.split}", f"v:{VERSION}"]
        return {name: "|".join([name, f"n:{num_samples}", *own, *shared]) for name, own in protocols.items()}


def _order(count: int) -> list[int]:
    """A fixed order of so many lines: what is taken from its front depends on nothing but the count."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
