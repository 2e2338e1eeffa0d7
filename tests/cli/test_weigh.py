"""Weights of samples of any model: what is printed, what is written, and what is refused before anything is trained."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from discrete_gan.cli import main, weigh
from discrete_gan.data import load_images
from discrete_gan.metrics import fit_log_ratio

QUICK = ["--folds", "2", "--max-steps", "20", "--device", "cpu"]


@pytest.fixture
def bits(tmp_path: Path) -> tuple[str, str]:
    """Images of 3x3 bits, of which the real ones are brighter, and the first sample is all black."""
    random = np.random.RandomState(0)
    files = [tmp_path / "real.npy", tmp_path / "samples.npy"]
    for file, bright in zip(files, (0.65, 0.45), strict=True):
        images = random.rand(300, 3, 3) < bright
        images[0] = False
        np.save(file, images)
    return str(files[0]), str(files[1])


def refusal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """The one line, of a command that ends before any training."""
    monkeypatch.setattr(weigh, "fit_log_ratio", lambda *_, **__: pytest.fail("it was trained"))
    with pytest.raises(SystemExit) as end:
        main(["weigh", *QUICK, *words])
    told = capsys.readouterr().err
    assert end.value.code == 2 and told.count("\n") == 1
    return told.removeprefix("discrete-gan: ").rstrip()


def test_images_are_weighed_and_resampled(
    bits: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, drawn = tmp_path / "new" / "weights.csv", tmp_path / "drawn.npy"
    out = ["--out", str(table), "--resample", "150", "--out", str(drawn)]
    main(["weigh", "--real", bits[0], "--samples", bits[1], *out, *QUICK])
    printed = capsys.readouterr().out
    for told in ("300 images to be weighed, 300 real ones", "told apart", "tail index", "weights can be used"):
        assert told in printed
    rows = list(csv.DictReader(table.open()))
    samples = np.load(bits[1])
    weights = np.array([float(row["weight"]) for row in rows])
    assert [row["image"] for row in rows] == [str(place) for place in range(300)]
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-4)
    logs = np.array([float(row["log_weight"]) for row in rows])
    np.testing.assert_allclose(weights, np.exp(logs) / np.exp(logs).mean(), rtol=1e-3)
    ink = samples.mean(axis=(1, 2))
    assert np.corrcoef(ink, logs)[0, 1] > 0.8 and logs[0] == logs.min()
    resampled = np.load(drawn)
    assert resampled.shape == (150, 3, 3) and resampled.dtype == np.uint8 and set(np.unique(resampled)) == {0, 1}
    assert abs(resampled.mean() - (weights[:, None, None] * samples).mean()) < 0.02
    assert abs(resampled.mean() - 0.65) < abs(samples.mean() - 0.65) / 2
    assert len(load_images(drawn).train_images) == 135  # it is read again


def test_lines_keep_their_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers", reason="needs tokenizers")
    random = np.random.RandomState(0)
    real, samples, table, drawn = (tmp_path / name for name in ("a.txt", "b.txt", "w.csv", "drawn.txt"))
    for file, good in ((real, 0.8), (samples, 0.5)):
        words = np.where(random.rand(200, 4) < good, "yes", "no")
        file.write_text("\n" + "\n".join(map(" ".join, words)) + "\n")  # the first line is empty
    out = ["--out", str(table), "--resample", "50", "--out", str(drawn), "--max-steps", "40"]
    main(["weigh", "--real", str(real), "--samples", str(samples), *QUICK, *out])
    assert "200 lines to be weighed" in capsys.readouterr().out
    rows = list(csv.DictReader(table.open()))
    assert [int(row["line"]) for row in rows] == list(range(2, 202))
    lines = samples.read_text().splitlines()
    good = np.array([lines[int(row["line"]) - 1].count("yes") for row in rows])
    assert np.corrcoef(good, [float(row["log_weight"]) for row in rows])[0, 1] > 0.6
    resampled = drawn.read_text().splitlines()
    assert len(resampled) == 50 and set(resampled) <= set(lines)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_of_tables_are_weighed_and_resampled(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Samples lack the identifier of the data and have a value of their own; what is resampled is as it was read."""
    random = np.random.RandomState(0)
    real, samples, table, drawn = (tmp_path / name for name in ("a.csv", "b.csv", "w.csv", f"drawn{suffix}"))
    sizes = random.normal(3, 1, 300)
    rows = [f"{n},{size:.2f},{'red' if random.rand() < 0.8 else 'blue'}," for n, size in enumerate(sizes)]
    real.write_text("id,size,color,gap\n" + "\n".join(row + ["?", "1"][n % 2] for n, row in enumerate(rows)))
    rows = [f"{size:.2f};{'red' if random.rand() < 0.4 else 'blue'};" for size in sizes[::-1]]
    samples.write_text("size;color;gap\n" + "\n".join(row + ["NA", "1"][n % 2] for n, row in enumerate(rows)))
    samples.write_text(samples.read_text() + "\n2.00;green;1\n")
    out = ["--out", str(table), "--resample", "150", "--out", str(drawn), "--max-steps", "60"]
    main(["weigh", "--real", str(real), "--samples", str(samples), *QUICK, *out])
    printed = capsys.readouterr().out
    assert "301 lines to be weighed, 300 real ones" in printed and f"{drawn}: 150 lines drawn" in printed
    weights = list(csv.DictReader(table.open()))
    assert [int(row["line"]) for row in weights] == list(range(2, 303))
    lines = samples.read_text().splitlines()
    red = np.array([";red;" in lines[int(row["line"]) - 1] for row in weights])
    assert np.corrcoef(red, [float(row["log_weight"]) for row in weights])[0, 1] > 0.8
    if suffix == ".csv":
        header, *resampled = drawn.read_text().splitlines()
        assert header == "size;color;gap" and len(resampled) == 150 and set(resampled) <= set(lines)
        assert np.mean([";red;" in row for row in resampled]) > 0.6
    else:
        pandas = pytest.importorskip("pandas", reason="needs pandas")
        assert len(pandas.read_parquet(drawn)) == 150


