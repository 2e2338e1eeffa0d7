"""The recipe of continuous images: every loss, every stress test, resuming, sampling."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from discrete_gan.cli import main
from discrete_gan.data import Batches
from discrete_gan.models import DCGANDiscriminator

QUICK = ["--steps", "2", "--width", "2", "--batch-size", "5", "--num-scored", "10", "--sample-every", "0"]


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "grey.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8))
    return path


def train(out: Path, data: Path, *options: str) -> dict:
    main(["train", "softmax_gan", "--data", str(data), *QUICK, "--out", str(out), *options])
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert (out / "samples.png").is_file()
    return rows[-1]


@pytest.mark.parametrize("loss", ["softmax", "gan", "wgan-gp", "lsgan", "hinge"])
def test_every_loss_trains(loss: str, tmp_path: Path, grey: Path) -> None:
    row = train(tmp_path / "run", grey, "--loss", loss)
    assert all(np.isfinite(row[name]) for name in ("d_loss", "g_loss", "raw_real"))


EXPECTED: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "gan": lambda real, fake: -torch.sigmoid(fake).log().mean(),
    "softmax": lambda real, fake: torch.cat([real, fake]).exp().sum().log() - torch.cat([real, fake]).mean(),
    "wgan-gp": lambda real, fake: -fake.mean(),
    "hinge": lambda real, fake: -fake.mean(),
    "lsgan": lambda real, fake: 0.5 * (fake - 1).square().mean(),
}


@pytest.mark.parametrize("loss", EXPECTED)
def test_the_generator_descends_what_is_asked_for(
    loss: str, tmp_path: Path, grey: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs: list[torch.Tensor] = []
    forward = DCGANDiscriminator.forward

    def spy(self: DCGANDiscriminator, x: torch.Tensor) -> torch.Tensor:
        outputs.append(100 * forward(self, x))  # raw outputs start small, where the losses are hard to tell apart
        return outputs[-1]

    monkeypatch.setattr(DCGANDiscriminator, "forward", spy)
    row = train(tmp_path / "run", grey, "--steps", "1", "--loss", loss)
    # The last of all are generated ones for the generator and, where the loss looks at them, real ones behind them.
    fake, real = (each.detach() for each in (outputs[-2:] if loss == "softmax" else [outputs[-1]] * 2))
    assert fake.abs().max() > 0.001
    assert row["g_loss"] == pytest.approx(float(EXPECTED[loss](real, fake)), rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        ["--no-batch-norm", "--constant-filters"],
        ["--relu", "--pixel-range", "0", "1"],
        ["--discriminator-steps", "3"],
        ["--generator-steps", "3"],
        ["--discriminator-norm", "weight"],
        ["--model", "mlp"],
    ],
)
def test_stress_tests_run(options: list[str], tmp_path: Path, grey: Path) -> None:
    train(tmp_path / "run", grey, *options)


def test_updates_of_a_round_see_different_images(tmp_path: Path, grey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    indices = Batches.indices
    monkeypatch.setattr(Batches, "indices", lambda self, step, **at: asked.append(step) or indices(self, step, **at))
    train(tmp_path / "run", grey, "--discriminator-steps", "3")
    assert asked == [0, *range(6)]  # the first is looked at before the run begins


@pytest.mark.parametrize("pixel_range", [("-1", "1"), ("0", "1")])
def test_samples_are_intensities(pixel_range: tuple[str, str], tmp_path: Path, grey: Path) -> None:
    run = tmp_path / "run"
    train(run, grey, "--pixel-range", *pixel_range)
    main(["sample", str(run), "--num", "3", "--out", str(tmp_path / "x.npy")])
    samples = np.load(tmp_path / "x.npy")
    assert (samples.shape, samples.dtype) == ((3, 28, 28), np.uint8)
    # Untrained, with weights of 0.02: middle grey.
    assert 100 < samples.mean() < 156
    main(["sample", str(run), "--num", "3", "--out", str(tmp_path / "x.png")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pixel-range", "0", "255"], "networks: pixel_range: expected -1 1 (tanh) or 0 1 (sigmoid), got 0 255"),
        (
            ["--activation", "sigmoid"],
            "activation sigmoid gives pixels in 0 1, which contradicts pixel_range -1 1",
        ),
        (["--loss", "wgan-gp", "--discriminator-norm", "batch"], "--discriminator-norm batch: "),
        (
            ["--image-size", "9"],
            "expected sides from 16 that can be halved twice, as 28, 32 or 64, got (1, 9, 9) (see --image-s",
        ),
        (["--generator-steps", "0"], "--generator-steps: expected at least 1, got 0"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], message: str, tmp_path: Path, grey: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "softmax_gan", "--data", str(grey), *QUICK, "--out", str(tmp_path / "run"), *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "run").exists()
