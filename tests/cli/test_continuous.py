"""The recipe of the squared log-ratio: divergences, networks, resuming, sampling."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from discrete_gan.cli import main
from discrete_gan.models import DCGANDiscriminator

QUICK = ["--steps", "2", "--width", "2", "--batch-size", "5", "--num-scored", "10", "--sample-every", "0"]


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "grey.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (60, 16, 16), dtype=np.uint8))
    return path


def train(out: Path, data: Path, *options: str) -> dict:
    main(["train", "continuous", "--data", str(data), *QUICK, "--out", str(out), *options])
    return json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--divergence", "pearson"],
        ["--model", "mlp", "--precision", "bf16-mixed"],
        ["--discriminator-norm", "none", "--r1", "1"],
    ],
)
def test_every_network_trains(options: list[str], tmp_path: Path, grey: Path) -> None:
    row = train(tmp_path / "run", grey, *options)
    assert all(np.isfinite(value) for value in row.values())
    assert (tmp_path / "run" / "samples.png").is_file()
    main(["sample", str(tmp_path / "run"), "--num", "3", "--out", str(tmp_path / "x.npy")])
    assert np.load(tmp_path / "x.npy").shape == (3, 16, 16)


@pytest.mark.parametrize("divergence", ["gan", "pearson"])
def test_the_generator_descends_half_the_squared_log_ratio(
    divergence: str, tmp_path: Path, grey: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is the raw output itself, whatever trains the discriminator."""
    outputs: list[torch.Tensor] = []
    forward = DCGANDiscriminator.forward

    def spy(self: DCGANDiscriminator, x: torch.Tensor) -> torch.Tensor:
        outputs.append(100 * forward(self, x))  # raw outputs start small, where losses are hard to tell apart
        return outputs[-1]

    monkeypatch.setattr(DCGANDiscriminator, "forward", spy)
    row = train(tmp_path / "run", grey, "--steps", "1", "--divergence", divergence)
    # Real and generated for the discriminator, then generated for the generator.
    _, _, fake = (each.detach() for each in outputs)
    assert fake.abs().max() > 0.01
    assert row["g_loss"] == pytest.approx(float(0.5 * fake.square().mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ["--image-size", "9"],
            "expected sides from 16 that can be halved twice, as 28, 32 or 64, got (1, 9, 9) (see --image-size)",
        ),
        (["--r1", "1"], "--r1: the penalty is one of each image alone"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], expected: str, tmp_path: Path, grey: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        train(tmp_path / "run", grey, *options)
    assert ended.value.code == 2
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]
