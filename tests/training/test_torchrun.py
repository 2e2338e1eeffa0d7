"""Several processes train one run: they end together, whatever happens to one of them, and one writes and tells."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp

from discrete_gan.cli.main import main
from discrete_gan.cli.recipes import recipe_files
from discrete_gan.cli.verify import first_difference
from discrete_gan.errors import InputError
from discrete_gan.training import interrupts
from discrete_gan.training.launch import launch
from discrete_gan.training.lock import hold
from tests.training.faulty import AT
from tests.training.small import Options, make_run
from tests.training.test_nothing_lost import train

_SEQUENCES = "--steps 6 --pretrain-steps 2 --warmup-steps 1 --batch-size 8 --num-scored 20"
RECIPES = {
    "digits": "--steps 3 --num-scored 20",
    "text": _SEQUENCES,
    "oracle_text": f"{_SEQUENCES} --num-train 64 --length 4",
    "binary_mnist": "--data digits --steps 3 --num-scored 20",
    "quantized_images": "--data digits --steps 3 --num-scored 20 --batch-size 4",
    "continuous": "--data digits --steps 3 --num-scored 20 --width 2 --image-size 16",
    "softmax_gan": "--data digits --steps 3 --num-scored 20 --width 2 --image-size 16",
    "am_gan": "--data digits --steps 3 --num-scored 20",
    "semi_supervised": "--data digits --steps 3",
    "wake_sleep": "--data digits --steps 3 --latent-dim 4 --hidden 4 --bound-latents 20 --bound-num 20 --num-scored 20",
    "table": "--steps 3 --num-scored 20 --batch-size 16",
    "frames": "--steps 6 --pretrain-steps 2 --warmup-steps 1 --batch-size 8 --num-scored 20 --hidden 8 --width 8",
}
FAULTY = str(Path(__file__).with_name("faulty.py"))


def torchrun(*words: str, fault: str = "", rank: int = 0) -> subprocess.CompletedProcess[str]:
    """``torchrun --nproc-per-node 2 -m discrete_gan ...``: a process that waits for one that has left never ends."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    variables = {**os.environ, "FAULT": fault, "FAULT_RANK": str(rank)}
    return subprocess.run(
        [*command, "-m", "discrete_gan", *words], capture_output=True, text=True, timeout=300, env=variables
    )


def checkpoints(run: Path) -> list[int]:
    """Steps of those that are kept."""
    return sorted(int(path.stem[5:]) for path in (run / "checkpoints").glob("step-*.pt"))


def test_every_recipe_has_a_run() -> None:
    assert RECIPES.keys() == recipe_files().keys()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_two_processes_train_score_and_resume_one_run(recipe: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = torchrun("train", recipe, *RECIPES[recipe].split(), "--device", "cpu", "--out", str(run))
    assert result.returncode == 0, result.stderr
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 1
    assert (run / "results.json").is_file()
    result = torchrun("train", recipe, "--resume", str(run), "--steps", "8")
    assert result.returncode == 0, result.stderr
    assert json.loads((run / "results.json").read_text())["steps"] == 8


# The status is that of the process whose end torchrun reports; what it prints itself is its own.
FAULTS = {
    "term 0": (143, f"stopped after step {AT};", AT),
    "term 1": (143, f"stopped after step {AT};", AT),
    "int 1": (130, f"stopped after step {AT};", AT),
    "term-torchrun 1": (None, f"stopped after step {AT};", AT),
    "int-torchrun 0": (None, f"stopped after step {AT};", AT),
    "terminal 1": (None, f"stopped after step {AT};", AT),
    "raise 0": (1, "in a step", AT - 1),
    "raise 1": (1, "in a step", AT - 1),
    "score 0": (1, "a score of the user's own", AT),
    "disk 0": (2, "cannot be written (No space left on device); last checkpoint:", AT - 1),
    "nan 0": (2, f"its loss or gradient is not finite at step {AT}", AT - 1),
    "nan 1": (2, f"its loss or gradient is not finite at step {AT}", AT - 1),
    "kill 0": (-9, "another process of this run has ended", AT - 1),
    "kill 1": (-9, "another process of this run has ended", AT - 1),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    path = tmp_path_factory.mktemp("whole") / "run"
    result = torchrun("train", FAULTY, "--out", str(path))
    assert result.returncode == 0, result.stderr
    return path


@pytest.mark.slow
@pytest.mark.parametrize("what", FAULTS)
def test_whatever_happens_to_one_all_end_and_the_run_goes_on(what: str, tmp_path: Path, whole: Path) -> None:
    fault, _, rank = what.partition(" ")
    status, message, kept = FAULTS[what]
    run = tmp_path / "run"
    result = torchrun("train", FAULTY, "--out", str(run), fault=fault, rank=int(rank))
    said = [*result.stdout.splitlines(), *result.stderr.splitlines()]
    told = [line for line in said if "discrete-gan: " in line or "stopped after" in line]
    told += [line for line in said if line.startswith(("[rank", "Zero")) and "Error: " in line]
    assert result.returncode == 1
    assert status is None or f"exitcode  : {status}" in result.stderr
    assert len(told) == 1 or (fault == "kill" and not told), result.stderr  # torchrun tells of that one itself
    assert all(message in line for line in told)
    assert checkpoints(run)[-1] == kept
    assert torchrun("train", FAULTY, "--resume", str(run)).returncode == 0
    if fault != "score":  # the line of that step is not written
        assert first_difference(whole, run) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", FAULTY, "--steps", "many"], "Error parsing --steps"),
        (["train", FAULTY, "--batch-size", "0"], "expected a batch size of at least 1, got 0"),
        (["train", FAULTY, "--out", "/dev/null"], "/dev/null: "),
        (["train", FAULTY, "--resume", "nowhere"], "nowhere: expected a run directory, found no readable config.json"),
        (["train", FAULTY, "--verify-resume"], "--verify-resume: expected one process"),
        (["compare", "digits"], "compare: expected one process, got 2"),
    ],
)
def test_a_mistake_is_told_once(words: list[str], message: str) -> None:
    result = torchrun(*words)
    assert result.stderr.count(message) == 1, result.stderr
    assert "exitcode  : 2" in result.stderr


