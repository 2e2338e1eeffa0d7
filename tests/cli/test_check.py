"""The report on a text data set, and its exit status."""

from pathlib import Path

import pytest

from discrete_gan.cli import check as check_module
from discrete_gan.cli import main

pytest.importorskip("tokenizers", reason="needs tokenizers")


def write(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    return str(path)


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """What was printed, and the one line of the mistake."""
    with pytest.raises(SystemExit) as exit_info:
        main(["check", *arguments])
    assert exit_info.value.code == 2
    printed, errors = capsys.readouterr()
    assert errors.startswith("discrete-gan: ")
    assert errors.count("\n") == 1
    return printed, errors.removeprefix("discrete-gan: ").rstrip()


def test_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["a b c", "", "a b", "a", "a " * 17, "b d e a", "a b", "x " * 300]
    train = write(tmp_path / "train.txt", "\n".join(lines))
    held_out = write(tmp_path / "held_out.txt", "a b\nb zz\nc c\n")
    main(["check", train, "--held-out", held_out, "--batch-size", "2", "--device", "cpu"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[:3] == [
        "train: 11 lines, 1 of them empty",
        "sequences  6 for training, 2 held out",
        "lengths    min 1, median 2, mean 4.1, max 17 tokens; D = 17",
    ]
    bars = printed[3 : printed.index("frequent   'a' 22, 'b' 4, 'c' 1, 'd' 1, 'e' 1") - 1]
    assert [line.split()[:2] for line in bars] == [["1-3", "6"], ["4-6", "1"], ["7-9", "0"]] + [
        [name, number] for name, number in (("10-12", "0"), ("13-15", "0"), ("16-18", "1"))
    ]
    assert [line.count("#") for line in bars] == [40, 7, 0, 0, 0, 7]
    assert printed[9:15] == [
        "vocabulary K = 8 (word, and the end); 3 seen once",
        "frequent   'a' 22, 'b' 4, 'c' 1, 'd' 1, 'e' 1",
        "unknown    25.00% of the held-out tokens",
        "repeated   1 training sequences; 1 held-out ones that training has too",
        "left out   0 lines that are not UTF-8, 1 that are too long",
        f"           {train}: 1 of 7 lines of over 17 tokens (max_length) left out, first line 8",
    ]
    assert [line.split("  ")[1] for line in printed[-4:]] == ["likelihood", "score function", "rollouts", "relaxation"]
    assert all(len(line) <= 120 for line in printed if str(tmp_path) not in line)


def test_equations_and_running_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check"])
    printed = capsys.readouterr().out
    assert "equations: 3,500 lines" in printed
    assert "'=' 3,000" in printed
    path = write(tmp_path / "a.txt", "to be or not to be\n" * 40)
    main(["check", path, "--window", "7", "--batch-size", "4"])
    assert "7-7" in capsys.readouterr().out


def test_damage_is_reported_and_then_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one two\nthr\xe9\ntwo one\n" * 3 + b"\xff\n")
    printed, message = fails(capsys, str(path), "--batch-size", "2", "--tokenizer", "bpe")
    what = f"{path}: 4 of 10 lines are not UTF-8 (line 2, 5, 8, 10), left out"
    assert "left out   4 lines that are not UTF-8, 0 that are too long" in printed
    assert what in printed
    assert message == f"{what}: a training refuses them without --corrupt skip"
    main(["check", str(path), "--batch-size", "2", "--tokenizer", "bpe", "--corrupt", "skip"])
    assert what in capsys.readouterr().out


def test_what_would_not_train(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.txt", "one\ntwo\nthree\n")
    printed, message = fails(capsys, path)
    assert "sequences " in printed
    assert "a batch of 64 on each of 1 process(es)" in message and "the data set holds 2: " in message
    printed, message = fails(capsys, str(tmp_path / "b.txt"))
    assert not printed
    assert message.startswith(f"no text at {str(tmp_path / 'b.txt')!r}: did you mean {path!r}? expected equations, ")
    assert fails(capsys, path, "--hidden", "0")[1] == "--hidden: expected at least 1, got 0"
    assert "unknown tokenizer 'wrd'" in fails(capsys, path, "--tokenizer", "wrd")[1]
    monkeypatch.setattr(check_module, "available_memory", lambda device: 10**6)
    printed, message = fails(capsys, "--device", "cpu")
    assert "memory     0.001 GB free on cpu" in printed
    assert printed.count("too much") == 4
    assert message.startswith("no estimator fits in memory: ")
    monkeypatch.setattr(check_module, "available_memory", lambda device: 5 * 10**7)
    main(["check"])
    assert capsys.readouterr().out.count("too much") == 1
    monkeypatch.setattr(check_module, "available_memory", lambda device: None)
    main(["check", "--device", "cpu"])
    assert "memory     unknown free on cpu" in capsys.readouterr().out


def test_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{n},{n * 7 % 13},{'ab'[n % 2]},{['', n / 8][n % 5 > 0]},x" for n in range(200)]
    spec = write(tmp_path / "people.csv", "id,age,sort,size,same\n" + "\n".join(rows))
    main(["check", spec, "--drop", "age", "--out", str(tmp_path / "schema.json")])
    assert capsys.readouterr().out.splitlines() == [
        "people: 160 rows for training, 40 held out",
        "columns    2 to learn, of 19 categories in all; left out: age",
        "  id   identifier  values are all different: left out",
        "  sort categorical 2 values: a, b",
        "  size real        0.125 to 24.875; 0 single values, 16 bins; 40 missing, written ''",
        "  same constant    'x' in all rows: not learnt, but written",
        f"{tmp_path / 'schema.json'}: what the columns are, for --schema",
    ]
    main(["check", spec, "--schema", str(tmp_path / "schema.json")])
    assert "19 categories in all; left out: age" in capsys.readouterr().out
    assert "expected a file name ending in .json" in fails(capsys, spec, "--out", "a.txt")[1]
    assert "a batch of 500 on each of 1" in fails(capsys, spec, "--batch-size", "500")[1]
    assert "expected a schema: " in fails(capsys, spec, "--schema", spec)[1]
    main(["check", "wine"])
    assert "wine: 143 rows for training, 35 held out" in capsys.readouterr().out


def test_usage_names_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "check DATA [options]" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    assert "--vocabulary-size" in capsys.readouterr().out


def test_captions(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared_data / "text" / "image_coco"
    main(["check", str(folder / "image_coco.txt.gz"), "--held-out", str(folder / "test_coco.txt.gz")])
    printed = capsys.readouterr().out
    assert "image_coco: 20,000 lines, 0 of them empty" in printed
    assert "max 35 tokens; D = 35" in printed
    assert "'a' 16,976" in printed
