"""Tables of text runs over seeds, from the results.json of finished runs, or from temperatures.json at a temperature.

``python benchmarks/text_tables.py "runs/equations-*" --names valid distinct new nll_token seconds``
"""

import argparse
import glob
import json
import statistics
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="+", help="of run directories, quoted: a row of the table each")
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
    """Scores of the runs, one dictionary a seed, under the title of a row."""
    found: dict[str, list[dict[str, float]]] = {}
    for folder in sorted(glob.glob(pattern)):
        if temperature is None:
            found.setdefault(pattern, []).append(json.loads(Path(folder, "results.json").read_text()))
            continue
        for name, points in json.loads(Path(folder, "temperatures.json").read_text())["curves"].items():
            title = f"{pattern}, {name.partition(': ')[2]}"
            found.setdefault(title, []).extend(p for p in points if p["temperature"] == float(temperature))
    return found


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
