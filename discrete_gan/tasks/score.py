"""A measured number with all that is needed to read it: what the log, the files, the pages and comparisons are made of.

A new score is one more :class:`Score` where it is measured; nothing else has a list of their names.
"""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from discrete_gan.metrics.bootstrap import Interval

_WIDTH = 24  # of the labels on a terminal


class Score(NamedTuple):
    """A measured number.

    Attributes:
        name: Key in files and column of the log.
        value: The number; NaN where it could not be measured, and ``note`` says why.
        label: What people read.
        unit: Of the value; empty for a plain number.
        better: Whether ``"less"`` or ``"more"`` is better; None where neither is.
        perfect: What would be perfect, where that is known.
        real: What real data get that are scored like the samples.
        low: Lower end of the 95 % interval; NaN where there is none.
        high: Upper end.
        protocol: Everything that the value depends on besides the model: values compare where it is the same.
        note: A sentence on what the value says.
        parts: Numbers that the value is a summary of, such as the share of each class.
        picture: A PNG that shows it.
    """

    name: str
    value: float
    label: str = ""
    unit: str = ""
    better: Literal["less", "more"] | None = None
    perfect: float | None = None
    real: float | None = None
    low: float = math.nan
    high: float = math.nan
    protocol: str = ""
    note: str = ""
    parts: tuple[float, ...] = ()
    picture: bytes | None = None

    @property
    def title(self) -> str:
        """The label, made of the name where there is none."""
        return self.label or words(self.name)

    def within(self, interval: Interval) -> "Score":
        """The same score with a 95 % interval; the value stays as it is."""
        return self._replace(low=interval.low, high=interval.high)

    def __str__(self) -> str:
        """One line for the terminal."""
        if math.isnan(self.value):
            return f"{self.title:<{_WIDTH}} not measured" + (f": {self.note}" if self.note else "")
        interval = f" ({self.low:.4g} to {self.high:.4g})" if math.isfinite(self.low) else ""
        unit = f" {self.unit}" if self.unit else ""
        aside = [
            *([] if self.real is None else [f"real data {self.real:.4g}"]),
            *([] if self.perfect is None else [f"perfect {self.perfect:g}"]),
            *([] if self.better is None else [f"{self.better} is better"]),
        ]
        return f"{self.title:<{_WIDTH}} {self.value:.4g}{unit}{interval}" + (f"  [{', '.join(aside)}]" if aside else "")


def words(name: str) -> str:
    """A column's name as words, for figures that come without a label."""
    return name.replace("_", " ")


def lines(scores: Sequence[Score], *, brief: bool = False) -> list[str]:
    """Scores for the terminal: a line for each, what they say, and each protocol once with the scores that share it.

    Args:
        scores: In their order.
        brief: Of more than two protocols only what they have in common.
    """
    notes = [f"{score.title:<{_WIDTH}} {score.note}" for score in scores if score.note and not math.isnan(score.value)]
    shared: dict[str, list[str]] = {}
    for score in scores:
        if score.protocol:
            shared.setdefault(score.protocol, []).append(score.title)
    if brief and len(shared) > 2:
        first, *others = (protocol.split("|") for protocol in shared)
        common = "|".join(part for part in first if all(part in other for other in others))
        shared = {f"{common}; of each figure in full" if common else "of each figure": ["results.json"]}
    told = [
        textwrap.fill(
            f"{'protocol':<{_WIDTH}} {protocol} ({', '.join(dict.fromkeys(titles))})",
            118,
            subsequent_indent=" " * (_WIDTH + 1),
            break_on_hyphens=False,
        )
        for protocol, titles in shared.items()
    ]
    return [*map(str, scores), *notes, *told]


def as_json(scores: Iterable[Score]) -> dict[str, dict[str, Any]]:
    """Scores by name, ready for JSON: numbers that there are none of are null, pictures are left out."""
    found = {}
    for score in scores:
        fields = score._asdict()
        del fields["name"], fields["picture"]
        fields["parts"] = [_finite(part) for part in score.parts]
        found[score.name] = {key: _finite(value) for key, value in fields.items()}
    return found


class _Saved(msgspec.Struct):
    """A score in a file, without its name and its picture."""

    value: float | None
    label: str = ""
    unit: str = ""
    better: Literal["less", "more"] | None = None
    perfect: float | None = None
    real: float | None = None
    low: float | None = None
    high: float | None = None
    protocol: str = ""
    note: str = ""
    parts: tuple[float | None, ...] = ()


def from_json(found: Any) -> list[Score]:
    """What :func:`as_json` made; fields of later versions are left out.

    Raises:
        ValueError: If it is none of that.
    """
    try:
        saved = msgspec.convert(found, dict[str, _Saved])
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise ValueError(f"expected scores by name: {error}") from None
    scores = []
    for name, of in saved.items():
        fields = msgspec.structs.asdict(of)
        fields |= {key: math.nan for key in ("value", "low", "high") if fields[key] is None}
        fields["parts"] = tuple(math.nan if part is None else part for part in of.parts)
        scores.append(Score(name, **fields))
    return scores


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
