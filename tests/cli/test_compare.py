import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from discrete_gan.cli import cells, grid, main
from discrete_gan.cli.cells import Cell, environment, run_cells
from discrete_gan.cli.compare import split_options
from discrete_gan.cli.grid import cost_of_step, parse_budget, steps_within
from discrete_gan.report import comparison_page

# 16 real and 16 generated images for the discriminator, and M for each of 16 latents.
FEW, MANY = "boundary-seeking:num_samples=4", "reinforce:num_samples=8"
FEW_COST, MANY_COST = (2 + 4) * 16, (2 + 8) * 16
LAUNCH = cells._launch
QUICK = ["--num-scored", "20", "--steps", "14", "--checkpoint-every", "4", "--batch-size", "16", "--sample-every", "0"]
QUICK += ["--probe-redraws", "2"]
BREAKS = """\
calls = 0

def breaks(generator, discriminator, z):
    global calls
    calls += 1
    if calls == {at}:
        raise RuntimeError("out of luck")
    g = generator(z)
    x = g.sample((4,))
    return -(discriminator(x).detach() * g.log_prob(x)).mean(0)
"""


class InProcess:
    """Stands in for a process, of which every one takes seconds to import torch."""

    commands: list[list[str]] = []

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], log: BinaryIO) -> None:
        assert list(command[:3]) == [sys.executable, "-m", "discrete_gan"]
        self.commands.append(list(command[3:]))
        text, self.status = io.StringIO(), 0
        with redirect_stdout(text), redirect_stderr(text):
            try:
                main(command[3:])
            except SystemExit as exit:
                assert isinstance(exit.code, int)
                self.status = exit.code
            except Exception:
                traceback.print_exc()
                self.status = 1
        log.write(text.getvalue().encode())

    def poll(self) -> int:
        return self.status


@pytest.fixture(scope="module")
def in_process() -> Iterator[list[list[str]]]:
    """Runs happen in this process, pilot runs are short; the commands of the runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_launch", InProcess)
        patch.setattr(cells, "_LOOK_EVERY", 0)
        patch.setattr(grid, "_PILOT_STEPS", 8)
        patch.setattr(InProcess, "commands", [])
        patch.setattr(comparison_page, "_AXES", {"evaluations": "discriminator evaluations"})  # a third of the charts
        yield InProcess.commands


@pytest.fixture(scope="module")
def compared(in_process: list[list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two estimators that work, and one that breaks in its runs, not in the 8 steps and the trial of its pilot."""
    folder = tmp_path_factory.mktemp("compared")
    (folder / "mine.py").write_text(BREAKS.format(at=12))
    main(["compare", "digits", *arguments(folder)])
    return folder


def arguments(folder: Path) -> list[str]:
    estimators = ["--estimators", FEW, MANY, f"{folder}/mine.py:breaks"]
    return [*estimators, *QUICK, "--seeds", "2", "--out", str(folder / "out")]


def runs(folder: Path) -> dict[str, dict]:
    """The groups of comparison.json by name, without a path."""
    content = json.loads((folder / "out" / "comparison.json").read_text())
    return {Path(of["name"]).name: of for of in content["groups"]}


def last_line(run: Path) -> dict[str, float]:
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


def test_equal_evaluations_within_one_step(compared: Path) -> None:
    plan = json.loads((compared / "out" / "plan.json").read_text())
    assert plan["costs"][FEW]["evaluations_per_step"] == FEW_COST
    assert plan["costs"][MANY]["evaluations_per_step"] == MANY_COST
    assert plan["amount"] == 14 * FEW_COST
    assert plan["steps"][FEW] == 14 and plan["steps"][MANY] == 8  # 8.4
    groups = runs(compared)
    assert groups[FEW]["cost"]["evaluations"] == 14 * FEW_COST and groups[FEW]["num_finished"] == 2
    assert abs(groups[MANY]["cost"]["evaluations"] - 14 * FEW_COST) < MANY_COST
    for seed in (0, 1):
        config = json.loads(
            (compared / "out/runs/reinforce-num_samples=8" / f"seed-{seed}" / "config.json").read_text()
        )
        assert config["args"]["steps"] == 8 and config["args"]["seed"] == seed
        assert config["args"]["probe_every"] == 2, "four probes a run"


def test_run_that_breaks_is_reported_and_the_others_go_on(compared: Path) -> None:
    broken = runs(compared)["mine.py:breaks"]
    assert broken["num_finished"] == 0
    reasons = [run["failure"] for run in broken["runs"]]
    assert len(reasons) == 2 and all("RuntimeError: out of luck" in reason for reason in reasons)
    assert "out of luck" in (compared / "out" / "report.html").read_text()
    assert "2 of 6 runs failed." in json.loads((compared / "out" / "comparison.json").read_text())["verdict"]


