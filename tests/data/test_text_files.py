"""Lines from files of every kind, and what is refused in one line."""

import gzip
import lzma
from pathlib import Path
from typing import Any

import pytest

from discrete_gan.data import TEXT_FORMATS
from discrete_gan.data.equations import draw_equations
from discrete_gan.data.text_lines import Source, TextFormat, TextReading
from discrete_gan.data.text_sources import FORMATS, read_source
from discrete_gan.errors import InputError


def refusal(spec: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_source(spec, TextReading(**options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_lines_are_stripped_and_keep_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "some.txt", "\ufeff  one \r\n\n \t\ntwo\u2028and\x0bmore\x85 \nthree".encode())
    source = read_source(path)
    assert (source.name, source.held_out) == ("some", None)
    lines = source.train
    assert lines.texts == ["one", "two\u2028and\x0bmore", "three"]
    assert (lines.numbers, lines.total, lines.empty) == ([1, 4, 5], 5, 2)
    assert lines.undecodable == []


def test_running_text_stays_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "some.txt", b"\xef\xbb\xbf  one \r\n\n \ntwo\n")
    lines = read_source(path, TextReading(running=True)).train
    assert "\n".join(lines.texts) == "  one \n\n \ntwo"
    assert (lines.total, lines.empty) == (4, 2)


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_files(tmp_path: Path, suffix: str, compress: Any) -> None:
    path = write(tmp_path / f"poems.txt{suffix}", compress("山\n水\n".encode()))
    source = read_source(path)
    assert (source.name, source.train.texts) == ("poems", ["山", "水"])
    for damaged in (path.read_bytes()[:-9], b"no " + path.read_bytes(), path.read_bytes()[:20] + b"damage"):
        assert refusal(write(path, damaged)).startswith(f"{path}: cannot be read: ")
    assert refusal(write(path, compress(b""))) == f"{path}: the file is empty"


def test_lines_that_are_not_utf8(tmp_path: Path) -> None:
    good = ["première".encode(), b"second", "\U0001f600".encode()]
    bad = ["première".encode("latin-1"), b"\xed\xa0\x80", b"\xf0\x9f\x98"]
    path = write(tmp_path / "mixed.txt", b"\n".join([good[0], bad[0], good[1], *bad, bad[0], bad[1], good[2]]))
    what = f"{path}: 6 of 9 lines are not UTF-8 (line 2, 4, 5, 6, 7, ...)"
    assert refusal(path) == f"{what}: make it UTF-8, or leave them out with corrupt=skip"
    lines = read_source(path, TextReading(corrupt="skip")).train
    assert lines.texts == ["première", "second", "\U0001f600"]
    assert (lines.numbers, lines.total, lines.undecodable) == ([1, 3, 9], 9, [2, 4, 5, 6, 7, 8])
    write(path, bad[0] + b"\n\n")
    assert refusal(path, corrupt="skip") == f"{path}: no text in it: 1 of 2 lines empty, 1 not UTF-8"


def test_equations_are_drawn_by_the_seed() -> None:
    for seed in (0, 5):
        source, drawn = read_source("equations", TextReading(seed=seed)), draw_equations(seed=seed)
        assert source.held_out is not None
        assert (source.train.texts, source.held_out.texts) == tuple(drawn)
        assert source.train.numbers == list(range(1, 3001))


def test_a_format_is_its_reader_and_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "some.mine", b"one\n")

    def read(spec: str, reading: TextReading) -> Source:
        assert (spec, reading) == (str(path), TextReading("caption", corrupt="skip", running=True, seed=4))
        return Source("mine", read_source("equations").train, None)

    mine = TextFormat("a .mine file", lambda spec: spec.endswith(".mine"), read, has_columns=True)
    monkeypatch.setattr("discrete_gan.data.text_sources.FORMATS", (mine, *FORMATS))
    assert read_source(path, TextReading(column="caption", corrupt="skip", running=True, seed=4)).name == "mine"
    assert read_source(write(tmp_path / "some.txt", b"one\n")).name == "some"


