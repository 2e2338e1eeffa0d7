"""What finished runs say of themselves, and training those that are not there: shared by the tables."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Finished(NamedTuple):
    """The results.json of a run, or its evaluation.json, which knows no seconds."""

    seconds: float
    scores: dict[str, dict[str, Any]]

    def value(self, name: str) -> float | None:
        """Of a score; None where the run has none."""
        return self.scores.get(name, {}).get("value")

    def times_real(self, name: str) -> float:
        """A score as a multiple of what real data get: of the Frechet distance, its floor."""
        return self.scores[name]["value"] / self.scores[name]["real"]

    def class_fractions(self) -> list[float]:
        """Share of each class among the samples."""
        return self.scores["classes_covered"]["parts"]


def finished(folder: Path, file: str = "results.json") -> Finished | None:
    """What a run ended with; None if it has not."""
    if not (folder / file).exists():
        return None
    content = json.loads((folder / file).read_text())
    return Finished(content.get("seconds", float("nan")), content["scores"])


def train(recipe: str, folder: Path, options: list[str]) -> None:
    """One run on one thread, its output in a file beside it, unless it is there; one that was ended goes on."""
    if (folder / "results.json").exists():
        return
    begun = any(folder.glob("checkpoints/step-*.pt"))
    given = ["--resume", str(folder)] if begun else ["--overwrite", "--out", str(folder), *options]
    command = [sys.executable, "-m", "discrete_gan", "train", recipe, *given]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".log").open("w") as log:
        subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=log, stderr=log, check=False)


def spread(values: list[float], digits: int = 1) -> str:
    """Mean and sample standard deviation, which one value has not; empty without values."""
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"
