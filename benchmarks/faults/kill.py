"""SIGKILL at random moments and before single file-system events: does what is left go on to the unbroken run's bytes?

    OMP_NUM_THREADS=1 python benchmarks/faults/kill.py --out kills.jsonl --random 100 --events 200 --writes 20

Every case is a line of the file; the same command again goes on after the last. A case is killed, resumed (begun anew
where no checkpoint was written yet), killed again up to three times, and at last left to finish. Its weights,
checkpoint, log and scores must then be those of the run that nobody killed. Children are forked from one process
that has everything imported, so that a case takes a second.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

from discrete_gan.cli import main
from discrete_gan.cli.verify import first_difference
from discrete_gan.training import RunDirectory, checkpoints

_TRAIN = ["train", "digits", "--steps", "12", "--log-every", "1", "--sample-every", "4", "--checkpoint-every", "3"]
_TRAIN += ["--num-scored", "50", "--batch-size", "16"]
_COMPARE = ["compare", "digits", "--estimators", "boundary-seeking", "reinforce", "--seeds", "1", "--steps", "30"]
_COMPARE += ["--num-scored", "20", "--batch-size", "16", "--sample-every", "0", "--checkpoint-every", "5"]
_KILLS = 3  # of a chain, at most
_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_event(folder: Path, number: int) -> Callable[[], None]:
    """Die before the event of that number, from 1, that touches the folder."""

    def prepare() -> None:
        seen = 0

        def hook(event: str, args: tuple[object, ...]) -> None:
            nonlocal seen
            if event in _EVENTS and isinstance(args[0], (str, Path)) and str(args[0]).startswith(str(folder)):
                seen += 1
                if seen == number:
                    _kill()

        sys.addaudithook(hook)

    return prepare


def at_write(number: int) -> Callable[[], None]:
    """Die within a checkpoint, at the write of that number."""

    def prepare() -> None:
        write, seen = checkpoints._Hashed.write, 0

        def counted(self: checkpoints._Hashed, data: bytes) -> int:
            nonlocal seen
            seen += 1
            if seen == number:
                self._file.write(bytes(data)[: len(bytes(data)) // 2])
                self._file.flush()
                _kill()
            return write(self, data)

        checkpoints._Hashed.write = counted

    return prepare


def in_scoring(delay: float) -> Callable[[], None]:
    """Die so many seconds after the last checkpoint: in the final scores, their file, picture and page."""

    def prepare() -> None:
        save = RunDirectory.save_checkpoint

        def then(self: RunDirectory, step: int, state: dict) -> None:
            save(self, step, state)
            if step == int(_TRAIN[3]):
                after(delay)()

        RunDirectory.save_checkpoint = then

    return prepare


def after(seconds: float) -> Callable[[], None]:
    """Die after so many seconds."""

    def prepare() -> None:
        def wait() -> None:
            time.sleep(seconds)
            _kill()

        threading.Thread(target=wait, daemon=True).start()

    return prepare


def child(arguments: list[str], log: Path, prepare: Callable[[], None] | None = None) -> int:
    """Run a command in a process of its own; its status, below 0 for a signal."""

    def run() -> None:
        os.setsid()
        with log.open("a") as file, redirect_stdout(file), redirect_stderr(file):
            if prepare is not None:
                prepare()
            main(arguments)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def go_on(run: Path) -> list[str]:
    """The command that a user, or compare, would give next."""
    if RunDirectory(run).last_checkpoint() is not None:
        return [*_TRAIN[:2], "--resume", str(run)]
    return [*_TRAIN, "--out", str(run), "--overwrite"]


def chain(folder: Path, whole: Path, kills: list[Callable[[Path], Callable[[], None]]]) -> dict[str, object]:
    """Kill, go on, finish, compare."""
    run, log = folder / "run", folder / "log"
    killed = resumed = 0
    for kill in kills:
        status = child(go_on(run), log, kill(run))
        killed += status == -signal.SIGKILL
        resumed += RunDirectory(run).last_checkpoint() is not None
        if status not in (0, -signal.SIGKILL):
            return {"killed": killed, "outcome": f"status {status}: {log.read_text().splitlines()[-1][:200]}"}
        if status == 0:
            break
    status = child(go_on(run), log)
    if status:
        return {"killed": killed, "outcome": f"status {status}: {log.read_text().splitlines()[-1][:200]}"}
    left = [str(path.relative_to(run)) for pattern in ("**/*.tmp*", "**/.lock") for path in run.glob(pattern)]
    difference = first_difference(whole, run) or (f"left behind: {left}" if left else None)
    return {"killed": killed, "resumed": resumed, "outcome": difference or "equal"}


def evaluation(folder: Path, whole: Path, seconds: float) -> dict[str, object]:
    """Evaluate, killed and again: the figures must be those of an evaluation that nobody killed."""
    log = folder / "log"
    command = ["evaluate", str(whole), "--num", "50", "--likelihood", "none"]
    content = whole / "evaluation.json"
    if not content.exists() and child(command, log):
        return {"killed": 0, "outcome": log.read_text().splitlines()[-1][:200]}
    expected = json.loads(content.read_text())
    killed = child(command, log, after(seconds)) == -signal.SIGKILL
    status = child(command, log)
    equal = status == 0 and json.loads(content.read_text()) == expected
    return {"killed": int(killed), "outcome": "equal" if equal else f"status {status}, other figures"}


def comparison(folder: Path, whole: Path, seconds: float) -> dict[str, object]:
    """Compare, killed and again at once: every run must be that of a comparison that nobody killed."""
    log = folder / "log"
    if not (whole / "comparison.json").exists() and (status := child([*_COMPARE, "--out", str(whole)], log)):
        return {"killed": 0, "outcome": f"status {status}"}
    command = [*_COMPARE, "--out", str(folder / "out")]
    killed = child(command, log, after(seconds)) == -signal.SIGKILL
    status = child(command, log)
    differences = [f"status {status}"] if status else []
    for run in sorted((whole / "runs").glob("*/seed-*")) if not status else []:
        if found := first_difference(run, folder / "out" / run.relative_to(whole)):
            differences.append(found)
    return {"killed": int(killed), "outcome": "; ".join(differences) or "equal"}


def cases(args: argparse.Namespace, whole: Path, length: float) -> dict[str, Callable[[Path], dict[str, object]]]:
    """All cases by name."""
    made: dict[str, Callable[[Path], dict[str, object]]] = {}

    def add(name: str, kills: list[Callable[[Path], Callable[[], None]]]) -> None:
        made[name] = lambda folder: chain(folder, whole, kills)

    for index in range(args.random):
        draw = random.Random(index)
        moments = [draw.uniform(0, length) for _ in range(draw.randint(1, _KILLS))]
        add(f"random {index}", [lambda run, moment=moment: after(moment) for moment in moments])
    for number in range(1, args.events + 1):
        add(f"event {number}", [lambda run, number=number: at_event(run, number)])
    for number in range(1, args.events // 4 + 1):  # a second kill, at an event of the resumption
        kills = [lambda run: at_event(run, args.events // 2), lambda run, number=number: at_event(run, number)]
        add(f"event-of-resumption {number}", kills)
    for index in range(args.writes):
        number = random.Random(1000 + index).randint(1, 400)
        add(f"checkpoint-write {index}", [lambda run, number=number: at_write(number)])
    for index in range(args.scoring):
        delay = random.Random(2000 + index).uniform(0, 1.0)
        add(f"scoring {index}", [lambda run, delay=delay: in_scoring(delay)])
    for index in range(args.evaluations):
        delay = random.Random(3000 + index).uniform(0, 2.0)
        made[f"evaluate {index}"] = lambda folder, delay=delay: evaluation(folder, whole, delay)
    for index in range(args.comparisons):
        delay = random.Random(4000 + index).uniform(2, 25)
        made[f"compare {index}"] = lambda folder, delay=delay: comparison(folder, whole.parent / "compared", delay)
    return made


def table(path: Path) -> str:
    """Cases by kind: kills, equal, others."""
    rows: dict[str, Counter[str]] = {}
    for line in path.read_text().splitlines():
        case = json.loads(line)
        row = rows.setdefault(case["case"].split()[0], Counter())
        row.update(cases=1, kills=case["killed"], equal=case["outcome"] == "equal")
    lines = [f"{'kind':<22}{'cases':>7}{'kills':>7}{'equal':>7}{'other':>7}"]
    for kind, row in rows.items():
        counts = (row["cases"], row["kills"], row["equal"], row["cases"] - row["equal"])
        lines.append(f"{kind:<22}" + "".join(f"{count:>7}" for count in counts))
    return "\n".join(lines)


def measure() -> None:
    """Run the cases that the file lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("kills.jsonl"))
    for name, default in {"random": 100, "events": 200, "writes": 20, "scoring": 20}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--evaluations", type=int, default=10)
    parser.add_argument("--comparisons", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=1e9)
    args = parser.parse_args()
    known = set()
    if args.out.exists():
        lines = args.out.read_text().splitlines(keepends=True)
        lines = [line for line in lines if line.endswith("\n")]
        args.out.write_text("".join(lines))
        known = {json.loads(line)["case"] for line in lines}
    until = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory(prefix="kill-") as scratch:
        root = Path(scratch)
        begun = time.monotonic()
        assert child([*_TRAIN, "--out", str(root / "whole")], root / "log") == 0, (root / "log").read_text()
        length = time.monotonic() - begun
        todo = [item for item in cases(args, root / "whole", length).items() if item[0] not in known]
        random.Random(0).shuffle(todo)  # so that a run cut short has some of every kind
        for name, case in todo:
            if time.monotonic() > until:
                break
            with tempfile.TemporaryDirectory(prefix="case-", dir=root, ignore_cleanup_errors=True) as folder:
                result = {"case": name, **case(Path(folder))}
            with args.out.open("a") as file:
                file.write(json.dumps(result) + "\n")
            if result["outcome"] != "equal":
                print(json.dumps(result), flush=True)
    with suppress(FileNotFoundError):
        print(table(args.out))


if __name__ == "__main__":
    measure()
