"""Odd values for every option of every command: what is neither success nor one line of a refusal fails.

    OMP_NUM_THREADS=1 python benchmarks/faults/fuzz_options.py --seconds 600 --seed 0 --out FOLDER

Commands, and what options they have, come from the command line itself: a recipe or an option that is added is tried
too. Each try is a command on tiny data with one option, or two, at an odd value, or with a few that are sound each by
itself, in a forked child with 1.5 GiB to spare and 30 seconds. A traceback, a crash, a status other than 0 or 2, a
refusal of more than one line, and what exceeds its limits are failures. A line of FOLDER/options.jsonl per
try; the same command goes on where they ended.
"""

import argparse
import dataclasses
import importlib
import inspect
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch
import tqdm
import tyro

from benchmarks.faults.tries import add_to_log, limit_memory, read_log
from discrete_gan.cli import cells, grid, main
from discrete_gan.cli.main import VERBS
from discrete_gan.cli.recipes import load_recipe, recipe_files
from discrete_gan.estimators.spec import ESTIMATORS, SEQUENCE_ESTIMATORS
from discrete_gan.report import run_page
from discrete_gan.tasks import evaluation, image_scores

_PATIENCE = 30  # seconds of a try
_MEMORY = 3 << 29  # bytes
_LONGEST = 1000  # characters of a refusal
_PAIRS = 0.3  # of the tries with odd values
_SOUND = 0.4  # of the tries: two to four options at values that are sound each by itself

SOUND = ("0", "1", "2", "3", "7", "1000", "0.5", "0.999", "1e-30", "1e5", "1e30")
NUMBERS = ("nan", "inf", "-inf", "-1", "0", "1", "2", "0.5", "1e38", "1e-45", "1e400", "-0.0", "1_0", "٣")
NUMBERS += (str(10**20), str(2**31), str(2**63), str(-(2**63)), "9" * 5000)
TEXTS = ("", " ", "é東🙂", "\x1b[31mred", "a\nb", "\r", "\t", "\u202e", "\udcff", "a" * 5000, "None", "true", "-")
TEXTS += ("--",)
PATHS = ("FOLDER", "FOLDER/text.txt", "FOLDER/pipe", "/no/such/path", "/dev/null", "/dev/zero", "/dev/full", "/", ".")
PATHS += ("~", "~nobody/x", "..", "x.py", "x.py:y", "FOLDER/own.py:raises", "FOLDER/own.py:Nothing:a=nan", "hub:")
PATHS += ("hub:FOLDER", "equations", "digits", "n" * 300 + "/x", "RUN/digits", "RUN/text")
PATHS += ("~nobody/x.py:y", "n" * 300 + ".py:y", "n" * 300, "recipes/digits.py", "\udcff.py:x", "é.json")


class Command(NamedTuple):
    """A command that works: its verb, its arguments without a name and its options, and the class of those."""

    words: list[str]
    positional: list[str]
    given: list[str]
    options: type | None


