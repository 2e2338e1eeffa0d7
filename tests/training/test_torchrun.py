"""Recipes on two processes: they end, and one of them writes."""

import subprocess
import sys
from pathlib import Path

import pytest

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
