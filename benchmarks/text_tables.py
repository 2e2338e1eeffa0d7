"""Tables of text runs over seeds, from the results.json of finished runs, or from temperatures.json at a temperature.

``python benchmarks/text_tables.py "runs/equations-*" --names valid distinct new nll_token seconds``
"""

import argparse
import glob
import json
import statistics
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="+", help="of run directories, quoted: one row of the table for each")
    parser.add_argument("--names", nargs="+", required=True, help="of scores")
    parser.add_argument("--curve", help="temperature: take the scores of temperatures.json there, by generator")
    args = parser.parse_args()
    print("| runs | seeds | " + " | ".join(args.names) + " |")
    print("|---|---|" + "---|" * len(args.names))
    for pattern in args.patterns:
        for title, rows in sorted(rows_of(pattern, args.curve).items()):
            cells = [spread([row[name] for row in rows if name in row]) for name in args.names]
            print(f"| {title} | {len(rows)} | " + " | ".join(cells) + " |")


def rows_of(pattern: str, temperature: str | None) -> dict[str, list[dict[str, float]]]:
    """Scores and seconds of the runs, one dictionary per seed, under the title of a row."""
    found: dict[str, list[dict[str, float]]] = {}
    for folder in sorted(glob.glob(pattern)):
        if temperature is None:
            results = json.loads(Path(folder, "results.json").read_text())
            found.setdefault(pattern, []).append({"seconds": results["seconds"], **values(results["scores"])})
            continue
        for name, points in json.loads(Path(folder, "temperatures.json").read_text())["curves"].items():
            title = f"{pattern}, {name.partition(': ')[2]}"
            chosen = [point["scores"] for point in points if point["temperature"] == float(temperature)]
            found.setdefault(title, []).extend(map(values, chosen))
    return found


def values(scores: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The measured ones, by name."""
    return {name: score["value"] for name, score in scores.items() if score["value"] is not None}


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds."""
    if not values:
        return ""
    mean = statistics.mean(values)
    digits = 0 if mean > 100 else 3
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{deviation}"


if __name__ == "__main__":
    main()