def commands(folder: Path) -> dict[str, Command]:
    """Every recipe to train and every other verb, on the tiny data and runs in a folder."""
    images, text = ["--data", f"{folder}/images.npz"], ["--data", f"{folder}/text.txt"]
    small = {"--steps": 2, "--batch-size": 4, "--num-scored": 8, "--log-every": 1, "--out": "out", "--latent-dim": 3}
    small |= {"--pretrain-steps": 1, "--warmup-steps": 0, "--hidden": 4, "--embedding": 4, "--discriminator-width": 4}
    small |= {"--width": 2, "--generator-width": 4, "--channels": 2, "--length": 4, "--num-train": 20, "--bits": 2}
    found = {}
    for recipe in recipe_files():
        options = load_recipe(recipe).Args
        hints = get_type_hints(options)
        names = {f"--{name.replace('_', '-')}" for name, kind in hints.items() if kind is not bool}
        data = [] if "--oracle" in names else text if "--tokenizer" in names else images
        data = ["--data", "wine"] if "--schema" in names else ["--data", "chords"] if "--rate" in names else data
        given = [word for name, value in small.items() if name in names for word in (name, str(value))]
        found[f"train {recipe}"] = Command(["train", recipe], [], [*given, *data], options)
    run, other = f"{folder}/runs/digits", f"{folder}/runs/text"
    few = ["--num", "4", "--likelihood-num", "2", "--ais-steps", "10", "--ais-simulated", "2", "--bound-latents", "2"]
    quick = ["--seeds", "1", "--jobs", "1", "--steps", "2", "--batch-size", "4", "--num-scored", "8", *images]
    exact = ["--estimators", "reinforce", "--num-samples", "2", "--seeds", "1", "--draws", "4", "--steps", "2"]
    briefly = ["--folds", "2", "--max-steps", "2", "--batch-size", "4"]
    verbs = {
        "sample": [([run], ["--num", "2", "--out", "x.png"]), ([other], ["--num", "2"])],
        "evaluate": [([run], few), ([other], few), ([other], [*few, "--temperatures", "1"])],
        "compare": [
            (["digits"], ["--estimators", "reinforce", *quick, "--out", "out"]),
            ([run, f"{run}-1"], ["--out", "out"]),
        ],
        "lab": [([], [*exact, "--out", "out"]), ([], [*exact, "--train", "--problem", "table", "--out", "out"])],
        "check": [(["equations"], []), ([f"{folder}/text.txt"], ["--batch-size", "4"])],
        "weigh": [
            ([], ["--real", f"{folder}/text.txt", "--samples", f"{folder}/text.txt", *briefly, "--out", "w.csv"]),
            ([], ["--real", f"{folder}/images.npz", "--samples", f"{folder}/images.npz", *briefly]),
        ],
        "refine": [([run], ["--steps", "2", "--batch-size", "4", "--num-scored", "100", "--overwrite"])],
        "card": [([run], []), ([other], [])],
        "completion": [(["bash"], [])],
        "recipes": [([], []), (["copy", "digits", "mine.py"], [])],
    }
    assert {*verbs, "train"} == set(VERBS), "a verb without a command to try"
    for verb, forms in verbs.items():
        module = importlib.import_module(f"discrete_gan.cli.{verb}")
        kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
        options = next((kind for kind in kinds if kind.__module__ == getattr(module, "__name__", "")), None)
        for index, (positional, given) in enumerate(forms):
            found[f"{verb} {index}" if index else verb] = Command([verb], positional, given, options)
    return found


class Option(NamedTuple):
    """An option by its field and its word, empty for arguments without a name, with what its type offers."""

    field: str
    word: str
    choices: tuple[str, ...] = ()
    flag: bool = False
    is_number: bool = False


def options_of(kind: type | None) -> list[Option]:
    """Those of a command's class, and the help."""
    found = [Option("help", "--help", flag=True)]
    hints = get_type_hints(kind, include_extras=True) if kind else {}
    for field in dataclasses.fields(kind) if kind else ():  # type: ignore[arg-type]
        word = "--" + field.name.replace("_", "-")
        marks = getattr(hints[field.name], "__metadata__", ())
        if tyro.conf.Suppress in marks:
            continue
        if tyro.conf.Positional in marks:
            found.append(Option(field.name, ""))
        elif hints[field.name] is bool:
            found += [Option(field.name, each, flag=True) for each in (word, f"--no-{word[2:]}")]
        else:
            choices = get_args(hints[field.name]) if get_origin(hints[field.name]) is Literal else ()
            is_number = bool({"int", "float"} & set(re.findall(r"\w+", str(hints[field.name]))))
            found.append(Option(field.name, word, tuple(map(str, choices)), is_number=is_number))
    return found if kind else [*found, Option("words", "")]


def estimator_specs() -> list[str]:
    """Every estimator with each of its hyperparameters at VALUE."""
    known = ESTIMATORS | SEQUENCE_ESTIMATORS
    return [f"{name}:{key}=VALUE" for name, make in known.items() for key in inspect.signature(make).parameters]


