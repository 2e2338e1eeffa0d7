"""Damaged run directories through everything that reads one: what is neither success nor one line of a refusal fails.

Two small runs are trained, one of images and one of text. Each try damages one file of a copy, by bytes or by odd
values of JSON, and reads the copy in this process: its settings and networks, its page, a comparison with the whole
run. A try fails if it raises anything else than InputError, or takes more than two seconds::

    python benchmarks/faults/fuzz_runs.py --seconds 300 --seed 0

tokenizer.json is left whole: it is read by the tokenizers' own library, as a vocabulary that users bring is.
"""

import argparse
import collections
import contextlib
import copy
import io
import json
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from discrete_gan.cli import main as cli
from discrete_gan.cli.runs import open_run
from discrete_gan.cli.sample import sample
from discrete_gan.errors import InputError
from discrete_gan.report import run_page
from discrete_gan.report.comparison import as_json, table, verdict
from discrete_gan.report.comparison_page import write_comparison_page
from discrete_gan.report.trials import grouped, read_trials
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.records import read_plan

_QUICK = ["--steps", "4", "--batch-size", "8", "--num-scored", "10", "--sample-every", "0", "--log-every", "1"]
_SLOW = 2.0  # seconds, which charts may take five times
_HANGS = 15  # seconds, after which a try is ended
_FILES = ("config.json", "results.json", "evaluation.json", "metrics.jsonl", "figures.json", "plan.json", "samples.txt",
          "generator/config.json", "generator/model.safetensors", "discriminator/config.json",
          "discriminator/model.safetensors", "pretrained/config.json", "samples.png")  # fmt: skip

_ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**12, 10**30, 10**305, 0.5, -0.0, 1e300, -1e308,
    float("nan"), float("inf"), "", "x", "\0", "\ud800", "../..", "/dev/zero", "a" * 5000, "os:system", "evil.py:x",
    "evil.py", "é\n\x1b[31m<b>", [], {}, [[]], [None], [1, "a"], {"a": 1}, {"": None}, {"seed": 0},
    {"value": 1.0}, {"value": "x"}, [{}],
]  # fmt: skip
_ODD_BYTES = (b"\0", b"NaN", b"1e999", b"9" * 5000, b"[" * 5000, b"\n\n", b"\xff\xfe", b"null")


def odd_value(content: Any, random_: random.Random) -> Any:
    """The content with one value, somewhere, replaced, left out, doubled or wrapped."""
    content = copy.deepcopy(content)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    if isinstance(content, dict | list):
        walk(content)
    if not places or random_.random() < 0.03:
        return random_.choice(_ODD)
    parent, key = random_.choice(places)
    kind = random_.random()
    if kind < 0.15:
        del parent[key]
    elif kind < 0.25 and isinstance(parent, dict):
        parent[random_.choice(["", "x", "seed", "\0", "é" * 300])] = parent.pop(key)
    elif kind < 0.3:
        for _ in range(random_.choice([1, 40, 300])):
            parent[key] = [parent[key]] if random_.random() < 0.5 else {"a": parent[key]}
    else:
        parent[key] = random_.choice(_ODD)
    return content


def odd_bytes(data: bytes, random_: random.Random) -> bytes:
    """Bits flipped, bytes replaced, cut out, doubled, or the end cut off."""
    changed = bytearray(data)
    for _ in range(random_.choice([1, 1, 1, 2, 8])):
        end = len(changed) if random_.random() < 0.5 else min(len(changed), 400)  # where headers are
        at = random_.randrange(end + 1)
        kind = random_.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << random_.randrange(8)
        elif kind == 1 and at < len(changed):
            changed[at] = random_.choice(b'\0\xff\n"{}[],:9-eN\\')
        elif kind == 2:
            del changed[at:]
        elif kind == 3:
            del changed[at : at + random_.randrange(1, 20)]
        elif kind == 4:
            changed[at:at] = changed[at : at + random_.randrange(1, 40)]
        else:
            changed[at:at] = random_.choice(_ODD_BYTES)
    return bytes(changed)


def damage(path: Path, random_: random.Random) -> str:
    """Change a file in place; says how."""
    data = path.read_bytes()
    if path.suffix in (".json", ".jsonl") and random_.random() < 0.6:
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in data.decode().splitlines()]
            changed = odd_value(rows, random_)
            rows = changed if isinstance(changed, list) else [changed]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            path.write_text(json.dumps(odd_value(json.loads(data), random_)))
        return "odd value"
    if path.suffix == ".safetensors" and random_.random() < 0.6:
        size = int.from_bytes(data[:8], "little")
        header = json.dumps(odd_value(json.loads(data[8 : 8 + size]), random_)).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])
        return "odd header"
    path.write_bytes(odd_bytes(data, random_))
    return "bytes"


def read_run(run: Path, whole: Path) -> None:
    """Settings, task and networks, as sample and evaluate take them up."""
    opened = open_run(run)
    sample(
        [str(run), "--num", "2", "--out", str(run / ("drawn.txt" if (run / "pretrained").is_dir() else "drawn.png"))]
    )
    for name in ("discriminator", *(["pretrained"] if (run / "pretrained").is_dir() else [])):
        opened.model(name)


