"""What a run has written survives kills, damage, full disks, a second process and a wrong folder."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from discrete_gan import writing
from discrete_gan.cli.verify import first_difference
from discrete_gan.errors import InputError
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.training import Run, checkpoints
from discrete_gan.training.interrupts import SIGNALS
from discrete_gan.training.lock import hold, holder
from tests.training.small import Bits, D, make_run

STEPS = 6


def train(at: Callable[[Run, int], object] = lambda run, step: None, **options: Any) -> Run:
    """A run of six steps with a checkpoint every two; what happens in each is given."""
    run = make_run(**{"steps": STEPS, "checkpoint_every": 2, "sample_every": 0, **options})
    generator, discriminator = run.networks(lambda: (MLPGenerator(3, D, hidden=(4,)), MLPDiscriminator(D, hidden=(4,))))
    g, d = run.player("generator", generator, lr=0.01), run.player("discriminator", discriminator, lr=0.01)
    for step in run.steps():
        real = run.task.batch(step).x
        fake = generator(generator.latents(5)).sample()
        d.descend((discriminator(fake) - discriminator(real)).mean())
        x = generator(generator.latents(5))
        g.descend(-(discriminator(x.sample()).detach() * x.log_prob(x.sample())).mean())
        run.log(loss=float(step))
        at(run, step)
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    path = tmp_path_factory.mktemp("whole") / "run"
    train(out=path)
    return path


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """One that ended after its fifth step: checkpoints of steps 2 and 4, and a line of the log torn."""

    def stop(run: Run, step: int) -> None:
        if step == 4:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(stop, out=tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    return tmp_path / "run"


def newest(run: Path) -> Path:
    return sorted((run / "checkpoints").glob("*.pt"))[-1]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def cut(path: Path, at: int) -> None:
    path.write_bytes(path.read_bytes()[:at])


def other(path: Path, at: int) -> None:
    torch.save({"step": [at]}, path)


class TestCheckpoints:
    def test_a_killed_run_goes_on_to_the_bytes_of_the_unbroken_one(self, killed: Path, whole: Path) -> None:
        for leftover in ("checkpoints/.step-00000006.pt.tmp", "generator/.tmpX1", ".results.json.tmp"):
            (killed / leftover).write_text("half")
        train(resume=killed)
        assert first_difference(whole, killed) is None
        assert not [path for path in killed.rglob("*") if "tmp" in path.name or path.name == ".lock"]

    @pytest.mark.parametrize(("damage", "part"), [(flip, 0.6), (cut, 0.0), (cut, 0.98), (other, 0.0)])
    def test_damaged_one_is_named_and_the_one_before_used(
        self,
        killed: Path,
        whole: Path,
        damage: Callable[[Path, int], None],
        part: float,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        path = newest(killed)
        damage(path, int(part * path.stat().st_size))
        train(resume=killed, log_every=1)
        assert f"{path}: " in capsys.readouterr().err
        assert path.with_name(f"{path.name}.damaged").exists()
        assert first_difference(whole, killed) is None

    def test_every_single_flipped_bit_is_found(self, killed: Path) -> None:
        path = newest(killed)
        content = path.read_bytes()
        loaded = checkpoints._read(path, torch.device("cpu"))
        for at in range(0, len(content) - checkpoints._TRAILER, 257):
            flip(path, at)
            with pytest.raises(ValueError, match="damaged"):
                checkpoints._read(path, torch.device("cpu"))
            path.write_bytes(content)
        assert loaded["step"] == 4

    def test_a_run_goes_on_in_its_own_directory_alone(self, killed: Path, tmp_path: Path) -> None:
        attempts: list[dict[str, Any]] = [{"out": tmp_path / "other"}, {"overwrite": True}]
        for options in attempts:
            with pytest.raises(InputError, match="a run goes on in its own directory, got --o"):
                train(resume=killed, **options)
        assert not (tmp_path / "other").exists()

    def test_none_that_is_whole_is_one_line(self, killed: Path) -> None:
        before = sorted(killed.rglob("*"))
        for path in (killed / "checkpoints").glob("*.pt"):
            cut(path, 100)
        with pytest.raises(
            InputError, match=r"not a readable checkpoint \(step-00000004.pt: .*; step-00000002.pt: "
        ) as e:
            train(resume=killed)
        assert "\n" not in str(e.value)
        assert sorted(killed.rglob("*")) == before

    def test_one_without_a_checksum_is_read_if_its_archive_is_whole(self, killed: Path) -> None:
        path = newest(killed)
        state = torch.load(path, weights_only=True)
        torch.save(state, path)
        assert checkpoints._read(path, torch.device("cpu"))["step"] == 4
        flip(path, path.read_bytes().index(b"FB") + 3000)
        with pytest.raises(ValueError, match="damaged"):
            checkpoints._read(path, torch.device("cpu"))

    def test_content_is_on_the_disk_before_it_has_its_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: list[str] = []
        for name in ("fsync", "replace"):
            real = getattr(os, name)
            monkeypatch.setattr(os, name, lambda *a, name=name, real=real: (done.append(name), real(*a))[1])
        writing.write_aside(tmp_path / "file", lambda file: file.write(b"x"))
        assert done == ["fsync", "replace", "fsync"]


class TestNumbers:
    def test_a_gradient_that_is_not_finite_saves_nothing(self, tmp_path: Path) -> None:
        def poison(run: Run, step: int) -> None:
            if step == 4:
                weight = next(iter(run._players["generator"].network.parameters()))
                run._players["generator"].descend((weight * 0).sqrt().sum())  # 0, of gradient nan

        with pytest.raises(InputError, match=r"generator: its loss or gradient is not finite at step 5.*step-00000004"):
            train(poison, out=tmp_path / "run")
        assert all(
            weight.isfinite().all()
            for path in (tmp_path / "run" / "checkpoints").iterdir()
            for weight in torch.load(path, weights_only=True)["players"]["generator"]["network"].values()
        )

    def test_weights_that_are_not_finite_are_not_saved(self, tmp_path: Path) -> None:
        def poison(run: Run, step: int) -> None:
            if step == 5:
                next(iter(run._players["discriminator"].network.parameters())).data[0] = torch.inf

        with pytest.raises(InputError, match=r"discriminator: its weights layers.* are not finite after step 6"):
            train(poison, out=tmp_path / "run")
        assert newest(tmp_path / "run").stem == "step-00000004"


class TestFolders:
    def test_overwriting_leaves_what_no_run_wrote(self, whole: Path, tmp_path: Path) -> None:
        run = tmp_path / "run"
        train(out=run, seed=3)
        kept = ("notes.txt", "samples/chosen.png", "generator/mine.bin", "thesis/chapter.tex")
        for name in kept:
            (run / name).parent.mkdir(exist_ok=True)
            (run / name).write_text(name)
        train(out=run, overwrite=True)
        assert [(run / name).read_text() for name in kept] == list(kept)
        assert first_difference(whole, run) is None
        assert len((run / "metrics.jsonl").read_text().splitlines()) == STEPS

    @pytest.mark.parametrize("content", ['{"model_type": "bert"}', "not JSON"])
    def test_overwriting_refuses_the_config_of_something_else(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(InputError):
            train(out=tmp_path, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["config.json"]

    @pytest.mark.parametrize("left", [[".lock"], [".lock", ".config.json.tmp"], ["samples/", "checkpoints/"]])
    def test_a_run_killed_before_its_config_is_begun_anew(self, left: list[str], tmp_path: Path) -> None:
        for name in left:
            (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_text("1\n")
        train(out=tmp_path)
        assert newest(tmp_path).stem == "step-00000006"

    @pytest.mark.parametrize("name", ["metrics.jsonl", "samples", "generator/model.safetensors", ".results.json.tmp"])
    def test_links_lead_nowhere(self, name: str, killed: Path, tmp_path: Path) -> None:
        target = tmp_path / "precious"
        target.write_text("mine")
        path = killed / name
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        with pytest.raises(InputError, match="a link, expected a run directory with files of its own"):
            train(resume=killed)
        assert target.read_text() == "mine"

    def test_a_log_that_becomes_a_link_is_not_followed(self, tmp_path: Path) -> None:
        def link(run: Run, step: int) -> None:
            if step == 2:
                (tmp_path / "run" / "metrics.jsonl").unlink()
                (tmp_path / "run" / "metrics.jsonl").symlink_to(tmp_path / "precious")

        with pytest.raises(InputError, match=r"metrics.jsonl: cannot be written.*last checkpoint: .*step-00000002"):
            train(link, out=tmp_path / "run")
        assert not (tmp_path / "precious").exists()

    def test_a_link_beside_a_file_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("mine")
        (tmp_path / ".file.tmp").symlink_to(tmp_path / "precious")
        writing.write_aside(tmp_path / "file", lambda file: file.write(b"x"))
        assert (tmp_path / "precious").read_text() == "mine" and (tmp_path / "file").read_bytes() == b"x"

    def test_damaged_lines_are_named(self, killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
        lines = (killed / "metrics.jsonl").read_bytes().splitlines(keepends=True)
        (killed / "metrics.jsonl").write_bytes(b"".join([lines[0], b"\xff\n", b"[]\n", *lines[1:]]))
        train(resume=killed)
        errors = capsys.readouterr().err
        assert "line 2: damaged" in errors and "line 3: damaged" in errors
        steps = [json.loads(line)["step"] for line in (killed / "metrics.jsonl").read_text().splitlines()]
        assert steps == [1, 2, 3, 4, 5, 6]

    @pytest.mark.parametrize("where", ["file/x", "n" * 300, "loop", "/proc/x", "dangling/x"])
    def test_output_is_tried_before_the_data_are_read(self, where: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        with pytest.raises(InputError) as info:
            make_run(_Unread(), out=tmp_path / where)
        assert "\n" not in str(info.value)

    def test_what_is_refused_leaves_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError):
            make_run(_Unread(), out=tmp_path / "a" / "b")
        assert not (tmp_path / "a").exists()


class _Unread(Bits):
    """A task that must not be asked."""

    def summary(self) -> dict[str, Any]:
        raise ZeroDivisionError


@contextmanager
def full_after(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk that is full from so many writes on."""
    count = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any) -> Any:
            nonlocal count
            count += 1
            if count > number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args)

        return write

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", counted(os.write))
        patch.setattr(os, "fsync", counted(os.fsync))
        patch.setattr(checkpoints._Hashed, "write", _stops(counted))
        yield