def test_what_is_not_a_file_with_text(tmp_path: Path) -> None:
    path = write(tmp_path / "captions.txt", b"")
    assert refusal(path) == f"{path}: the file is empty"
    assert refusal(write(path, b" \n\r\n")) == f"{path}: no text in it: 2 of 2 lines empty, 0 not UTF-8"
    columns = "a column of a .csv, .tsv, .jsonl, .parquet or .xlsx file"
    expected = f"expected equations, hub:NAME, {columns}, or a text file (plain, .gz or .xz)"
    assert expected == f"expected {TEXT_FORMATS}"
    missing = str(tmp_path / "caption.txt")
    assert refusal(missing) == f"no text at {missing!r}: did you mean {str(path)!r}? {expected}"
    assert refusal("equation") == f"no text at 'equation': did you mean 'equations'? {expected}"
    assert refusal(tmp_path).startswith(f"{tmp_path}: this is a folder: {expected}, or hub:FOLDER")
    assert refusal(path / "inside").startswith(f"{path / 'inside'}: cannot be read: ")
    assert "cannot be read: " in refusal(tmp_path / ("x" * 300))


class TestHub:
    @pytest.fixture
    def datasets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """The library, its cache in a folder of the test."""
        module = pytest.importorskip("datasets", reason="needs datasets")
        monkeypatch.setattr(module.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        module.disable_progress_bars()
        return module

    def write(self, datasets: Any, folder: Path, **splits: dict[str, list[Any]]) -> str:
        folder.mkdir()
        for split, columns in splits.items():
            datasets.Dataset.from_dict(columns).to_parquet(str(folder / f"{split}.parquet"))
        return f"hub:{folder}"

    def test_splits(self, tmp_path: Path, datasets: Any) -> None:
        train = {"text": [" one ", None, "two\nlines", ""], "other": ["x"] * 4}
        spec = self.write(
            datasets, tmp_path / "a", train=train, test={"text": ["three"]}, validation={"text": ["four"]}
        )
        source = read_source(spec)
        assert source.name == "a"
        assert source.train.where == "a, split train"
        assert (source.train.texts, source.train.numbers, source.train.empty) == (["one", "two\nlines"], [0, 2], 2)
        assert source.held_out is not None
        assert source.held_out.texts == ["three"]
        assert read_source(spec + "", TextReading(running=True)).train.texts == [" one ", "", "two\nlines", ""]
        only_train = self.write(datasets, tmp_path / "b", train=train)
        assert read_source(only_train, TextReading(column="other")).train.texts == ["x"] * 4
        assert read_source(only_train).held_out is None
        spec = self.write(datasets, tmp_path / "c", train=train, validation={"text": ["four"]})
        held_out = read_source(spec).held_out
        assert held_out is not None
        assert held_out.texts == ["four"]

    def test_a_folder_of_json_lines(self, tmp_path: Path, datasets: Any) -> None:
        folder = tmp_path / "lines"
        folder.mkdir()
        write(folder / "train.jsonl", '{"caption": "ein Bär"}\n{"caption": "eine Möwe"}\n'.encode())
        assert read_source(f"hub:{folder}", TextReading(column="caption")).train.texts == ["ein Bär", "eine Möwe"]

    def test_refusals(self, tmp_path: Path, datasets: Any) -> None:
        spec = self.write(datasets, tmp_path / "a", train={"caption": ["one"], "length": [3]})
        assert refusal(spec) == "a, split train: expected the name of a column, one of caption, length"
        found = "row 0, column 'length': expected text, found int"
        assert refusal(spec, column="length") == f"a, split train: {found}"
        found = "unknown column 'captions': did you mean 'caption'? expected one of caption, length"
        assert refusal(spec, column="captions") == f"a, split train: {found}"
        spec = self.write(datasets, tmp_path / "b", train={"text": [None, " "]})
        assert refusal(spec) == "b, split train: no text in it: 2 of 2 rows empty, 0 not UTF-8"
        spec = self.write(datasets, tmp_path / "c", dev={"text": ["one"]}, validation={"text": ["one"]})
        assert "expected a split named train, found " in refusal(spec)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("one\ntwo\n", encoding="utf-16")
    with pytest.raises(InputError, match=r"UTF-16, expected UTF-8"):
        read_source(path, TextReading(corrupt="skip"))
    path.write_bytes(b"one\n" + 19 * b"\xff\n")
    with pytest.raises(InputError, match=r"19 of 20 lines are not UTF-8.*expected a text file"):
        read_source(path, TextReading(corrupt="skip"))
    path.write_bytes(b"one\ntw\0o\nthree\n")
    with pytest.raises(InputError, match=r"1 of 3 lines are not UTF-8 \(line 2\)"):
        read_source(path, TextReading(corrupt="refuse"))
    assert read_source(path, TextReading(corrupt="skip")).train.texts == ["one", "three"]
