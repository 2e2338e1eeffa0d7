"""The recipe of images in a few colors: trains, resumes, samples, refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from discrete_gan.cli import main
from discrete_gan.models import PaletteGenerator

QUICK = ["--steps", "2", "--channels", "2", "--hidden", "4", "--batch-size", "5", "--num-scored", "10"]
QUICK += ["--sample-every", "0", "--colors", "4"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of color pictures of different sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(30):
        size = (int(random.integers(16, 30)), int(random.integers(16, 30)), 3)
        Image.fromarray(random.integers(0, 256, size).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


def train(out: Path, data: Path, *options: str) -> dict:
    main(["train", "quantized_images", "--data", str(data), *QUICK, "--out", str(out), *options])
    return json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])


@pytest.mark.parametrize(
    "estimator", ["boundary-seeking:num_samples=3", "boundary-seeking-union:num_samples=3", "gumbel-softmax"]
)
def test_pictures_of_any_size(estimator: str, tmp_path: Path, pictures: Path) -> None:
    run = tmp_path / "run"
    row = train(run, pictures, "--image-size", "12", "--estimator", estimator, "--probe-every", "2")
    assert all(np.isfinite(value) for value in row.values())
    assert json.loads((run / "config.json").read_text())["data"]["image_shape"] == [3, 12, 12]
    with Image.open(run / "samples.png") as picture:
        assert np.asarray(picture.convert("RGB")).std() > 0


def test_samples_are_drawn_in_the_palette(tmp_path: Path, pictures: Path) -> None:
    run = tmp_path / "run"
    train(run, pictures, "--image-size", "12")
    generator = PaletteGenerator.from_pretrained(run / "generator")
    main(["sample", str(run), "--num", "3", "--out", str(tmp_path / "x.npy")])
    samples = np.load(tmp_path / "x.npy")
    assert (samples.shape, samples.dtype) == ((3, 3, 12, 12), np.uint8)
    colors = {tuple(color) for color in (255 * generator.palette).round().int().tolist()}
    assert len(colors) == 4
    assert {tuple(pixel) for pixel in samples.transpose(0, 2, 3, 1).reshape(-1, 3).tolist()} <= colors
    main(["sample", str(run), "--num", "3", "--out", str(tmp_path / "x.png")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--colors", "1"], "--colors: expected from 2 to below 257, got 1"),
        ([], "of different sizes"),
        (["--image-size", "10"], "expected height and width divisible by 4, got 10 x 10 (see --image-size)"),
        (["--image-size", "12", "--estimator", "disarm"], "estimator disarm:"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], message: str, tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        train(tmp_path / "run", pictures, *options)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "run").exists()
