"""Scores of generated lines of text, each with its protocol and with what real text gets."""

import collections
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_choice
from discrete_gan.metrics.bleu import EPSILON, bleu, self_bleu, self_sentence_bleu, sentence_bleu
from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.metrics.diversity import distinct_n, distinct_samples
from discrete_gan.metrics.ngram_divergence import ngram_js
from discrete_gan.metrics.ngrams import Sequences
from discrete_gan.tasks.score import Score

# Part of every signature: to be raised when the same name comes to mean another number.
VERSION = 1


_OF_SIZE = ("self_bleu", "js", "distinct")  # these are others of fewer lines
_NGRAMS = {"bleu": range(2, 6), "self_bleu": range(2, 6), "js": range(1, 7), "distinct": range(1, 5)}


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

    def scores(self, samples: Sequence[str], *, intervals: bool = False, protocol: str = "") -> list[Score]:
        """Scores of generated lines, with what as many training lines get that are scored as if they were generated.

        Where there are fewer training lines, the unit of scores that depend on the number says of how many.

        BLEU of 2 to 5 grams against held-out lines, self-BLEU, Jensen-Shannon divergence of 1 to 6 grams, distinct
        grams, distinct samples, copies of training lines, and the mean length.

        Args:
            samples: The lines, at least 2; empty ones count as samples without units.
            intervals: Whether to give those that are means over samples a 95 % interval.
            protocol: How the samples were drawn, at the end of each score's own.

        Raises:
            ValueError: If there are fewer than 2.
        """
        check_at_least("samples", len(samples), 2, "lines, for self-BLEU")
        num_real = min(len(samples), len(self._train))
        if num_real not in self._real:
            self._real[num_real] = self._values([self._train[i] for i in self._train_order[:num_real]])
        real, signatures = self._real[num_real], self.signatures(len(samples))
        values = self._values(samples)
        values["copied"] = sum(self._normal(line) in self._known for line in samples) / len(samples)
        found = []
        for score in self._described():
            of = signatures[score.name].partition("|")[2] + protocol
            value, floor, unit = values[score.name], real.get(score.name), score.unit
            if floor is not None and num_real < len(samples) and score.name.startswith(_OF_SIZE):
                unit = f"{unit}; real data: of {num_real:,} lines".removeprefix("; ")
            found.append(score._replace(value=value, unit=unit, real=floor, protocol=of))
        if not intervals:
            return found
        rows = self.by_sample(samples)
        return [score.within(mean_interval(rows[score.name])) if score.name in rows else score for score in found]

    def _described(self) -> list[Score]:
        """Every score without its value, the most telling first."""
        families = {
            "bleu": ("BLEU", "", "more", None),
            "self_bleu": ("self-BLEU", "", "less", None),
            "js": ("Jensen-Shannon-{n}", "bits", "less", 0),
            "distinct": ("distinct-{n}", "of all {n}-grams", "more", None),
        }
        found = []
        for family, (label, unit, better, perfect) in families.items():
            for n in _NGRAMS[family]:
                title = label.format(n=n) if "{n}" in label else f"{label}-{n}"
                found.append(Score(f"{family}{n}", math.nan, title, unit.format(n=n), better, perfect))
        length = f"{self.unit}s, of held-out lines {self._held_out.lengths.double().mean().item():.4g}"
        return [
            *found,
            Score("distinct_samples", math.nan, "distinct samples", "per sample", "more", 1),
            Score("copied", math.nan, "copied", "of samples that are training lines", "less"),
            Score("mean_length", math.nan, "mean length", length),
        ]

    def by_sample(self, samples: Sequence[str]) -> dict[str, Tensor]:
        """What values that are means over samples are means of, shape (N,): BLEU, self-BLEU, copied and distinct.

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
        counts = collections.Counter(map(self._normal, samples))
        distinct = torch.tensor([1 / counts[self._normal(line)] for line in samples], dtype=torch.float64)
        return {**values, "copied": copied, "distinct_samples": distinct}

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
