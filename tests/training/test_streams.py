import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.training import derive_seed, diagnostics, generate, seeded


def test_streams_differ_and_repeat() -> None:
    parts = [(seed, rank, step) for seed in range(3) for rank in range(3) for step in range(3)]
    assert len({derive_seed(*part) for part in parts}) == len(parts)
    assert derive_seed(0, 1, 2) == derive_seed(0, 1, 2)
    assert all(0 <= derive_seed(*part) < 2**63 for part in parts)


def test_seeded_draws_leave_the_outer_stream_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    with seeded(1, "inside"):
        first = torch.rand(4)
    with seeded(1, "inside"):
        assert torch.equal(torch.rand(4), first)
    assert torch.equal(torch.rand(4), expected)


def test_generate_is_repeatable_and_touches_nothing() -> None:
    generator = MLPGenerator(4, 16, hidden=(8,))
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    state = torch.get_rng_state()
    samples = generate(generator, 25, seed=3, batch_size=10)
    assert samples.shape == (25, 16) and set(samples.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(samples, generate(generator, 25, seed=3, batch_size=10))
    assert not torch.equal(samples, generate(generator, 25, seed=4, batch_size=10))
    assert generator.training and torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(dict(generator.state_dict()), before, rtol=0, atol=0)


def test_diagnostics_of_a_discriminator_that_knows_nothing() -> None:
    generator, discriminator = MLPGenerator(4, 16, hidden=(8,)), MLPDiscriminator(16, hidden=(8,))
    assert isinstance(discriminator.output, torch.nn.Linear)
    torch.nn.init.zeros_(discriminator.output.weight)
    torch.nn.init.constant_(discriminator.output.bias, 0.5)
    figures = diagnostics(generator, discriminator, torch.ones(6, 16), torch.randn(5, 4), num_samples=10)
    torch.testing.assert_close(figures["ess"].item(), 10.0, rtol=1e-5, atol=0)
    torch.testing.assert_close(figures["largest_weight"].item(), 0.1, rtol=1e-5, atol=0)
    torch.testing.assert_close(figures["log_partition"].item(), 0.5, rtol=1e-5, atol=0)
    # It calls everything real: right on the data, wrong on each sample.
    assert figures["accuracy"].item() == 0.5


def test_partition_of_a_calibrated_discriminator_is_that_of_all_latents_together() -> None:
    # One latent draws ones, the other zeros, and the data have 0.9 ones: w is 1.8 and 0.2, and 1 on average.
    class OneBit(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> FactorizedBernoulli:
            return FactorizedBernoulli(z)

    generator, discriminator = OneBit(), torch.nn.Linear(1, 1)
    z = torch.tensor([[40.0], [-40.0]])
    with torch.no_grad():
        discriminator.weight.fill_(math.log(9.0))
        discriminator.bias.fill_(math.log(0.2))
    figures = diagnostics(generator, torch.nn.Sequential(discriminator, torch.nn.Flatten(-2)), torch.ones(4, 1), z)
    assert figures["log_partition"].item() == pytest.approx(0, abs=1e-6)


_SEQUENCES = "--steps 6 --pretrain-steps 2 --warmup-steps 1 --batch-size 8 --num-scored 20"
RECIPES = {
    "digits": "--steps 3 --num-scored 20",
    "text": _SEQUENCES,
    "oracle_text": f"{_SEQUENCES} --num-train 64 --length 4",
    "binary_mnist": "--data digits --steps 3 --num-scored 20",
    "quantized_images": "--data digits --steps 3 --num-scored 20 --batch-size 4",
    "continuous": "--data digits --steps 3 --num-scored 20 --width 2 --image-size 16",
    "softmax_gan": "--data digits --steps 3 --num-scored 20 --width 2 --image-size 16",
    "am_gan": "--data digits --steps 3 --num-scored 20",
    "semi_supervised": "--data digits --steps 3",
}


@pytest.mark.parametrize(
    "recipe", [name if name == "text" else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES]
)
def test_two_processes_train_and_score_one_run(recipe: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    command += ["--standalone", "-m", "discrete_gan", "train", recipe, *RECIPES[recipe].split(), "--device", "cpu"]
    # A process that waits for one that has left would wait for ever.
    result = subprocess.run([*command, "--out", str(tmp_path / "run")], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1
    assert (tmp_path / "run" / "results.json").is_file()