def draw(command: Command, folder: Path, random_: random.Random) -> list[str]:
    """The command with odd values, or with several that may not go together."""
    is_sound = random_.random() < _SOUND

    def value(option: Option) -> str:
        if is_sound and (option.choices or option.is_number):
            # A thousand seeds are a thousand runs, which nobody waits for here.
            return random_.choice(
                option.choices or [each for each in SOUND if (option.word, each) != ("--seeds", "1000")]
            )
        specs = estimator_specs() if option.word in ("--estimator", "--estimators") else []
        kinds: list[Sequence[str]] = [NUMBERS, TEXTS, PATHS]
        kinds += [NUMBERS, NUMBERS, *4 * [SOUND]] if option.is_number else []
        kinds += [each for each in (*3 * [option.choices], *5 * [specs]) if each]
        text = random_.choice(random_.choice(kinds)).replace("FOLDER", str(folder)).replace("RUN", f"{folder}/runs")
        odd = [*NUMBERS, *SOUND, *SOUND, "", "é", "true", "log-ratio", "1,num_samples=2"]
        return text.replace("VALUE", random_.choice(odd))

    positional, more = command.positional, []
    for _ in range(random_.randint(2, 4) if is_sound else 2 if random_.random() < _PAIRS else 1):
        options = options_of(command.options)
        if is_sound:
            options = [each for each in options[1:] if each.choices or each.flag or each.is_number] or options
        option = random_.choices(options, [1.0 if is_sound or not option.flag else 0.2 for option in options])[0]
        if option.flag:
            more.append(option.word)
            continue
        count = 1 if is_sound else random_.choice((0, 1, 1, 1, 1, 1, 1, 1, 2, 40))
        values = [value(option) for _ in range(count)]
        if not option.word:
            positional = values
        elif count == 1 and random_.random() < 0.5:
            more.append(f"{option.word}={values[0]}")
        else:
            more += [option.word, *values] * random_.choice((1, 1, 1, 1, 2))
    return [*command.words, *positional, *command.given, *more]


class _Forked:
    """What of ``subprocess.Popen`` a comparison uses: its runs are forked here too."""

    def __init__(self, words: Sequence[str], variables: Any, log: Any) -> None:
        def run() -> None:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            main(words[words.index("train") :])

        self._process = multiprocessing.get_context("fork").Process(target=run)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self.pid is not None
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def quick() -> None:
    """Shorten in this process, and its children, what no option shortens: pages, intervals, pilot runs."""
    torch.set_num_threads(1)
    tqdm.tqdm.monitor_interval = 0  # no thread to lose in a fork
    run_page._CURVES = 1
    evaluation._RESAMPLES = image_scores._RESAMPLES = 5
    grid._PILOT_STEPS, cells._LOOK_EVERY = 4, 0.02
    cells._launch = _Forked  # type: ignore[assignment]


