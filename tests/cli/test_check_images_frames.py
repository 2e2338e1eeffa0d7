"""``check`` of images and frames says what a training would read."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from discrete_gan.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(["check", *words])
    return capsys.readouterr().out


def test_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert "1,437 images for training, 360 held out; 8x8, 1 channel" in told(capsys, "digits")
    for number in range(40):
        folder = Path("pics", "dark" if number % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (12, 10), color=255 * (number % 2)).save(folder / f"{number}.png")
    out = told(capsys, "pics", "--image-size", "8", "--batch-size", "16")
    assert "pics: 36 images for training, 4 held out; 8x8, 1 channel" in out
    assert "from 0 to 255: 0, 255" in out and "dark: " in out
    np.save("a.npy", np.arange(80 * 16).reshape(80, 4, 4).astype(np.uint8))
    assert "a: 72 images for training, 8 held out; 4x4" in told(capsys, "a.npy")


def test_frames(capsys: pytest.CaptureFixture[str]) -> None:
    assert "chords: 360 sequences for training" in told(capsys, "chords")
    Path("a.json").write_text(json.dumps([[[60], [62, 64]]] * 50))
    assert "a: 45 sequences for training, 5 held out; 5 bits" in told(capsys, "a.json")
    np.savez("b.npz", frames=np.ones((50, 6, 2)), lengths=np.full(50, 6))
    assert "b: 45 sequences" in told(capsys, "b.npz")


def test_too_few_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("a.npy", np.arange(20 * 16).reshape(20, 4, 4).astype(np.uint8))
    with pytest.raises(SystemExit) as raised:
        main(["check", "a.npy"])
    assert raised.value.code == 2
    assert "use a smaller batch_size, at most 18" in capsys.readouterr().err