def test_grey_pixels_meet_bits_once_they_are_made_bits(
    bits: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = tmp_path / "grey.npy"
    np.save(grey, (255 * np.random.RandomState(0).rand(100, 3, 3)).astype(np.uint8))
    told = refusal(capsys, monkeypatch, "--real", str(grey), "--samples", bits[1])
    assert told.startswith("--real has more than bits and the other side has not: expected --binarize")
    sides = weigh.read_images(weigh.WeighArgs(str(grey), bits[1], binarize="threshold"))
    assert len(sides.real) == 100 and set(sides.real.unique().tolist()) == {0, 1}
    assert (sides.generated.reshape(300, 3, 3).numpy() == np.load(bits[1])).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--samples", "{bits}", "--real", "no-such"], "no data at 'no-such': expected images (digits, "),
        (
            ["--samples", "{bits}", "--real", "digits"],
            "expected images of shape (1, 8, 8), as of --real, got (1, 3, 3)",
        ),
        (["--samples", "{few}"], "--samples: expected at least 20 images, got 19"),
        (["--real", "table.csv"], "table.csv: expected at least two rows below the header, found 1"),
        (["--real", "wine", "--samples", "two.csv"], "two.csv: expected a column 'alcohol', as in wine"),
        (["--real", "two.csv", "--samples", "bad.csv"], "bad.csv: line 3, column 'a': expected a finite number, found"),
        (["--real", "two.csv", "--samples", "two.csv"], "--real: expected at least 20 lines, got 2"),
        (["--real", "hub:any"], "expected --kind images, tables or text, as the hub has all of them"),
        (["--out", "w.txt"], "--out w.txt: expected a file name ending in .csv or .png or .npy"),
        (["--out", "x.npy"], "--out x.npy: expected --resample and how many, or a file name ending in .csv"),
        (["--resample", "9"], "--resample: expected an --out ending in .png or .npy"),
        (["--resample", "0"], "--resample: expected at least 1, got 0"),
        (["--folds", "1"], "--folds: expected at least 2, got 1"),
        (["--out", "table.csv/w.csv"], "--out table.csv/w.csv: cannot be written: File exists"),
        (["--out", "folder.csv"], "--out folder.csv: expected a file, this is a folder"),
        (["--out", "{bits}", "--resample", "9"], "expected another file than those that are read"),
    ],
)
def test_mistakes_are_told_before_the_training(
    words: list[str],
    message: str,
    bits: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "table.csv").write_text("1,2\n")
    (tmp_path / "two.csv").write_text("a,b\n1,2\n3,3\n")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\nx,3\n")
    np.save("few.npy", np.load(bits[1])[:19])
    words = [word.format(bits=bits[1], few="few.npy") for word in words]
    defaults = {"--real": bits[0], "--samples": bits[1]}
    for option, file in defaults.items():
        words = words if option in words else [*words, option, file]
    assert message in refusal(capsys, monkeypatch, *words)


def test_too_few_weights_have_no_tail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers", reason="needs tokenizers")
    (tmp_path / "a.txt").write_text("yes\n" * 30)
    main(["weigh", "--real", str(tmp_path / "a.txt"), "--samples", str(tmp_path / "a.txt"), *QUICK])
    printed = capsys.readouterr().out
    # Equal lines have equal weights, or on another torch weights that differ in their last bits and have a tail.
    told = "; means are to be trusted up to 0.32"
    several = rf"inf{told}, and too few weights differ to tell"
    assert re.search(rf"tail index   ({several}|(-?\d\.\d\d|-inf){told})\n", printed)
    assert "these networks cannot tell the sides apart (p = 1): leave the samples as they are" in printed


@pytest.mark.parametrize(
    ("scale", "told"),
    [
        (1.5, "multiplied by 1.50"),
        (-2.8, "the wrong way on samples they have not seen: all weigh the same"),
        (math.inf, "separate the sides, and stay as they are"),
    ],
)
def test_what_is_made_of_the_outputs_is_what_is_told(scale: float, told: str) -> None:
    """In terms of ``fit_log_ratio``: scaled, left out, or as they are."""
    outputs = torch.tensor([0.5, -0.5] * 20)
    fit = fit_log_ratio(outputs[:, None].repeat(1, 2), outputs[:, None].repeat(1, 2), num_folds=2, max_steps=1)
    fit = fit._replace(calibration=fit.calibration._replace(scale=scale))
    assert told in "\n".join(weigh.report(fit, "sample"))
