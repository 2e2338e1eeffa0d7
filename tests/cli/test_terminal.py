"""Terminals that show little, pipes that break, disks that are full, and names that hold control codes."""

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discrete_gan.cli import main
from discrete_gan.cli.terminal import help_texts, one_line, plain, terminal
from discrete_gan.errors import InputError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]0;title\x07b", r"a\x1b]0;title\x07b"),
        ("\x1b[2J\x9b31m", r"\x1b[2J\x9b31m"),
        ("\x1b[8mhidden\x1b[0;8m", r"\x1b[8mhidden\x1b[0;8m"),
        ("back\x08\x7f\x00", r"back\x08\x7f\x00"),
        ("right \u202eto left\u2066", r"right \u202eto left\u2066"),
        ("\x1b[31mred\x1b[0m \x1b[A\r 50%|##|\tbar\n", "\x1b[31mred\x1b[0m \x1b[A\r 50%|##|\tbar\n"),
        ("Zürich 東京 🙂\n", "Zürich 東京 🙂\n"),
    ],
)
def test_codes_are_shown_on_a_terminal_and_kept_in_a_file(
    text: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream, expected in ((Terminal(), shown), (io.StringIO(), text)):
        monkeypatch.setattr(sys, "stderr", stream)
        with terminal():
            print(text, end="", file=sys.stderr)
            sys.stderr.writelines(["", text])
        assert stream.getvalue() == 2 * expected and sys.stderr is stream


def test_standard_output_keeps_no_code_at_all_but_for_help_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    text, shown = "a\x1b[A\x1b[31mb\r\tc\n東京\n", r"a\x1b[A\x1b[31mb\r\tc" + "\n東京\n"
    assert plain(text) == shown
    for stream, expected in ((Terminal(), shown + text + shown), (io.StringIO(), 3 * text)):
        monkeypatch.setattr(sys, "stdout", stream)
        with terminal():
            print(text, end="")
            with help_texts():
                print(text, end="")
            print(text, end="")
        assert stream.getvalue() == expected


def test_figures_out_of_a_file_keep_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "equations: \x1b[31m\r\x1b[Aall is well"
    for seed in (0, 1):
        run = tmp_path / str(seed)
        run.mkdir()
        args = {"seed": 0, "estimator": f"{name}\n{seed}"}
        config = {"recipe": "text", "args": args, "data": {"name": "x", "fingerprint": "x"}}
        (run / "config.json").write_text(json.dumps(config))
        (run / "metrics.jsonl").write_text('{"step": 1}\n')
        results = {"steps": 1, "seconds": 1.0, "scores": {"a": {"value": 1.0, "label": name, "note": name}}}
        (run / "results.json").write_text(json.dumps(results))
    monkeypatch.setattr(sys, "stdout", shown := Terminal())
    main(["compare", str(tmp_path / "0"), str(tmp_path / "1"), "--out", str(tmp_path / "out")])
    assert not {"\x1b", "\r"} & set(shown.getvalue())
    assert "\n" + name.replace("\x1b", r"\x1b").replace("\r", r"\r") + " 0  " in shown.getvalue()


def test_a_message_is_one_line_of_bearable_length() -> None:
    assert one_line("a\nb\x1b[31m\r\tc") == r"a b\x1b[31m\r\tc"
    long = one_line("begin " + 5000 * "x" + " end")
    assert len(long) < 900 and long.startswith("begin ") and long.endswith(" end") and " ... " in long


def test_mistakes_are_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sample", "no\x1b[2J\nrun" + 3000 * "x"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "\x1b" not in told and len(told) < 1000


class Breaks(io.StringIO):
    def __init__(self, number: int, *, late: bool) -> None:
        super().__init__()
        self.number, self.late = number, late

    def write(self, text: str) -> int:
        return super().write(text) if self.late else self.flush() or 0

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("number", "status"), [(errno.EPIPE, 141), (errno.ENOSPC, 1)])
def test_output_that_does_not_arrive_ends_nothing_early(
    number: int, status: int, late: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = []
    monkeypatch.setattr(sys, "stdout", Breaks(number, late=late))
    with pytest.raises(SystemExit) as ended, terminal():
        print("lost")
        print("lost too")
        done.append("the rest")
    assert ended.value.code == status and done == ["the rest"]
    assert ("standard output: cannot be written (No space left" in capsys.readouterr().err) == (status == 1)


def test_a_mistake_counts_for_more_than_a_broken_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Breaks(errno.EPIPE, late=False))
    with pytest.raises(InputError), terminal():
        print("lost")
        raise InputError("wrong")


def _to_head(command: list[str]) -> tuple[int, bytes]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    return process.wait(60), process.stderr.read()


def _to_full(command: list[str]) -> tuple[int, bytes]:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stderr


def _to_ascii(command: list[str]) -> tuple[int, bytes]:
    environment: dict[str, Any] = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("run", "status", "told"),
    [
        pytest.param(_to_head, 141, b"", marks=pytest.mark.slow),
        pytest.param(_to_full, 1, b"cannot be written (No space left on device)", marks=pytest.mark.slow),
        pytest.param(_to_ascii, 0, b"", marks=pytest.mark.slow),
    ],
)
def test_the_command(run: Callable[[list[str]], tuple[int, bytes]], status: int, told: bytes, tmp_path: Any) -> None:
    (tmp_path / "my.txt").write_text("".join(f"東京 Zürich {number}\n" for number in range(200)))
    found, errors = run([sys.executable, "-m", "discrete_gan", "check", str(tmp_path / "my.txt")])
    assert found == status and told in errors and b"Traceback" not in errors and b"Exception ignored" not in errors


def test_a_home_that_no_shell_filled_in(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DISCRETE_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    quick = ["--steps", "1", "--batch-size", "8", "--num-scored", "10", "--sample-every", "0"]
    main(["train", "text", *quick, "--pretrain-steps", "1", "--hidden", "4", "--out", "~/run"])
    main(["sample", "~/run", "--num", "2", "--out", "~/x.txt"])
    assert {path.name for path in (tmp_path / "home").iterdir()} >= {"run", "x.txt"} and not (tmp_path / "~").exists()