def attempt(words: Sequence[str], folder: Path) -> tuple[str, str]:
    """Run a command in a child, in a new folder; says ``accepted``, ``refused`` or what was wrong, and why."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "work").mkdir(parents=True)
    out, errors = folder / "out", folder / "errors"

    def run() -> None:
        os.setsid()
        for path, number in ((out, 1), (errors, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        os.chdir(folder / "work")
        limit_memory(_MEMORY)
        with open(1, "w", closefd=False) as o, open(2, "w", closefd=False) as e, redirect_stdout(o), redirect_stderr(e):
            main(words)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(_PATIENCE)
    late = process.exitcode is None
    if late:
        assert process.pid is not None
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    told = errors.read_text(errors="replace") if errors.exists() else ""
    if late:
        return f"over {_PATIENCE} seconds", told[-500:]
    if "Traceback" in told:
        return "traceback", told[-2000:]
    if process.exitcode == 0:
        return "accepted", ""
    if process.exitcode == 1 and words[0] == "compare" and ": failed: " in out.read_text(errors="replace"):
        return "refused", "all runs failed"  # as documented
    if process.exitcode != 2:
        return f"status {process.exitcode}", told[-2000:]
    # Progress bars end in a carriage return, and warnings of libraries are none of ours.
    lines = told.split("\n")
    if len([line for line in lines if line.startswith("discrete-gan: ")]) != 1 or len(lines[-2]) > _LONGEST:
        return "not one line", told[-2000:]
    if not lines[-2].startswith("discrete-gan: ") or lines[-1]:
        return "not one line", told[-2000:]
    return "refused", lines[-2][:300]


def prepare(folder: Path) -> None:
    """Tiny images, a text, files that are odd, and two runs of one recipe and one of another."""
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16), dtype=np.uint8)
    labels = (np.arange(60) % 2).astype(np.uint8)
    parts = {"train_images": images[:40], "test_images": images[40:]}
    parts |= {"train_labels": labels[:40], "test_labels": labels[40:]}
    np.savez(folder / "images.npz", **parts)  # pyright: ignore[reportArgumentType]
    (folder / "text.txt").write_text("".join(f"{a}+{b}\n" for a in range(5) for b in range(5)))
    (folder / "own.py").write_text("def raises(*given, **options):\n    raise KeyError('mine')\n")
    os.mkfifo(folder / "pipe")
    known = commands(folder)
    for recipe, name, seed in (("digits", "digits", "0"), ("digits", "digits-1", "1"), ("text", "text", "0")):
        words = known[f"train {recipe}"]
        main([*words.words, *words.given, "--seed", seed, "--out", str(folder / "runs" / name)])


def fuzz(seconds: float, seed: str, out: Path, only: Sequence[str] = ()) -> int:
    """Try until the time is over; prints a table and the failures of now, and returns their number."""
    out.mkdir(parents=True, exist_ok=True)
    log, following, end = out / "options.jsonl", 0, time.monotonic() + seconds
    for line in read_log(log):
        if line["seed"] == seed:
            following = max(following, line["number"] + 1)
    found = 0
    with tempfile.TemporaryDirectory(prefix="options-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        variables = {"HOME": scratch, "DISCRETE_GAN_CACHE": f"{scratch}/cache"}
        with mock.patch.dict(os.environ, variables):
            quick()
            with open(folder / "log", "w") as silent, redirect_stdout(silent), redirect_stderr(silent):
                prepare(folder)
            known = {name: one for name, one in commands(folder).items() if not only or name in only}
            for name, command in known.items():
                words = [*command.words, *command.positional, *command.given]
                outcome, told = attempt(words, folder / "try")
                assert outcome == "accepted", f"{name}: {outcome}: {told}"
            sizes = [len(options_of(command.options)) for command in known.values()]
            while time.monotonic() < end:
                random_ = random.Random(f"{seed} {following}")
                (name,) = random_.choices(list(known), sizes)
                words = draw(known[name], folder, random_)
                begun = time.monotonic()
                outcome, told = attempt(words, folder / "try")
                took, short = round(time.monotonic() - begun, 2), [word[:200] for word in words]
                line = {"seed": seed, "number": following, "command": name, "words": short, "seconds": took}
                line |= {"outcome": outcome, "told": told}
                line = json.loads(json.dumps(line).replace(scratch, "FOLDER"))
                add_to_log(log, line)
                following += 1
                if outcome not in ("accepted", "refused"):
                    found += 1
                    print(f"{outcome}: {line['words']!r}\n{line['told']}", flush=True)
    print(table(log))
    return found


def table(log: Path) -> str:
    """Tries by command."""
    rows: dict[str, Counter[str]] = {}
    for line in read_log(log):
        kind = line["outcome"] if line["outcome"] in ("accepted", "refused") else "failed"
        rows.setdefault(line["command"], Counter()).update(["tries", kind])
    rows["all"] = sum(rows.values(), Counter())
    columns = ("tries", "accepted", "refused", "failed")
    lines = [f"{'':<24}" + "".join(f"{column:>10}" for column in columns)]
    lines += [f"{name:<24}" + "".join(f"{row[column]:>10,}" for column in columns) for name, row in rows.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--out", type=Path, default=Path("fuzz_options"))
    parser.add_argument("--only", nargs="*", default=[], help="Names of commands.")
    given = parser.parse_args()
    raise SystemExit(1 if fuzz(given.seconds, given.seed, given.out, given.only) else 0)