def test_same_command_goes_on_where_it_stopped(compared: Path, in_process: list[list[str]]) -> None:
    finished = compared / "out/runs/boundary-seeking-num_samples=4/seed-1"
    whole = torch.load(finished / "checkpoints" / "step-00000014.pt", weights_only=True)
    # As if killed between two checkpoints.
    (finished / "checkpoints" / "step-00000014.pt").unlink()
    (finished / "results.json").unlink()
    others = {path: path.stat().st_mtime_ns for path in (compared / "out").rglob("results.json")}
    in_process.clear()
    main(["compare", "digits", *arguments(compared), "--jobs", "2"])
    begun = [command for command in in_process if "mine.py" not in " ".join(command)]
    (command,) = begun
    assert command[:2] == ["train", "digits"] and command[-2:] == ["--resume", str(finished)]
    assert {path: path.stat().st_mtime_ns for path in others} == others
    again = torch.load(finished / "checkpoints" / "step-00000014.pt", weights_only=True)
    assert again["evaluations"] == whole["evaluations"]
    torch.testing.assert_close(again["players"], whole["players"], rtol=0, atol=0)
    assert runs(compared)[FEW]["num_finished"] == 2


def test_page_names_what_a_reader_needs(compared: Path) -> None:
    page = (compared / "out" / "report.html").read_text()
    for words in (
        "Best by Frechet distance",
        FEW,
        MANY,
        "discriminator evaluations",
        "signal-to-noise",
        "--num-scored",
    ):
        assert words in page
    assert page.count("data:image/png;base64,") >= 2, "samples of both, inline"