@pytest.mark.slow
def test_a_directory_that_another_run_has_is_refused_once(tmp_path: Path) -> None:
    lock = hold(tmp_path / "run")
    try:
        result = torchrun("train", FAULTY, "--out", str(tmp_path / "run"))
    finally:
        lock.release()
    assert result.stderr.count("discrete-gan: ") == 1, result.stderr
    assert "exitcode  : 2" in result.stderr


def _as_torchrun_does(rank: int, port: int, run: Path) -> None:
    world = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    found = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    os.environ.update({name: str(value) for name, value in {**world, **found}.items()})
    torch.set_num_threads(1)
    signal.alarm(120)  # one that waits for the other would wait for ever
    os.environ.update(FAULT="term", FAULT_RANK="1")
    with pytest.raises(SystemExit, match="143"):
        main(["train", FAULTY, "--out", str(run)])
    assert checkpoints(run) == [AT - 1, AT]
    os.environ["FAULT"] = ""
    main(["train", FAULTY, "--resume", str(run)])


@pytest.mark.slow
def test_a_signal_to_one_stops_both_in_the_same_step_and_they_go_on(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.get_context("forkserver").set_forkserver_preload(["discrete_gan.cli.train", "torchmetrics"])
    run = tmp_path / "run"
    mp.start_processes(_as_torchrun_does, args=(port, run), nprocs=2, start_method="forkserver", daemon=True)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 8
    assert {"ones", "mean"} <= json.loads((run / "results.json").read_text())["scores"].keys()


class TestOneProcess:
    """What is found out before processes meet."""

    @pytest.fixture
    def second_of_two(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"RANK": "1", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2"}.items():
            monkeypatch.setenv(name, value)

    @pytest.mark.parametrize(
        "words", [["compare", "digits"], ["evaluate", "run"], ["train", FAULTY, "--verify-resume"]]
    )
    @pytest.mark.usefixtures("second_of_two")
    def test_what_is_for_one_process_is_refused(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(words)
        assert "expected one process" in capsys.readouterr().err

    @pytest.mark.usefixtures("second_of_two")
    def test_help_is_printed_by_the_first(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("discrete_gan.cli.parsing._MOMENT", 0)
        for rank in ("1", "0"):
            assert not capsys.readouterr().out
            monkeypatch.setenv("RANK", rank)
            with pytest.raises(SystemExit):
                main(["train", FAULTY, "--help"])
        assert "--checkpoint-every" in capsys.readouterr().out

    def test_a_run_goes_on_with_as_many_processes(self, tmp_path: Path) -> None:
        path = tmp_path / "run"
        train(out=path, steps=2)
        config = json.loads((path / "config.json").read_text())
        assert config.pop("processes") == 1
        for processes in (2, 0):
            (path / "config.json").write_text(json.dumps({**config, "processes": processes}))
            with pytest.raises(InputError, match=r"processes were 2: .*--nproc-per-node 2\), got 1|processes"):
                make_run(resume=path, steps=4)
        (path / "config.json").write_text(json.dumps(config))  # of a version that did not say
        train(resume=path, steps=4)

    def test_each_process_has_a_device(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        for device in ("cuda", "cuda:0"):
            with pytest.raises(InputError, match=f"{device}: expected a device for each of 2 processes, found 1"):
                launch(Options(device=device))

    def test_of_several_processes_a_signal_passed_on_is_the_same_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now: Any = 0.0
        monkeypatch.setattr(interrupts, "num_processes", lambda: 2)
        monkeypatch.setattr(interrupts.time, "monotonic", lambda: now)
        with interrupts.interrupts_collected() as received:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            now = 6.0
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert received == [signal.SIGTERM]

    def test_an_end_asked_for_by_each_thread_of_a_parent_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now: Any = 0.0
        monkeypatch.setattr(interrupts.time, "monotonic", lambda: now)
        with interrupts.interrupts_collected() as received:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            now = 1.0
            with pytest.raises(SystemExit):
                signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM]

    def test_slurms_launcher_is_not_asked_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "srun").touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            launch(Options(device="cpu"))
        assert not [one for one in told if "srun" in str(one.message)]
