"""Training runs as processes of their own: several at a time, resumed where they stopped, failures told by a line."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NamedTuple

import torch
from tqdm import tqdm

from discrete_gan.cli.cluster import Cluster, ClusterJob, ClusterRun, wait_for_holder
from discrete_gan.cli.orphans import orphans_end
from discrete_gan.training.interrupts import SIGNALS

_LOOK_EVERY = 0.1  # seconds


class Cell(NamedTuple):
    """One run of a grid.

    Attributes:
        name: For people.
        folder: Run directory.
        log: File for what the run writes onto the terminal; not in the run directory, which an overwriting run removes.
        options: Of ``train RECIPE``, without ``--out`` and ``--resume``.
    """

    name: str
    folder: Path
    log: Path
    options: list[str]

    @property
    def is_finished(self) -> bool:
        """Whether its results are there."""
        return (self.folder / "results.json").is_file()


class _Job(NamedTuple):
    cell: Cell
    process: "subprocess.Popen[bytes] | ClusterJob"
    log_start: int


def run_cells(
    recipe: str,
    cells: Sequence[Cell],
    *,
    jobs: int,
    title: str,
    summary: Callable[[Cell], str],
    cluster: Cluster | None = None,
) -> dict[Path, str]:
    """Run those that have not finished; one with a checkpoint goes on from there, and one that fails stops no other.

    Ctrl-C, or a request to terminate, reaches every run once, so that it saves; a second one stops them at once.

    Args:
        recipe: Name, or path of a recipe file.
        cells: Runs.
        jobs: How many at a time; several GPUs are given out in turn, the cores of the CPU shared.
        title: Of the progress bar.
        summary: What to say of a run that has finished.
        cluster: Where they run, all queued at once; here if not given.

    Returns:
        Why each of those that failed did, by folder.

    Raises:
        KeyboardInterrupt: On Ctrl-C, once all runs have ended.
        SystemExit: On a request to end, with 128 and its number.
    """
    waiting = [cell for cell in cells if not cell.is_finished]
    failures: dict[Path, str] = {}
    running: dict[int, _Job] = {}
    done, jobs = len(cells) - len(waiting), len(waiting) if cluster else jobs
    with tqdm(total=len(cells), initial=done, desc=title, unit="run", dynamic_ncols=True) as bar, _termination():
        try:
            while waiting or running:
                for slot in range(jobs):
                    if waiting and slot not in running:
                        running[slot] = _start(recipe, waiting.pop(0), slot, jobs, cluster)
                time.sleep(_LOOK_EVERY)
                for slot, job in list(running.items()):
                    if (status := job.process.poll()) is None:
                        continue
                    del running[slot]
                    cell = job.cell
                    if status or not cell.is_finished:
                        failures[cell.folder] = _reason(job, status)
                    bar.write(f"{cell.name}: " + (failures.get(cell.folder) or summary(cell)))
                    bar.update()
        except BaseException:
            _stop([job.process for job in running.values()])
            with suppress(OSError, ValueError):  # a terminal that has hung up
                bar.write("stopped; the same command goes on from here")
            raise
    return failures


def _start(recipe: str, cell: Cell, slot: int, jobs: int, cluster: Cluster | None) -> _Job:
    for path in (cell.folder, cell.log):
        path.parent.mkdir(parents=True, exist_ok=True)
    if cluster is not None:
        recipe = str(Path(recipe).resolve()) if recipe.endswith(".py") else recipe
        start = cell.log.stat().st_size if cell.log.exists() else 0
        run = ClusterRun(recipe, cell.options, cell.folder.resolve(), cell.log.resolve(), cluster.cpus)
        return _Job(cell, cluster.submit(run, cell.log.parent / "cluster"), start)
    wait_for_holder(cell.folder)
    run = ClusterRun(recipe, cell.options, cell.folder, cell.log)
    with cell.log.open("ab") as log:
        start = log.tell()
        return _Job(cell, _launch(run.command(), os.environ | environment(slot, jobs) | orphans_end(), log), start)


def _launch(command: Sequence[str], variables: Mapping[str, str], log: BinaryIO) -> "subprocess.Popen[bytes]":
    # A session of its own: the terminal's Ctrl-C would come a second time, and a second one saves nothing.
    return subprocess.Popen(
        command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def environment(slot: int, jobs: int) -> dict[str, str]:
    """Variables of a run, so that runs at a time share cores and GPUs.

    Args:
        slot: From 0 to below ``jobs``; no two runs at a time have the same.
        jobs: Runs at a time.
    """
    # Threads that wait for a busy core slow small networks tenfold.
    variables = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = list(map(str, range(torch.cuda.device_count()))) if visible is None else visible.split(",")
    if len(devices) > 1:
        variables["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    return variables


def _reason(job: _Job, status: int) -> str:
    """Why a run failed: its own message, else the last line it wrote."""
    if status < 0:
        return f"failed: ended by {signal.Signals(-status).name}, see {job.cell.log}"
    with job.cell.log.open("rb") as log:
        log.seek(job.log_start)
        lines = re.split(r"[\r\n]+", log.read().decode(errors="replace"))
    lines = [line.strip() for line in lines if line.strip()]
    messages = [line.removeprefix("discrete-gan: ") for line in lines if line.startswith("discrete-gan: ")]
    return f"failed: {(messages or lines or [f'status {status}, see {job.cell.log}'])[-1]}"


def _stop(processes: Sequence["subprocess.Popen[bytes] | ClusterJob"]) -> None:
    """Interrupt all and wait for what they save; a Ctrl-C meanwhile stops them at once."""
    for _ in range(2):
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        try:
            for process in processes:
                process.wait()
            return
        except (KeyboardInterrupt, SystemExit):
            continue
    for process in processes:
        process.kill()


@contextmanager
def _termination() -> Iterator[None]:
    """A request to end counts as Ctrl-C inside, but for the status: runs in sessions of their own would go on."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    previous = {
        number: signal.signal(number, end)
        for number in SIGNALS
        if number != signal.SIGINT and signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
