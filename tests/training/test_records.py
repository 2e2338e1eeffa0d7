"""The JSON files of a run directory, damaged or odd: one line that names the file, whatever it holds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discrete_gan.errors import InputError
from discrete_gan.tasks.score import Score, as_json
from discrete_gan.training import records

ODD = {
    "empty": b"",
    "list": b"[]",
    "null": b"null",
    "text": b'"x"',
    "not UTF-8": b'{"recipe": "\xff"}',
    "deep": b'{"a":' * 100 + b"1" + b"}" * 100,
    "deeper": b"[" * 200_000 + b"]" * 200_000,
    "huge": b'{"steps": 1' + b"0" * 5000 + b"}",
    "large": b'{"steps": 1' + b"0" * 400 + b"}",
    "torn": b'{"recipe": "dig',
    "NUL": b"\0" * 64,
    "types": b'{"recipe": 1, "args": [], "data": 3, "scores": [], "settings": null, "steps": "many"}',
    "inner types": b'{"scores": {"a": {"value": "high"}}, "steps": -1, "seconds": NaN}',
    "half a pair": b'{"recipe": 1, "seconds": "\\ud800", "settings": "\\ud800", "a": {"value": "\\ud800"}}',
    "infinity": b'{"seconds": Infinity, "amount": NaN}',
}
READERS: dict[str, Callable[[Path], Any]] = {
    "config.json": records.read_config,
    "results.json": records.read_results,
    "evaluation.json": lambda folder: records.read_results(folder, "evaluation.json"),
    "figures.json": records.read_figures,
    "plan.json": records.read_plan,
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_named(name: str, odd: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(ODD[odd])
    with pytest.raises(InputError) as error:
        READERS[name](tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize("name", READERS)
def test_a_link_that_leads_out_is_not_followed(name: str, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text('{"recipe": "digits", "args": {"seed": 0}, "data": {}}')
    run = tmp_path / "run"
    run.mkdir()
    (run / name).symlink_to(tmp_path / "outside.json")
    with pytest.raises(InputError, match="symbolic link"):
        READERS[name](run)


def test_a_run_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"recipe": "digits", "args": {"seed": 0}, "data": {}}')
    (tmp_path / "link").symlink_to(tmp_path / "run")
    assert records.read_config(tmp_path / "link")["recipe"] == "digits"


def log(folder: Path, content: bytes) -> list[dict[str, Any]]:
    (folder / "metrics.jsonl").write_bytes(content)
    return records.read_metrics(folder)


def test_a_torn_last_line_and_blank_ones_are_left_out(tmp_path: Path) -> None:
    whole = b'{"step": 1, "loss": NaN}\n\n{"step": 2, "note": "x"}\n'
    for torn in (b"", b'{"step": 3, "lo', b"\xff\xfe", b"\n"):
        assert [row["step"] for row in log(tmp_path, whole + torn)] == [1, 2]


@pytest.mark.parametrize("line", [b"[]", b"null", b"{}", b'{"step": "1"}', b"\xff", b'{"st', b'{"step": 1, "a": {}}'])
def test_a_line_that_is_none_is_named_by_its_number(line: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"metrics.jsonl, line 2: "):
        log(tmp_path, b'{"step": 1}\n' + line + b'\n{"step": 3}\n')


def test_scores_are_read_as_they_were_written(tmp_path: Path) -> None:
    scores = [Score("a", 1.5, "A", better="less", parts=(1.0, 2.0)), Score("b", float("nan"), note="none")]
    content = {"steps": 3, "seconds": 1, "scores": as_json(scores), "of a later version": [1]}
    (tmp_path / "results.json").write_text(json.dumps(content))
    found = records.read_results(tmp_path)
    assert found is not None and found.scores is not None and found.steps == 3
    assert repr(found.scores) == repr(scores)
