"""Odd values of options: one line and status 2, never a traceback; ``benchmarks/faults/fuzz_options.py`` tries more."""

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.faults.fuzz_options import NUMBERS, TEXTS, Command, commands, fuzz, options_of
from discrete_gan.cli import main
from discrete_gan.cli.recipes import load_recipe, recipe_files
from discrete_gan.errors import InputError
from discrete_gan.estimators import parse_estimator
from discrete_gan.estimators.spec import ESTIMATORS

# What ends each verb in a mistake, after all options are looked at.
ENDS = {
    "sample": ["no/run"],
    "evaluate": ["no/run"],
    "refine": ["no/run"],
    "compare": ["digits", "--estimators", "none"],
    "lab": ["--estimators", "none"],
    "check": ["no/file"],
    "weigh": ["--real", "no/file", "--samples", "no/file"],
    "recipes": ["copy", "none", "x.py"],
    "card": ["none"],
    "completion": ["none"],
}


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a refusal; nothing after a help text."""
    status: object = 0
    try:
        main(arguments)
    except SystemExit as ended:
        status = ended.code
    output = capsys.readouterr()
    if "--help" in arguments:
        assert status in (0, 2), arguments
        return ""
    assert status == 2, arguments
    lines = [line for line in output.err.split("\n") if line and "\r" not in line]  # other than progress bars
    assert len(lines) == 1 and lines[0].startswith("discrete-gan: ") and len(lines[0]) < 1000, (arguments, output.err)
    return lines[0]


def ended(name: str, command: Command) -> list[str]:
    if command.words[0] != "train":
        return [command.words[0], *ENDS[command.words[0]]]
    return [*command.words, "--oracle" if "oracle" in name else "--data", "no/file.npz"]


def odd(known: dict[str, Command], *, once: bool) -> Iterator[list[str]]:
    """Commands with an option at an odd value; once for each option that several recipes share, or all."""
    seen = set()
    for name, command in known.items():
        for option in options_of(command.options):
            owner = next(
                (kind for kind in getattr(command.options, "__mro__", ()) if option.field in kind.__dict__),
                command.words[0],
            )
            if once and (owner, option.field) in seen:
                continue
            seen.add((owner, option.field))
            if option.flag:
                yield [*ended(name, command), option.word]
                continue
            values = [*NUMBERS, *TEXTS]
            for value in random.Random(f"{name} {option.word}").sample(values, 1) if once else values:
                yield [*ended(name, command), *([option.word] if option.word else []), value]


def test_every_option_at_some_odd_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in odd(commands(tmp_path), once=True):
        told(arguments, capsys)


@pytest.mark.slow
def test_every_option_of_every_recipe_at_every_odd_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in odd(commands(tmp_path), once=False):
        told(arguments, capsys)


@pytest.mark.slow
def test_commands_that_run_at_odd_values(tmp_path: Path) -> None:
    assert fuzz(120, "tests", tmp_path) == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["check", "equations", "--max-length", str(10**20)], "--max-length: expected a number below 2,147,483,648"),
        (["train", "digits", "--image-size", str(10**20)], "--image-size: expected a number below 2,147,483,648"),
        (["train", "digits", "--crop", "-1"], "--crop: expected at least 1, got -1"),
        (["lab", "--seeds", str(2**31), "--train"], "--seeds: expected a number below 2,147,483,648"),
        (["compare", "digits", "--estimators", "arm", "--r1", "nan"], "--r1: expected at least 0, got nan"),
        (["compare", "digits", "--estimators", "arm", "--jobs", str(2**31)], "--jobs: expected a number below"),
        (["evaluate"], "evaluate: expected at least one run directory, got none"),
        (["evaluate", "run", "--temperatures"], "--temperatures: expected at least one number"),
        (["train", "digits", "--estimator", "~nobody/x.py:y"], "estimator ~nobody/x.py: no such file"),
        (["train", "digits", "--estimator", "n" * 300 + ".py:y"], "estimator nnn"),
        (["train", "digits", "--steps", "\x1b[31m\n"], "Error parsing --steps: invalid literal for int()"),
        (
            ["train", "digits", "--stps", "3"],
            "Unrecognized options: --stps, 3: did you mean --steps? (see",
        ),
        (["train", "digits", "--estimator", "reinforce:num_samples=100000000"], "it does not fit into memory"),
    ],
)
def test_what_trying_has_found(
    words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert line in told(words, capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OverflowError("int too big to convert"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("Storage size calculation overflowed with sizes=[9, 9]"),
        OSError(36, "File name too long", "nnn"),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(arguments: list[str]) -> None:
        raise error

    monkeypatch.setattr("discrete_gan.cli.check.check", refuse)
    line = told(["check"], capsys)
    assert ("nnn: File name too long" if isinstance(error, OSError) else "out of memory") in line


def test_help_of_every_recipe_is_there() -> None:
    assert commands(Path()).keys() >= {f"train {name}" for name in recipe_files()}
    for name in recipe_files():
        fields = {field.name for field in dataclasses.fields(load_recipe(name).Args)}
        assert fields == {option.field for option in options_of(load_recipe(name).Args)} - {"help"}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e38", str(10**20), str(2**31), str(-(2**63))])
def test_numbers_of_estimators_that_none_takes(value: str) -> None:
    for spec in ("rebar:temperature", "reinforce:num_samples", "rebar:scale", "gumbel-rao:num_gumbels"):
        with pytest.raises(InputError, match=f"estimator {spec.partition(':')[0]}: .*: expected "):
            parse_estimator(f"{spec}={value}")
    assert ESTIMATORS.keys() >= {"rebar", "reinforce", "gumbel-rao"}
