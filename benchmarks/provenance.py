"""Which commit wrote each table of results: where in the history of the code it was measured.

``python benchmarks/provenance.py`` prints the table of ``docs/results/index.md``. The first row of a table is looked
for in the history of every page, as tables were moved.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    print("| page | tables | first written in | on |\n|---|---|---|---|")
    rows: dict[str, None] = {}
    for page in sorted((ROOT / "docs/results").glob("*.md")):
        if page.name == "index.md":
            continue
        heading, before = page.stem, ""
        for line in page.read_text().splitlines():
            if line.startswith("#"):
                heading = line.lstrip("# ")
            if re.match(r"\|\s*-", before) and line.startswith("|"):
                cells = [cell.strip() for cell in line.strip("|").split("|")]
                measured = max((cell for cell in cells if re.search(r"\d[.,]?\d", cell)), key=len, default="")
                rows[f"| [{page.stem}]({page.name}) | {heading} | {written(measured)} |"] = None
            before = line
    print("\n".join(rows))


def written(text: str) -> str:
    """The first commit that has it, and its day."""
    if not text:
        return " | "
    command = ["git", "log", "--reverse", "--format=`%h` | %as", f"-S{text}", "--", "README.md", "docs"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return found[0] if found else " | "


if __name__ == "__main__":
    main()
