"""Runs as jobs of a cluster: submitit's own processes here, and a Slurm of one node where there is one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import submitit

from discrete_gan.cli import main
from discrete_gan.cli.cluster import Cluster, ClusterRun
from discrete_gan.errors import InputError

SMALL = ["--num-scored=30", "--batch-size=8", "--sample-every=0", "--estimator=boundary-seeking:num_samples=2"]
RARELY = ["--log-every=10", "--checkpoint-every=10000"]  # but for what a signal makes it save
START = Path(__file__).parents[1] / "slurm" / "start.sh"


def run_of(folder: Path, steps: int, *options: str) -> ClusterRun:
    return ClusterRun("digits", [*SMALL, f"--steps={steps}", *options], folder, folder.with_suffix(".log"))


def until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def figures(folder: Path) -> list[dict[str, object]]:
    """Of every step, but for what the clock says."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


def has_begun(folder: Path) -> bool:
    return (folder / "metrics.jsonl").is_file() and bool((folder / "metrics.jsonl").read_text())


def as_unbroken(folder: Path, steps: int) -> bool:
    """Whether figures and weights are those of a run that nothing broke off, trained at once."""
    unbroken = folder.with_name("unbroken")
    assert run_of(unbroken, steps, *RARELY)() == 0
    weights = ["generator/model.safetensors", "discriminator/model.safetensors"]
    same = all((folder / name).read_bytes() == (unbroken / name).read_bytes() for name in weights)
    return same and figures(folder)[-1] == figures(unbroken)[-1]


def test_a_run_whose_place_is_taken_saves_and_goes_on_as_if_unbroken(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = run_of(folder, 600, *RARELY)
    job = Cluster("local", minutes=5).submit(run, tmp_path / "jobs")
    until(lambda: has_begun(folder))
    controller = job._job._process.pid
    (task,) = Path(f"/proc/{controller}/task/{controller}/children").read_text().split()
    os.kill(int(task), signal.SIGUSR2)  # what a cluster sends before it takes the place, or when the time is up
    assert job.wait() == 0
    assert "finishing this step and saving" in run.log.read_text()
    assert as_unbroken(folder, 600)


def test_a_job_that_is_ended_leaves_its_run_the_time_to_save(tmp_path: Path) -> None:
    """Steps of over a second, longer than submitit's own processes are given."""
    folder = tmp_path / "run"
    slow = "--estimator=boundary-seeking:num_samples=60000,chunk_size=2000"
    run = run_of(folder, 400, *RARELY, slow, "--log-every=1")
    job = Cluster("local", minutes=5).submit(run, tmp_path / "jobs")
    until(lambda: has_begun(folder))
    job.send_signal(signal.SIGINT)
    until(lambda: "stopped after step" in run.log.read_text())
    assert (folder / "checkpoints").is_dir() and any((folder / "checkpoints").iterdir())


def test_what_fails_there_has_its_status_and_its_log(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 2, "--nosuch=1")
    job = Cluster("local", minutes=5).submit(run, tmp_path / "jobs")
    assert job.wait() == 2
    assert "discrete-gan: Unrecognized options: --nosuch" in run.log.read_text()


def test_a_comparison_on_jobs_is_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["compare", "digits", "--estimators", "boundary-seeking:num_samples=2", "--seeds", "1", "--steps", "6"]
    words += ["--num-scored", "30", "--batch-size", "8"]
    main([*words, "--out", "there", "--cluster", "local", "--job-minutes", "5"])
    main([*words, "--out", "here"])
    there, here = (json.loads(Path(out, "comparison.json").read_text()) for out in ("there", "here"))
    (of_there,), (of_here,) = (found["groups"] for found in (there, here))
    for group in (of_there, of_here):
        assert group["runs"][0]["steps"] == 6
    values = [
        {name: score["value"] for name, score in group["runs"][0]["scores"].items()} for group in (of_there, of_here)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-4)  # by one thread there, by several here
    # The same command goes on from what there is, here as well.
    main([*words, "--out", "there"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--partition", "x"], "--partition: expected --cluster slurm beside it"),
        (["--cluster", "local", "--partition", "x"], "--partition: expected --cluster slurm beside it"),
        (["--job-gpus", "1"], "--job-gpus: expected --cluster slurm or local beside it"),
    ],
)
def test_options_that_need_a_cluster(options: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", "digits", "--estimators", "reinforce", *options])
    assert ended.value.code == 2 and told in capsys.readouterr().err


def test_without_a_cluster_or_submitit_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"^--cluster slurm: .*srun"):
        Cluster("slurm").submit(run_of(tmp_path / "run", 2), tmp_path / "jobs")
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"submitit is missing: pip install 'discrete-gan\[cluster\]'"):
        Cluster("local").submit(run_of(tmp_path / "run", 2), tmp_path / "jobs")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("slurmctld") is None, reason="no Slurm: see tests/slurm/start.sh")
def test_on_slurm_a_job_that_is_preempted_is_queued_again_and_ends_as_an_unbroken_run(tmp_path: Path) -> None:
    subprocess.run([START, tmp_path / "slurm"], check=True)
    folder = tmp_path / "run"
    run = run_of(folder, 3000, *RARELY)
    job = Cluster("slurm", minutes=10).submit(run, tmp_path / "jobs")
    until(lambda: has_begun(folder))
    again = Cluster("slurm", minutes=10).submit(run, tmp_path / "jobs")  # another command finds it there
    assert again._job.job_id == job._job.job_id
    assert isinstance(job._job, submitit.SlurmJob)
    job._job._interrupt(timeout=True)
    until(lambda: job.poll() is not None, 600)
    assert job.poll() == 0 and "finishing this step and saving" in run.log.read_text()
    assert as_unbroken(folder, 3000)
