"""Kills, locks and signals through the commands; ``benchmarks/faults/kill.py`` is the long version."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from discrete_gan.cli import cells, cluster, main, verify
from discrete_gan.cli.cells import Cell, run_cells
from discrete_gan.cli.verify import first_difference
from discrete_gan.models import MLPDiscriminator

TINY = ["--steps", "4", "--num-scored", "20", "--batch-size", "16", "--sample-every", "0", "--log-every", "1"]
HOLD = """
import fcntl, os, sys
file = open(sys.argv[1] + "/.lock", "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(os.getpid(), file=file, flush=True)
print("held", flush=True)
sys.stdin.read()
"""


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("discrete-gan: ")
    return line


@pytest.mark.parametrize("command", ["train digits", "compare digits --estimators reinforce"])
@pytest.mark.parametrize("where", ["file/x", "/proc/x", "loop", "n" * 300])
def test_output_that_cannot_be_is_one_line(
    command: str, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    monkeypatch.setattr("discrete_gan.data.load_images", None)  # nothing is read before
    fails([*command.split(), "--out", str(tmp_path / where)], capsys)


@pytest.mark.parametrize("command", ["train digits", "compare digits --estimators reinforce"])
def test_a_second_process_is_refused(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        assert f"process {process.pid} works in it" in fails([*command.split(), "--out", str(tmp_path)], capsys)
        process.kill()


def lab_files(folder: Path) -> tuple[list[str], Path]:
    return ["lab", "--estimators", "reinforce", "--out", str(folder)], folder / "table-network.csv"


def run_files(folder: Path) -> tuple[list[str], Path]:
    main(["train", "digits", *TINY, "--out", str(folder)])
    return ["evaluate", str(folder)], folder / "evaluation.json"


def text_files(folder: Path) -> tuple[list[str], Path]:
    main(["train", "text", *TINY, "--pretrain-steps", "1", "--hidden", "4", "--out", str(folder)])
    return ["evaluate", str(folder), "--temperatures", "1"], folder / "temperatures.png"


@pytest.mark.parametrize("files", [lab_files, run_files, text_files])
def test_outputs_are_tried_before_anything_is_computed(
    files: Callable[[Path], tuple[list[str], Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments, file = files(tmp_path / "out")
    for computes in ("lab.analyze", "evaluate.evaluate_task", "temperatures._shared_task"):
        monkeypatch.setattr(f"discrete_gan.cli.{computes}", None)
    with monkeypatch.context() as patch:
        patch.setattr("discrete_gan.writing.TemporaryFile", read_only)
        capsys.readouterr()
        assert "out: cannot be written (Read-only file system)" in fails(arguments, capsys)
    file.mkdir(parents=True)
    assert f"{file}: cannot be written (Is a directory)" in fails(arguments, capsys)


def read_only(**options: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_discriminator_of_other_sizes_is_found_before_anything_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    main(["train", "digits", *TINY, "--out", str(run)])
    MLPDiscriminator(9, hidden=(4, 2)).save_pretrained(run / "discriminator")
    monkeypatch.setattr("discrete_gan.cli.evaluate.evaluate_task", None)
    capsys.readouterr()
    assert f"{run}: its discriminator does not fit" in fails(["evaluate", str(run)], capsys)


def test_data_that_are_gone_when_a_run_is_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = tmp_path / "grey.npy", tmp_path / "run"
    np.save(data, np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8))
    main(["train", "digits", *TINY, "--data", str(data), "--out", str(run)])
    data.unlink()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert str(data) in fails(["train", "digits", "--resume", str(run), "--steps", "5"], capsys)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize("home", [None, "/proc/none"])
def test_without_a_home_or_one_that_can_be_written(home: str | None, tmp_path: Path) -> None:
    gone = ("HOME", "DISCRETE_GAN_CACHE", "XDG_CACHE_HOME", "MPLCONFIGDIR", "HF_HOME", "TORCH_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in gone}
    environment |= {} if home is None else {"HOME": home}
    command = [sys.executable, "-m", "discrete_gan", "train", "digits", *TINY, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_user_verifies_that_resuming_is_exact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "_train", lambda recipe, options: main(["train", recipe, *options]))
    main(["train", "digits", "--verify-resume", *TINY])
    assert capsys.readouterr().out.splitlines()[-1] == "steps 1 to 4, resumed after 2: equal, bit for bit"
    (tmp_path / "mine.py").write_text(
        "calls = 0\n"
        "def drifts(generator, discriminator, z):\n"
        "    global calls\n"
        "    calls += 1\n"  # which no checkpoint holds
        "    return generator(z).logits.sum(1) * calls\n"
    )
    with pytest.raises(SystemExit) as info:
        main(["train", "digits", "--verify-resume", *TINY, "--estimator", f"{tmp_path}/mine.py:drifts"])
    assert info.value.code == 1
    assert "the resumed run differs: metrics.jsonl 2 " in capsys.readouterr().out
    assert "it sets --out" in fails(["train", "digits", "--verify-resume", "--out=x"], capsys)


def test_first_difference_names_where(tmp_path: Path) -> None:
    main(["train", "digits", *TINY, "--out", str(tmp_path / "a")])
    main(["train", "digits", *TINY, "--out", str(tmp_path / "b"), "--seed", "1"])
    assert first_difference(tmp_path / "a", tmp_path / "a") is None
    assert str(first_difference(tmp_path / "a", tmp_path / "b")).startswith("metrics.jsonl 0 ")
    rows = (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [1, 2, 3, 4]


ORPHAN = """
import os, signal, sys, time
from discrete_gan.cli.orphans import end_with_parent
def save(number, frame):
    open(sys.argv[1], "w").write("saved")
    sys.exit()
signal.signal(signal.SIGTERM, save)
end_with_parent()
open(sys.argv[1] + ".begun", "w").close()
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys, time
from discrete_gan.cli.orphans import orphans_end
command = [sys.executable, "-c", sys.argv[1], sys.argv[2]]
subprocess.Popen(command, env=os.environ | orphans_end(), start_new_session=True)
time.sleep(60)
"""


def until(done: Path) -> None:
    end = time.monotonic() + 30
    while not done.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child that its parent has gone")
def test_runs_end_with_the_comparison_that_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PARENT, ORPHAN, str(tmp_path / "run")])
    until(tmp_path / "run.begun")
    process.kill()
    process.wait()
    until(tmp_path / "run")


def test_a_cell_waits_for_the_run_that_still_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = iter(["1", "1", None])
    monkeypatch.setattr(cluster, "holder", lambda folder: next(busy))
    monkeypatch.setattr(cluster, "_HELD_EVERY", 0.01)
    monkeypatch.setattr(cells, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(
        cells, "_launch", lambda command, variables, log: subprocess.Popen(["false"], stdout=log, stderr=log)
    )
    cell = Cell("one", tmp_path / "one", tmp_path / "log", [])
    assert list(run_cells("none", [cell], jobs=1, title="", summary=lambda cell: "")) == [tmp_path / "one"]
    assert next(busy, "used up") == "used up"


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.15, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0])
def test_ctrl_c_in_the_first_moments_is_one_line(moment: float, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "discrete_gan", "train", "digits", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    time.sleep(moment)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
