"""Lines from a column of a table, with the labels of another."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from discrete_gan.data import load_text
from discrete_gan.data.classes import Classes
from discrete_gan.data.equations import draw_equations
from discrete_gan.data.text_lines import TextReading
from discrete_gan.data.text_sources import read_source
from discrete_gan.data.vocabulary import Vocabulary
from discrete_gan.errors import InputError

ROWS = [("CCO", "active"), ("c1ccccc1", "inactive"), ("NA", "active"), (" CCN ", "inactive")]
SMILES = TextReading("smiles")
LABELED = TextReading("smiles", labeled=True, label_column="activity")


def refusal(spec: Any, reading: TextReading | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_source(spec, reading)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def frame() -> pd.DataFrame:
    texts, labels = zip(*ROWS, strict=True)
    return pd.DataFrame({"number": range(4), "smiles": texts, "activity": labels})


def written(folder: Path, kind: str) -> Path:
    path = folder / f"some.{kind}"
    if kind == "parquet":
        frame().to_parquet(path, index=False)
    elif kind.startswith("jsonl"):
        text = "\n\n".join(json.dumps(row) for row in frame().to_dict("records")).encode()
        path.write_bytes(gzip.compress(text) if kind.endswith(".gz") else text)
    else:
        text = frame().to_csv(index=False, sep="\t" if kind == "tsv" else ";").encode()
        path.write_bytes(gzip.compress(text) if kind.endswith(".gz") else text)
    return path


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv", "jsonl", "jsonl.gz", "parquet"])
def test_a_column_of_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    source = read_source(written(tmp_path, kind), LABELED)
    assert (source.name, source.held_out) == ("some", None)
    lines = source.train
    assert lines.texts == ["CCO", "c1ccccc1", "NA", "CCN"]  # NA is a text like any other
    assert lines.labels == [label for _, label in ROWS]
    numbers = {"parquet": [0, 1, 2, 3], "jsonl": [1, 3, 5, 7]}.get(kind.removesuffix(".gz"), [2, 3, 4, 5])
    assert lines.numbers == numbers


def test_which_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,other\none,two\nthree,four\n")
    assert read_source(path).train.texts == ["one", "three"]
    path.write_text("line\none\n\nthree\n")
    assert read_source(path).train.texts == ["one", "three"]
    path.write_text("line,label\none,a\nthree,b\n")
    reading = TextReading(labeled=True, label_column="label")
    assert read_source(path, reading).train.texts == ["one", "three"]  # the only one left
    assert refusal(path) == f"{path}: expected the name of a column, one of line, label"
    assert refusal(path, SMILES) == f"{path}: unknown column 'smiles': did you mean 'line'? expected one of label, line"
    lacking = TextReading("line", labeled=True)
    assert refusal(path, lacking) == f"{path}: expected the name of a label_column, one of line, label"


def test_columns_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    expected = "expected hub:NAME, or a column of a .csv, .tsv, .jsonl, .parquet or .xlsx file"
    for spec in (path, "equations"):
        assert refusal(spec, SMILES) == f"column 'smiles': {spec} has no columns: {expected}"
        named = TextReading(labeled=True, label_column="activity")
        assert refusal(spec, named) == f"label_column 'activity': {spec} has no columns: {expected}"
    # Where the other part has it, it is meant for that.
    held_out = written(tmp_path, "csv")
    data = load_text(path, held_out=held_out, column="smiles")
    assert (data.train_lines, len(data.held_out)) == (["one", "two"], 4)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"smiles": "C"}\n{"smiles": 3}', "line 2, column 'smiles': expected text, found int"),
        ('{"smiles": "C"}\n["C"]', "line 2: expected a JSON object, found list"),
        ('{"smiles": "C"}\n{', "line 2: expected a JSON object, this is no JSON"),
        ('{"smile": "C"}', "unknown column 'smiles': did you mean 'smile'? expected one of smile"),
        ('{"smiles": null}\n{"smiles": " "}', "no text in it: 2 of 2 lines empty, 0 not UTF-8"),
        (" \n", "the file is empty"),
    ],
)
def test_lines_of_json_that_are_none(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    assert refusal(path, SMILES) == f"{path}: {told}"


def test_a_line_without_a_label_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("smiles,activity\nCCO,a\n,\nCCN,\n")
    assert refusal(path, LABELED) == f"{path}: line 4: expected a label, found none"
    plain = tmp_path / "a.txt"
    plain.write_text("a\tone\n\nb\ttwo words\nthree\n")
    assert refusal(plain, TextReading(labeled=True)) == (
        f"{plain}: line 4: expected a label, a tab and the text, found no tab"
    )
    plain.write_text("a\tone\n\tfour\n")
    assert refusal(plain, TextReading(labeled=True)) == f"{plain}: line 2: expected a label, found none"


def test_labels_before_a_tab_and_of_equations(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("b\tone\n\na b\ttwo\twords\n")
    lines = read_source(path, TextReading(labeled=True)).train
    assert (lines.texts, lines.labels, lines.numbers) == (["one", "two\twords"], ["b", "a b"], [1, 3])
    source = read_source("equations", TextReading(labeled=True))
    assert source.train.texts == draw_equations().train
    assert source.train.labels == ["+" if "+" in line else "-" for line in source.train.texts]


def test_labels_stay_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    rows = [("even" if number % 2 == 0 else "odd", f"{number} apples") for number in range(300)]
    rows += [("odd", "a line of too many words"), ("odd", "")]
    path.write_text("".join(f"{label}\t{text}\n" for label, text in rows))
    data = load_text(path, conditional=True, max_length=3, tokenizer="word")
    assert data.classes is not None and data.train_labels is not None and data.held_out_labels is not None
    assert data.classes.names == ("even", "odd")
    assert data.summary()["classes"] == ["even", "odd"]
    unlabeled = load_text(_without_labels(tmp_path, rows), max_length=3, tokenizer="word")
    assert unlabeled.train_lines == data.train_lines  # the split is that of the lines
    assert unlabeled.fingerprint() != data.fingerprint()
    parts = [(data.train_lines, data.train_labels), (data.held_out_lines, data.held_out_labels)]
    for lines, labels in parts:
        assert len(lines) == len(labels)
    of_train = {line: label for line, label in zip(data.train_lines, data.train_labels.tolist(), strict=True)}
    assert all(label == int(line.split()[0]) % 2 for line, label in of_train.items())
    known = load_text(path, conditional=True, max_length=3, tokenizer="word", classes=Classes(("odd", "even", "none")))
    assert known.train_labels is not None
    assert known.train_labels.tolist() == [1 - label for label in data.train_labels.tolist()]


def test_held_out_lines_that_are_left_out_take_their_labels_along(tmp_path: Path) -> None:
    train, apart = tmp_path / "a.txt", tmp_path / "b.txt"
    train.write_text("a\tone x\nb\ttwo x\na\tthree x\n")
    apart.write_text("b\ttwo x\na\tfour y\nb\tfive y\n")  # the first is trained on
    data = load_text(train, held_out=apart, conditional=True, tokenizer="word")
    assert data.held_out_labels is not None
    assert (len(data.held_out), data.held_out_labels.tolist()) == (2, [0, 1])


def _without_labels(folder: Path, rows: list[tuple[str, str]]) -> Path:
    path = folder / "plain.txt"
    path.write_text("".join(f"{text}\n" for _, text in rows))
    return path


def test_numbers_in_bins(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    values = np.random.default_rng(0).normal(size=400)
    pd.DataFrame({"text": [f"line number {n}" for n in range(400)], "value": values}).to_csv(path, index=False)
    data = load_text(path, conditional=True, label_column="value", label_bins=4, tokenizer="word")
    assert data.classes is not None and data.train_labels is not None and data.held_out_labels is not None
    counts = data.train_labels.bincount(minlength=4)
    assert counts.max() - counts.min() <= 1  # quartiles
    of_line = dict(zip([f"line number {n}" for n in range(400)], values, strict=True))
    for k, name in enumerate(data.classes.names):
        low, high = map(float, name.split(" to "))
        of_class = [
            of_line[line] for line, label in zip(data.train_lines, data.train_labels, strict=True) if label == k
        ]
        assert low - 0.01 <= min(of_class) and max(of_class) <= high + 0.01  # names have three digits
    path.write_text("text,value\n" + "".join(f"line number {n},same\n" for n in range(40)))
    with pytest.raises(InputError, match=r"labels: expected from 2 to 1,000 classes, found 1$"):
        load_text(path, conditional=True, label_column="value", tokenizer="word")
    path.write_text("text,value\n" + "".join(f"line number {n},{n if n != 7 else 'x'}\n" for n in range(40)))
    with pytest.raises(InputError, match=r"a.csv: line 9: expected a number as label, found x$"):
        load_text(path, conditional=True, label_column="value", label_bins=3, tokenizer="word")


def test_options_of_labels_that_do_not_fit(tmp_path: Path) -> None:
    path = written(tmp_path, "csv")
    with pytest.raises(InputError, match=r"^label_column activity: expected with conditional$"):
        load_text(path, column="smiles", label_column="activity")
    with pytest.raises(InputError, match=r"^label_bins: expected at least 2, got 1$"):
        load_text(path, column="smiles", conditional=True, label_column="activity", label_bins=1)
    with pytest.raises(InputError, match=r"^conditional: expected lines with classes, pieces of running text"):
        load_text(path, column="smiles", conditional=True, label_column="activity", window=3)


def test_single_words_are_taken_as_characters(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"C{'N' * (number % 17)}O{'C' * (number % 13)}\n" for number in range(200)))
    data = load_text(path)
    assert data.vocabulary.kind == "char"
    assert f"{path}: most lines are a single word: taken as characters, tokenizer=char" in data.notes.remarks
    with pytest.raises(InputError, match=r"samples could only repeat them: expected tokenizer char or bpe, got word$"):
        load_text(path, tokenizer="word")
    path.write_text("yes\nno\nmaybe\n" * 30)  # a few words are categories
    assert load_text(path, tokenizer="word").num_categories <= 5


def test_names_of_molecules_are_not_learnt(tmp_path: Path) -> None:
    path = tmp_path / "a.smi"
    path.write_text("".join(f"C{'N' * (number % 17)}O{'C' * (number % 13)} mol {number}\n" for number in range(200)))
    data = load_text(path)
    assert data.vocabulary.kind == "char"
    assert set("".join(data.train_lines)) == set("CNO")
    assert "labels before a tab" in refusal(path, TextReading(labeled=True))


def test_labels_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,value\n" + "".join(f"line number {number},{number / 7:.3f}\n" for number in range(60)))
    labels: dict[str, Any] = {"conditional": True, "label_column": "value", "tokenizer": "word"}
    with pytest.raises(InputError, match=r"found 60 in [0-9]+: label_bins cuts numbers into classes$"):
        load_text(path, **labels)
    with pytest.raises(InputError, match=r"two lines of each, found [0-9]+ in [0-9]+: fewer label_bins$"):
        load_text(path, **labels, label_bins=50)
    path.write_text("text,value\n" + "".join(f"line number {number},{number % 3 / 2}\n" for number in range(60)))
    with pytest.raises(InputError, match=r"label_column 'text': expected another column than that of the text$"):
        load_text(path, conditional=True, label_column="text", column="text")
    classes = load_text(path, **labels).classes
    assert classes is not None and classes.names == ("0.0", "0.5", "1.0")
    assert classes.find("0.5") == 1
    with pytest.raises(InputError, match="1: expected a class or an index"):
        classes.find("1")  # 1.0 is meant, and not the second


def test_lines_of_two_fields_are_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"C{'N' * (number % 17)}O{'C' * (number % 13)} mol{number}\n" for number in range(200)))
    (remark,) = load_text(path, tokenizer="char").notes.remarks
    assert remark == (
        f"{path}: lines have two fields, such as CO mol0, both learnt: "
        "a .csv or .tsv file with a header has columns that can be named"
    )
    path.write_text("".join(f"some {('cat', 'dog')[number % 2]}{number}\n" for number in range(200)))
    assert load_text(path, tokenizer="char").notes.remarks == ()


def test_a_tokenizer_without_a_decoder_prints_no_blanks_that_were_not_there(tmp_path: Path) -> None:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    lines = [f"C{'N' * (number % 17)}Cl{'O' * (number % 13)}Br" for number in range(200)]
    path = tmp_path / "a.txt"
    path.write_text("\n".join(lines))
    table = {token: index for index, token in enumerate(["?", "C", "N", "O", "Cl", "Br"])}
    tokenizer = Tokenizer(models.WordLevel(table, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("Cl|Br|."), "isolated")
    tokenizer.save(str(tmp_path / "atoms.json"))
    data = load_text(path, tokenizer=str(tmp_path / "atoms.json"))
    assert {*data.train_lines, *data.held_out_lines} == set(lines)
    data.vocabulary.save(tmp_path / "saved.json")  # and so it stays
    assert Vocabulary.load(tmp_path / "saved.json").decode(data.train) == data.train_lines
    # One that cuts at blanks is joined by them.
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "words.json"))
    path.write_text("\n".join(f"{'C ' * (1 + number % 5)}Cl Br{' O' * (number % 7)}" for number in range(100)))
    assert "C Cl Br" in load_text(path, tokenizer=str(tmp_path / "words.json")).train_lines