def read_page(run: Path, whole: Path) -> None:
    """The page of the run, without its charts."""
    run_page._CURVES = 0
    run_page.write_run_page(RunDirectory(run))


def read_charts(run: Path, whole: Path) -> None:
    """The pages of run and comparison, some charts included, which take a second."""
    run_page._CURVES = 1
    run_page.write_run_page(RunDirectory(run))
    groups = grouped(read_trials([whole, run]))
    write_comparison_page(run / "comparison.html", groups, title="x", command="x", settings={})


def read_comparison(run: Path, whole: Path) -> None:
    """A comparison with the whole run, its page and the plan."""
    read_plan(run)
    groups = grouped(read_trials([whole, run]))
    table(groups)
    verdict(groups)
    json.dumps(as_json(groups))


READERS: dict[str, Callable[[Path, Path], None]] = {
    "settings and networks": read_run, "page": read_page, "comparison": read_comparison,
    "charts": read_charts,
}  # fmt: skip


def train(folder: Path) -> list[Path]:
    """A run of images and one of text, with every file that a run may have."""
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(folder / "grey.npz", train_images=images[:30], test_images=images[30:])
    small = ["--hidden", "4", "--embedding", "4", "--discriminator-width", "4", "--pretrain-steps", "1"]
    arguments = {"digits": ["--data", str(folder / "grey.npz")], "text": small}
    for recipe, options in arguments.items():
        run = folder / recipe
        cli(["train", recipe, *_QUICK, *options, "--out", str(run)])
        shutil.rmtree(run / "checkpoints")
        shutil.copy(run / "results.json", run / "evaluation.json")
        plan = {"settings": {"recipe": recipe}, "amount": 1.0, "costs": {"a": {"b": 1.0}}, "steps": {"a": 3}}
        (run / "plan.json").write_text(json.dumps(plan))
        shutil.copytree(run, folder / f"{recipe}-seed-1")
        config = json.loads((run / "config.json").read_text())
        config["args"]["seed"] = 1
        (folder / f"{recipe}-seed-1" / "config.json").write_text(json.dumps(config))
    return [folder / recipe for recipe in arguments]


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Without the terminal."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _place(error: BaseException) -> str:
    """The innermost lines of the stack."""
    frames = traceback.extract_tb(error.__traceback__)[:-6:-1]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)


def _stop(*args: object) -> None:
    raise TimeoutError(f"more than {_HANGS} s")


def fuzz(seconds: float, seed: int) -> int:
    """Try until the time is over; prints the table and the distinct failures, returns their number."""
    signal.signal(signal.SIGALRM, _stop)
    random_ = random.Random(seed)
    tries: collections.Counter[tuple[str, str]] = collections.Counter()
    refused: collections.Counter[tuple[str, str]] = collections.Counter()
    failed: collections.Counter[tuple[str, str]] = collections.Counter()
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with silent():
            runs = train(folder)
        end = time.monotonic() + seconds
        copied = folder / "copy"
        while time.monotonic() < end:
            whole = random_.choice(runs)
            files = [file for file in _FILES if (whole / file).is_file()]
            for file in files:  # only what is damaged differs
                (copied / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(whole, copied, dirs_exist_ok=True)
            file = random_.choice(files)
            how = damage(copied / file, random_)
            damaged = (copied / file).read_bytes()
            of_models = file.count("/")
            for reader, read in READERS.items():
                if of_models != (reader == "settings and networks") and file != "config.json":
                    continue  # it reads no such file
                if reader == "charts" and random_.random() < 0.995:
                    continue
                key = (file, reader)
                tries[key] += 1
                start = time.monotonic()
                told = ""
                try:
                    signal.alarm(_HANGS)
                    with silent():
                        read(copied, folder / f"{whole.name}-seed-1")
                except InputError as error:
                    refused[key] += 1
                    if "\n" in str(error) or len(str(error)) > 8000:
                        told = f"message of {len(str(error))} characters"
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt):
                        raise
                    told = f"{type(error).__name__}: {str(error)[:100]} at {_place(error)}"
                signal.alarm(0)
                took = time.monotonic() - start
                told = told or (f"{took:.1f} s" if took > _SLOW * (5 if reader == "charts" else 1) else "")
                if told:
                    failed[key] += 1
                    found.setdefault(f"{file}, {how}, {reader}: {told}", repr(damaged[:3000]))
            shutil.rmtree(copied)
    print(f"| {'file':<31} | {'read as':<21} | tries | refused | failed |\n|---|---|---|---|---|")
    for key in sorted(tries):
        print(f"| {key[0]:<31} | {key[1]:<21} | {tries[key]:>5} | {refused[key]:>7} | {failed[key]:>6} |")
    print(f"{tries.total():,} tries, {refused.total():,} refused, {failed.total():,} failed")
    for told, content in list(found.items())[:40]:
        print(f"\n{told}\n  {content}")
    return failed.total()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    raise SystemExit(1 if fuzz(options.seconds, options.seed) else 0)
