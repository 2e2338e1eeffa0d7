"""Runs of a grid as jobs of a cluster: submitit queues them, a run's own checkpoints carry it over preemption."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from discrete_gan.cli.orphans import orphans_end
from discrete_gan.errors import InputError
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.lock import holder

Engine = Literal["slurm", "local"]
_LOOK_EVERY = 5.0  # seconds between questions to the queue
_HELD_EVERY, _WAIT = 0.1, 60.0  # seconds between looks at a folder that is held, and of them in all
_ABSENT = 3  # times that the queue does not know a job, before it counts as lost
_SAVED = 128 + signal.SIGTERM  # status of a run that was asked to end and has saved
_PREEMPTED = 300.0  # seconds that a run which was asked to end waits for the cluster to queue it again


@dataclass(frozen=True)
class Cluster:
    """Where runs go.

    Attributes:
        engine: ``slurm``, or ``local`` for submitit's processes on this machine.
        minutes: Limit of a job; a run that reaches it saves, is queued again and goes on.
        partition: Of Slurm; its default if not given.
        gpus: Of each run.
        cpus: Of each run.
    """

    engine: Engine
    minutes: int = 240
    partition: str | None = None
    gpus: int = 0
    cpus: int = 1

    def submit(self, run: "ClusterRun", folder: Path) -> "ClusterJob":
        """Queue a run, or take up the job that a command before this one queued for it and that is still there.

        Args:
            run: Of a recipe.
            folder: For submitit's files.

        Raises:
            InputError: If submitit is not installed, or the cluster refuses the job.
        """
        try:
            import submitit
            from submitit.core.utils import FailedJobError
        except ImportError:
            raise InputError("--cluster: submitit is missing: pip install 'discrete-gan[cluster]'") from None
        ticket = run.log.with_suffix(".job")
        if self.engine == "slurm" and ticket.is_file() and in_queue(known := ticket.read_text().strip()):
            return ClusterJob(submitit.SlurmJob(folder, known), self.engine)
        options: dict[str, Any] = {"timeout_min": self.minutes, "cpus_per_task": self.cpus}
        options |= {"gpus_per_node": self.gpus} if self.gpus else {}
        if self.engine == "slurm":
            options["slurm_job_name"] = f"discrete-gan-{run.folder.name}"
            options |= {"slurm_partition": self.partition} if self.partition else {}
        try:
            executor = submitit.AutoExecutor(folder, cluster=self.engine, slurm_max_num_timeout=1000)
            executor.update_parameters(**options)
            job = executor.submit(run)
        except (RuntimeError, OSError, FailedJobError) as error:
            last = str(error).strip().splitlines()
            raise InputError(f"--cluster {self.engine}: {last[-1] if last else type(error).__name__}") from None
        ticket.write_text(job.job_id)
        return ClusterJob(job, self.engine)


@dataclass
class ClusterRun:
    """A run of a recipe, called on the machine that the cluster gives it.

    Attributes:
        recipe: Name, or path of a recipe file.
        options: Of ``train RECIPE``, without ``--out`` and ``--resume``.
        folder: Run directory: with a checkpoint in it the run goes on from there.
        log: What the run writes onto the terminal.
        cpus: Threads that it computes with.
    """

    recipe: str
    options: Sequence[str]
    folder: Path
    log: Path
    cpus: int = 1

    def command(self) -> list[str]:
        """As it begins, or goes on."""
        resumable = RunDirectory(self.folder).last_checkpoint() is not None
        where = ["--resume", str(self.folder)] if resumable else ["--out", str(self.folder), "--overwrite"]
        return [sys.executable, "-m", "discrete_gan", "train", self.recipe, *self.options, *where]

    def __call__(self) -> int:
        """Run it; its exit status."""
        global _running
        wait_for_holder(self.folder)
        with self.log.open("ab") as log:
            # The cluster's warning goes to all processes of a job: this one answers it, the run is asked to save then.
            before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            _running = process = subprocess.Popen(
                self.command(),
                env=os.environ | orphans_end() | {"OMP_NUM_THREADS": str(self.cpus)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            signal.signal(signal.SIGUSR2, before)
            status = process.wait()  # if this is interrupted, the run is asked to end by the end of its parent
        if status == _SAVED:  # preempted: the job is ended and queued again by the cluster
            time.sleep(_PREEMPTED)
        return status

    def checkpoint(self) -> Any:
        """Save, and be queued again: what submitit calls where the time is up or the place is taken."""
        import submitit

        if _running is not None:
            save(_running)
        return submitit.helpers.DelayedSubmission(self)


def wait_for_holder(folder: Path) -> None:
    """Give a run of the folder that was asked to end a while to save: until then none goes on there."""
    until = time.monotonic() + _WAIT
    while holder(folder) is not None and time.monotonic() < until:
        time.sleep(_HELD_EVERY)


_running: "subprocess.Popen[bytes] | None" = None  # by this process; submitit asks for a checkpoint in a signal handler


def save(process: "subprocess.Popen[bytes]") -> None:
    """Ask a run to finish its step and save, and wait until it has.

    Without the process' own methods: this runs in a signal handler, which may have broken in on them.
    """
    with suppress(ProcessLookupError, ChildProcessError):  # it has ended
        os.kill(process.pid, signal.SIGTERM)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


class ClusterJob:
    """A job, asked about and stopped as a process is.

    Args:
        job: Of submitit.
        engine: Whose it is.
    """

    def __init__(self, job: Any, engine: Engine) -> None:
        self._job, self._engine = job, engine
        self._asked, self._absent = time.monotonic(), 0

    def poll(self) -> int | None:
        """Exit status of the run, None while the job waits or runs; 1 where it is gone without one."""
        if self._job.paths.result_pickle.exists():
            try:
                return int(self._job.result())
            except Exception:
                return 1
        if time.monotonic() - self._asked < _LOOK_EVERY:
            return None
        self._asked = time.monotonic()
        there = in_queue(self._job.job_id) if self._engine == "slurm" else not self._job.done()
        self._absent = 0 if there else self._absent + 1
        return 1 if self._absent >= _ABSENT else None

    def send_signal(self, number: int) -> None:
        """End the job, whatever the number: the run saves."""
        self._job.cancel(check=False)

    def wait(self) -> int:
        """Until it has ended."""
        while (status := self.poll()) is None:
            time.sleep(0.2)
        return status

    def kill(self) -> None:
        """As :meth:`send_signal`: a cluster ends what does not end by itself."""
        self._job.cancel(check=False)


def in_queue(job_id: str) -> bool:
    """Whether Slurm has the job waiting or running.

    Raises:
        InputError: If there is no Slurm here.
    """
    command = ["squeue", "--noheader", "--jobs", job_id, "--format", "%T"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(f"--cluster slurm: squeue cannot be run: {error.strerror}") from None
    state = told.stdout.strip()
    return bool(state) and state not in ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