def _stops(counted: Callable[..., Any]) -> Callable[..., Any]:
    real = checkpoints._Hashed.write

    def write(self: checkpoints._Hashed, data: bytes) -> int:
        try:
            return counted(real)(self, data)
        except OSError as error:
            self.error = error
            return len(data)

    return write


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[tuple[Path, Callable[[int], object]]]:
    """A file system of so many bytes in memory, and what gives it more."""
    folder.mkdir()

    def mount(options: str) -> int:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True).returncode

    if shutil.which("mount") is None or mount(f"size={size}"):
        pytest.skip("file systems cannot be mounted here")
    try:
        yield folder, lambda size: mount(f"remount,size={size}")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class TestFullDisk:
    @pytest.mark.parametrize("number", [0, 1, 8, 60, 170])
    def test_one_line_and_what_was_saved_goes_on(
        self, number: int, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = tmp_path / "run"
        with full_after(number, monkeypatch), pytest.raises(InputError, match="No space left") as info:
            train(out=run)
        assert "\n" not in str(info.value)
        begun = list((run / "checkpoints").glob("*.pt")) if run.exists() else []
        again: dict[str, Any] = {"resume": run} if begun else {"out": run, "overwrite": True}
        train(**again)
        assert first_difference(whole, run) is None

    @pytest.mark.slow
    @pytest.mark.parametrize("part", [0.02, 0.2, 0.4, 0.6, 0.8])
    def test_a_small_file_system(self, part: float, tmp_path: Path, whole: Path) -> None:
        need = sum(path.stat().st_blocks * 512 for path in whole.rglob("*"))
        with mounted(tmp_path / "small", int(part * need)) as (folder, grow):
            with pytest.raises(InputError, match="No space left") as info:
                train(out=folder / "run")
            assert "\n" not in str(info.value)
            begun = list((folder / "run" / "checkpoints").glob("*.pt"))
            grow(4 * need)
            again: dict[str, Any] = {"resume": folder / "run"} if begun else {"out": folder / "run", "overwrite": True}
            train(**again)
            assert first_difference(whole, folder / "run") is None

    def test_a_file_that_may_not_grow(self, tmp_path: Path) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
            with pytest.raises(InputError, match="cannot be written"):
                train(out=tmp_path / "run")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        assert not list((tmp_path / "run").rglob("*.pt"))


HOLD = """
import fcntl, os, sys
file = open(sys.argv[1] + "/.lock", "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(os.getpid(), file=file, flush=True)
print("held", flush=True)
sys.stdin.read()
"""


class TestLock:
    def test_a_second_process_is_refused_until_the_first_is_gone(self, killed: Path, whole: Path) -> None:
        command = [sys.executable, "-c", HOLD, str(killed)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdout.readline() == "held\n"
            assert holder(killed) == str(process.pid)
            attempts: list[dict[str, Any]] = [{"resume": killed}, {"out": killed, "overwrite": True}]
            for options in attempts:
                with pytest.raises(InputError, match=f"process {process.pid} works in it"):
                    train(**options)
            process.kill()
        assert holder(killed) is None
        train(resume=killed)
        assert first_difference(whole, killed) is None

    def test_this_process_may_ask_again_and_lets_go(self, tmp_path: Path) -> None:
        one, two = hold(tmp_path / "a"), hold(tmp_path / "a")
        assert one is two and (tmp_path / "a" / ".lock").exists()
        one.release()
        assert not (tmp_path / "a").exists()

    def test_a_copy_of_the_process_does_not_let_go(self, tmp_path: Path) -> None:
        lock = hold(tmp_path / "a")
        child = os.fork()
        if not child:
            lock.release()
            os._exit(0)
        os.waitpid(child, 0)
        assert (tmp_path / "a" / ".lock").exists() and holder(tmp_path / "a") == str(os.getpid())
        lock.release()


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_seconds_are_none_below_zero_where_clocks_jump(
    jump: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = {name: getattr(time, name) for name in ("time", "monotonic", "perf_counter")}
    moved = 0.0
    for name, clock in clocks.items():
        monkeypatch.setattr(time, name, lambda clock=clock: clock() + moved)
    monkeypatch.setattr("tqdm.std.time", lambda: clocks["time"]() + moved)

    def jumps(run: Run, step: int) -> None:
        nonlocal moved
        moved = jump * (step % 2)

    train(jumps, out=tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    seconds = [row["seconds"] for row in rows]
    assert len(seconds) == STEPS and seconds == sorted(seconds) and seconds[0] >= 0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["seconds"] >= seconds[-1]


class TestSignals:
    @pytest.mark.parametrize("number", SIGNALS)
    def test_the_step_is_finished_and_saved(self, number: signal.Signals, tmp_path: Path, whole: Path) -> None:
        def end(run: Run, step: int) -> None:
            if step == 2:
                signal.raise_signal(number)

        with pytest.raises(SystemExit) as info:
            train(end, out=tmp_path / "run")
        assert info.value.code == 128 + number
        assert newest(tmp_path / "run").stem == "step-00000003"
        train(resume=tmp_path / "run")
        assert first_difference(whole, tmp_path / "run") is None

    def test_a_second_one_ends_at_once(self, tmp_path: Path) -> None:
        def end(run: Run, step: int) -> None:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)

        with pytest.raises(SystemExit) as info:
            train(end, out=tmp_path / "run")
        assert info.value.code == 128 + signal.SIGHUP
        assert not list((tmp_path / "run" / "checkpoints").iterdir())

    def test_a_hang_up_that_nohup_ignores_stays_ignored(self, tmp_path: Path) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            train(lambda run, step: signal.raise_signal(signal.SIGHUP), out=tmp_path / "run")
        finally:
            signal.signal(signal.SIGHUP, before)
        assert newest(tmp_path / "run").stem == "step-00000006"