def test_finished_runs(compared: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folders = [str(path) for path in sorted((compared / "out" / "runs").glob("*num_samples*/seed-*"))]
    main(["compare", *folders, "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert f"{FEW}    2/2     14" in printed and f"{MANY}" in printed and str(tmp_path / "out/report.html") in printed
    assert [of["num_finished"] for of in runs(tmp_path).values()] == [2, 2]


def test_table_and_json_are_there_if_the_page_cannot_be_drawn(
    compared: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*args: object, **options: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr("discrete_gan.report.comparison_page.write_comparison_page", breaks)
    folders = [str(path) for path in sorted((compared / "out" / "runs").glob("*num_samples*/seed-*"))]
    with pytest.raises(RuntimeError, match="no ink"):
        main(["compare", *folders, "--out", str(tmp_path / "out")])
    assert f"{FEW}    2/2     14" in capsys.readouterr().out
    assert [of["num_finished"] for of in runs(tmp_path).values()] == [2, 2]


def fails(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    with pytest.raises(SystemExit) as raised:
        main(["compare", *words])
    assert raised.value.code == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors[-1].startswith("discrete-gan: ") and not any("Traceback" in line for line in errors)
    return errors[-1]


def test_other_settings_into_the_same_folder(compared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = fails(capsys, ["digits", *arguments(compared), "--r1", "0.5"])
    assert "its comparison has --r1 1.0, got 0.5: give another --out" in message
    assert "--budget evaluations, got seconds" in fails(capsys, ["digits", *arguments(compared), "--budget", "seconds"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "expected a recipe with --estimators, or two run directories"),
        (["digits"], "compare digits: expected --estimators"),
        (["digit", "--estimators", "arm"], "did you mean 'digits'"),
        (["am_gan", "--estimators", "arm"], "it has no estimators to compare"),
        (["digits", "--estimators", "arm", "disram"], "did you mean 'disarm'"),
        (["digits", "--estimators", "arm", "arm"], "expected each once, got arm twice"),
        (["digits", "--estimators", "arm", "--seed", "3"], "--seed: a comparison sets it, expected --seeds"),
        (["digits", "--estimators", "arm", "--seeds", "0"], "--seeds: expected at least 1, got 0"),
        (["digits", "--estimators", "arm", "--jobs", "0"], "--jobs: expected at least 1, got 0"),
        (["digits", "--estimators", "arm", "--budget", "steps"], "--budget steps: expected evaluations or seconds"),
        (["digits", "--estimators", "arm", "--budget", "seconds=-1"], "--budget seconds=-1: expected a number above 0"),
        (["text", "--estimators", "mle"], "estimator mle, the first one, whose need is the budget: it makes no disc"),
        (["nowhere", "elsewhere"], "nowhere: expected a run directory"),
        (["nowhere", "elsewhere", "--steps", "3"], "--steps: expected --estimators beside it"),
    ],
)
def test_mistakes_in_one_line(
    words: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    def pretend(*args: object, **options: object) -> dict[Path, str]:
        return {}

    monkeypatch.setattr(grid, "run_cells", pretend)
    monkeypatch.setattr(grid, "cost_of_step", lambda folder: {"evaluations_per_step": 0.0, "seconds_per_step": 1.0})
    assert expected in fails(capsys, words)
    assert "mle" in words or not list(tmp_path.iterdir())


def test_words_are_divided_between_command_and_recipe() -> None:
    own, passed = split_options(
        ["digits", "--estimators", "a", "b", "--steps", "3", "--jobs=2", "--r1=0.5", "--out", "x"]
    )
    assert own == ["digits", "--estimators", "a", "b", "--jobs=2", "--out", "x"]
    assert [(option.name, option.words) for option in passed] == [("steps", ["--steps", "3"]), ("r1", ["--r1=0.5"])]
    own, passed = split_options(["digits", "--jobs", "2", "--", "--seeds", "4"])
    assert own == ["digits", "--jobs", "2"] and [option.words for option in passed] == [["--seeds", "4"]]


def test_budget_and_steps() -> None:
    assert parse_budget("seconds") == ("seconds", None) and parse_budget("evaluations=2e6") == ("evaluations", 2e6)
    assert steps_within(1000, 300, 0) == 3 and steps_within(1000, 280, 50) == 54 and steps_within(1, 300, 7) == 8


def test_cost_of_a_step_leaves_out_the_first(tmp_path: Path) -> None:
    rows = [(10, 9.0, 500), (20, 10.0, 700), (30, 11.0, 900), (40, 17.0, 1100)]
    lines = [json.dumps({"step": step, "seconds": seconds, "evaluations": e}) for step, seconds, e in rows]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    assert cost_of_step(tmp_path) == {"evaluations_per_step": 20.0, "seconds_per_step": 0.1}


def test_runs_share_cores_and_take_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 9)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert environment(2, 4) == {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "4"}
    assert environment(1, 16) == {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "6"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environment(0, 1) == {"OMP_NUM_THREADS": "3"}


# Light processes in place of training; the name of the folder says what they do.
SCRIPT = """\
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
folder.mkdir()
if "killed" in folder.name:
    os.kill(os.getpid(), signal.SIGKILL)
if "broken" in folder.name:
    print("reading", "Traceback", "Error: lost", sep="\\n", end="\\r100 %\\rRuntimeError: no more\\n\\n")
    sys.exit(1)
def save(number, frame):
    (folder / "saved").write_text("once" if not (folder / "saved").exists() else "twice")
signal.signal(signal.SIGINT, save)
(folder / "begun").touch()
while "waits" in folder.name and not (folder / "saved").exists():
    time.sleep(0.01)
time.sleep(0.3 if "waits" in folder.name else 0)  # for a second signal, if there is one
(folder / "results.json").write_text("{}")
"""


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "_launch", lambda c, v, log: LAUNCH([sys.executable, "-c", SCRIPT, *c[3:]], v, log))


def run_light(folder: Path, names: list[str], *, jobs: int) -> dict[Path, str]:
    todo = [Cell(name, folder / name, folder / f"{name}.log", []) for name in names]
    return run_cells("none", todo, jobs=jobs, title="runs", summary=lambda cell: "done")


@pytest.mark.usefixtures("light")
def test_process_that_is_killed_is_a_failure_of_its_own(tmp_path: Path) -> None:
    failures = run_light(tmp_path, ["one", "killed", "two"], jobs=2)
    assert list(failures) == [tmp_path / "killed"] and "ended by SIGKILL" in failures[tmp_path / "killed"]
    assert all((tmp_path / name / "results.json").exists() for name in ("one", "two"))


@pytest.mark.usefixtures("light")
def test_reason_is_the_last_line_of_this_attempt(tmp_path: Path) -> None:
    (tmp_path / "broken.log").write_text("discrete-gan: what went wrong the last time\n")
    assert run_light(tmp_path, ["broken"], jobs=1) == {tmp_path / "broken": "failed: RuntimeError: no more"}


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupt_reaches_every_run_once(tmp_path: Path, number: signal.Signals) -> None:
    names = ["waits-1", "waits-2"]

    def interrupt(ready: Callable[[], bool]) -> None:
        while not ready():
            threading.Event().wait(0.01)
        threading.Event().wait(0.3)  # for a third run, if it is begun
        signal.raise_signal(number)

    begun = [tmp_path / name / "begun" for name in names]
    thread = threading.Thread(target=interrupt, args=[lambda: all(path.exists() for path in begun)], daemon=True)
    # A process that a script starts in the background ignores Ctrl-C, and would wait here for good.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as info:
            run_light(tmp_path, [*names, "never"], jobs=2)
        assert number == signal.SIGINT or info.value.args == (128 + number,)
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert [(tmp_path / name / "saved").read_text() for name in names] == ["once", "once"]
    assert not (tmp_path / "never").exists()
