"""What holds for every recipe of grey images: resuming is exact, and real pixels are scaled as generated ones are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from discrete_gan.cli import main
from discrete_gan.models import DCGANDiscriminator

QUICK = ["--batch-size", "5", "--num-scored", "10", "--sample-every", "0"]
SMALL = {
    "continuous": ["--width", "2"],
    "softmax_gan": ["--width", "2"],
    "quantized_images": ["--channels", "2", "--hidden", "4", "--colors", "4"],
}


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "grey.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (60, 16, 16), dtype=np.uint8))
    return path


@pytest.mark.parametrize("recipe", SMALL)
def test_resumed_run_equals_unbroken_run(recipe: str, tmp_path: Path, grey: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for run in (whole, broken):
        options = [*QUICK, *SMALL[recipe], "--steps", "4", "--checkpoint-every", "2", "--out", str(run)]
        main(["train", recipe, "--data", str(grey), *options])
    (broken / "checkpoints" / "step-00000004.pt").unlink()
    main(["train", recipe, "--resume", str(broken)])
    states = [torch.load(run / "checkpoints" / "step-00000004.pt", weights_only=True) for run in (whole, broken)]
    torch.testing.assert_close(states[0]["players"], states[1]["players"], rtol=0, atol=0)


@pytest.mark.parametrize("recipe", ["continuous", "softmax_gan"])
def test_the_discriminator_sees_the_whole_range_of_real_pixels(
    recipe: str, tmp_path: Path, grey: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    forward = DCGANDiscriminator.forward
    monkeypatch.setattr(DCGANDiscriminator, "forward", lambda self, x: seen.append(x.detach()) or forward(self, x))
    options = [*QUICK, *SMALL[recipe], "--steps", "1", "--out", str(tmp_path / "run")]
    main(["train", recipe, "--data", str(grey), *options])
    real = (seen[0] + 1) * 127.5  # the first batch that it is shown
    torch.testing.assert_close(real, real.round(), rtol=0, atol=1e-3)
    assert (int(real.min().round()), int(real.max().round())) == (0, 255)
    rows = {row.tobytes() for row in np.load(grey).reshape(60, -1)}
    assert all(row.tobytes() in rows for row in real.round().byte().numpy())
