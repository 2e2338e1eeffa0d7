"""Every recipe on a second device: the steps of the CPU, none of which waits for the device, and what comes after.

A process of its own runs this file (:mod:`tests.test_second_device`). By hand::

    pytest tests/second_device_runs.py -k digits
"""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy
from safetensors.torch import load_file

from tests.second_device import DEVICE, NAME, Traffic, counting, lacking  # first: it registers the device

# isort: split
from discrete_gan._precision import widest_float
from discrete_gan.cli import main
from discrete_gan.cli.recipes import recipe_files
from discrete_gan.distributions import bernoulli
from discrete_gan.metrics import classifier
from discrete_gan.models.oracle import random_oracle
from discrete_gan.training import Run, RunOptions
from discrete_gan.training.launch import launch

LINES = ["the cat sat", "a dog ran far", "the dog sat", "a cat ran", "the bird flew far away", "a bird sat"] * 6
SEQUENCE_OPTIONS = "--pretrain-steps 1 --warmup-steps 1 --batch-size 4 --hidden 8 --embedding 4 --discriminator-width 8"
RECIPES: dict[str, str] = {
    "digits": "",
    "binary_mnist": "--data digits --conditional --generator-width 8 --discriminator-width 8 --estimator relax",
    "binary_mnist, conv": "--data digits --model conv --channels 2 --generator-width 8 --discriminator-width 8 "
    "--spectral-norm --divergence donsker-varadhan --estimator boundary-seeking-union",
    "binary_mnist, rows": "--data digits --model rows --generator-width 8 --discriminator-width 8",
    "quantized_images": "--data digits --colors 4 --channels 2 --hidden 8 --conditional",
    "continuous": "--data digits --model mlp --r1 1",
    "continuous, dcgan": "--data grey.npy --batch-size 8 --width 2",
    "softmax_gan": "--data grey.npy --batch-size 8 --width 2",
    "softmax_gan, wgan-gp": "--data grey.npy --batch-size 8 --width 2 --loss wgan-gp --discriminator-steps 2",
    "am_gan": "--data digits --generator-width 2 --discriminator-width 2",
    "am_gan, predefined": "--data digits --model mlp --labeling predefined --loss ac-gan-star-plus",
    "semi_supervised": "--data digits --model conv --width 2",
    "semi_supervised, K + 1": "--data digits --generated-class --generator-loss plain",
    "wake_sleep": "--data digits --latent-dim 4 --bound-latents 20 --bound-num 20 --estimator relax",
    "table": "--batch-size 16 --generator-width 8 --discriminator-width 8",
    "frames": "--pretrain-steps 1 --warmup-steps 1 --batch-size 8 --hidden 8 --width 8 --discriminator-width 8",
    "text": f"--data my.txt --max-length 5 {SEQUENCE_OPTIONS} --r1 1",
    "text, labels": f"--data labeled.txt --max-length 6 {SEQUENCE_OPTIONS} --conditional --latent-dim 2",
    "text, rollouts": f"--data my.txt --max-length 5 {SEQUENCE_OPTIONS} --discriminator cnn --estimator seqgan "
    "--latent-dim 2 --cell gru --dropout 0.1",
    "oracle_text": f"--oracle oracle.npz --length 5 --num-train 20 {SEQUENCE_OPTIONS} --r1 1",
    "oracle_text, rewards": f"--oracle oracle.npz --length 5 --num-train 20 {SEQUENCE_OPTIONS} "
    "--estimator scratchgan:num_samples=2",
}
BY_DEFAULT = {"digits", "text"}  # one of each kind
PRETRAINED = ("text", "oracle_text", "frames")
NOT_SCORED = {"semi_supervised"}  # by --num-scored


class _Accelerator(CPUAccelerator):
    def setup_device(self, device: torch.device) -> None:
        """There is none."""


def _launch(options: RunOptions) -> Fabric:
    if options.device != NAME:
        return launch(options)
    fabric = Fabric(strategy=SingleDeviceStrategy(device=DEVICE, accelerator=_Accelerator()), precision="32-true")
    fabric.launch()
    return fabric


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Traffic]]:
    """A folder with data, where every recipe and verb knows the device; the traffic of each step of the last run."""
    monkeypatch.chdir(tmp_path)
    np.save("grey.npy", np.random.default_rng(0).integers(0, 256, (200, 16, 16), dtype=np.uint8))
    np.savez("oracle.npz", **{key: value.numpy() for key, value in random_oracle(0, num_categories=30, size=4).items()})  # type: ignore[arg-type]
    Path("my.txt").write_text("".join(f"{line} {number}\n" for number, line in enumerate(LINES)))
    labeled = (f"{line.split()[1]}\t{line} {number}\n" for number, line in enumerate(LINES))
    Path("labeled.txt").write_text("".join(labeled))
    monkeypatch.setattr("discrete_gan.training.run.launch", _launch)
    for verb in ("sample", "evaluate"):
        monkeypatch.setattr(f"discrete_gan.cli.{verb}.find_device", torch.device)
    # The pages are written from numbers, and the comparisons in pairs take long.
    monkeypatch.setattr("discrete_gan.report.run_page.write_run_page", lambda *args, **options: "")
    for kind in ("images", "text"):
        monkeypatch.setattr(f"discrete_gan.tasks.{kind}._COMPARED", 40)
    monkeypatch.setattr("discrete_gan.tasks.evaluation.SAMPLE_COUNTS", (2, 5))
    # A CPU draws bits from fewer random numbers.
    monkeypatch.setattr(bernoulli, "_bernoulli_from_bytes", lambda probs, shape: torch.rand(shape).lt_(probs))
    # Scores are to be computed, not to be good.
    monkeypatch.setattr(classifier, "train_classifier", functools.partial(classifier.train_classifier, epochs=1))
    steps, found = Run.steps, []

    def counted(run: Run) -> Iterator[int]:
        found.clear()
        iterator = steps(run)
        while True:
            with counting() as traffic:
                step = next(iterator, None)
                if step is None:
                    return
                yield step
            found.append(traffic)

    monkeypatch.setattr(Run, "steps", counted)
    yield found


def numbers(path: Path) -> dict[str, Any]:
    """What a JSON file holds, but for the time it took."""
    found = json.loads(path.read_text().splitlines()[-1] if path.suffix == ".jsonl" else path.read_text())
    return {name: value for name, value in found.items() if name != "seconds"}


def assert_near(found: Any, expected: Any, where: str = "") -> None:
    """Numbers equal but for rounding, in dictionaries and lists of them, and what is no number equal."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for name in expected:
            assert_near(found[name], expected[name], f"{where}/{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, each in enumerate(expected):
            assert_near(found[index], each, f"{where}/{index}")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4), where
    else:
        assert found == expected, where


def states(run: str | Path, model: str) -> dict[str, torch.Tensor]:
    """Saved weights."""
    found = load_file(Path(run, model, "model.safetensors"))
    # Keys' biases change no attention: their gradient is rounding, which Adam makes large.
    return {name: value for name, value in found.items() if not name.endswith("in_proj_bias")}


@pytest.mark.parametrize(
    "name", [name if name in BY_DEFAULT else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES]
)
def test_recipes(name: str, here: list[Traffic]) -> None:
    recipe = name.partition(",")[0]
    options = [*RECIPES[name].split(), "--steps", "5", "--checkpoint-every", "0", "--sample-every", "0"]
    options += [] if recipe in NOT_SCORED else ["--num-scored", "30"]
    options += ["--precision", "32-true"]  # that of the other device: some CPUs have units for bfloat16
    for device in ("cpu", NAME):
        main(["train", recipe, *options, "--device", device, "--out", device])
    # The first step may bring the order of the data to the device, and the last one is logged.
    for step, traffic in enumerate(here[1:-1], 1):
        # What maximum likelihood left is saved once, in the step after it.
        reads = [
            each for each in traffic.reads if "training/directory.py" not in each.where or recipe not in PRETRAINED
        ]
        assert reads == traffic.copies == [], f"step {step}: {traffic}"
    assert len(here) == 5
    for path in ("results.json", "metrics.jsonl"):
        assert_near(numbers(Path(NAME, path)), numbers(Path("cpu", path)))
    for model in ("generator", "discriminator"):
        torch.testing.assert_close(states(NAME, model), states("cpu", model), rtol=1e-3, atol=1e-5)


def test_every_recipe_has_a_case() -> None:
    assert {name.partition(",")[0] for name in RECIPES} == set(recipe_files())


def test_resumed_run_equals_unbroken_run(here: list[Traffic]) -> None:
    for run in ("whole", "broken"):
        options = ["--steps", "4", "--checkpoint-every", "2", "--sample-every", "0", "--num-scored", "10"]
        main(["train", "digits", *options, "--device", NAME, "--out", run])
    Path("broken/checkpoints/step-00000004.pt").unlink()
    main(["train", "digits", "--resume", "broken", "--device", NAME])
    for model in ("generator", "discriminator"):
        torch.testing.assert_close(states("broken", model), states("whole", model), rtol=0, atol=0)


SAMPLED = {
    "digits": "samples.png",
    "quantized_images": "samples.npy",
    "text": "samples.txt",
    "oracle_text": "samples.txt",
}
BOUND = "--likelihood bound --bound-latents 4 --likelihood-num 3"
EVALUATED = {
    "digits": "--ais-steps 10 --likelihood-num 3 --ais-simulated 2",
    "quantized_images": BOUND,
    "continuous": "",
    "text": BOUND,
    "oracle_text": BOUND,
}


@pytest.mark.parametrize(
    "recipe",
    [name if name in ("digits", "text") else pytest.param(name, marks=pytest.mark.slow) for name in EVALUATED],
)
def test_sample_and_evaluate(recipe: str, here: list[Traffic], capsys: pytest.CaptureFixture[str]) -> None:
    options = [*RECIPES[recipe].split(), "--steps", "2", "--sample-every", "0", "--num-scored", "10"]
    main(["train", recipe, *options, "--device", NAME, "--out", "run"])
    evaluations, samples = [], []
    for device in ("cpu", NAME):
        if recipe in SAMPLED:
            main(["sample", "run", "--num", "12", "--device", device, "--out", SAMPLED[recipe]])
            samples.append(Path(SAMPLED[recipe]).read_bytes())
        main(["evaluate", "run", "--num", "40", "--device", device, *EVALUATED[recipe].split()])
        evaluations.append(json.loads(Path("run/evaluation.json").read_text()))
    assert samples[:1] == samples[1:]
    numbers = [
        {name: [score[part] for part in ("value", "low", "high", "real")] for name, score in found["scores"].items()}
        for found in evaluations
    ]
    assert_near(numbers[1], numbers[0])


def test_evaluate_temperatures(here: list[Traffic]) -> None:
    options = [*RECIPES["text"].split(), "--steps", "2", "--sample-every", "0", "--num-scored", "10"]
    main(["train", "text", *options, "--device", NAME, "--out", "run"])
    found = []
    for device in ("cpu", NAME):
        main(["evaluate", "run", "--num", "10", "--temperatures", "0.5", "--device", device])
        found.append(json.loads(Path("run/temperatures.json").read_text()))
    assert_near(found[1], found[0])


@pytest.mark.parametrize("recipe", ["quantized_images", "semi_supervised", "text", "oracle_text"])
def test_recipes_where_there_is_no_float64(recipe: str, here: list[Traffic]) -> None:
    options = [*RECIPES[recipe].split(), "--steps", "4", "--sample-every", "0"]
    options += [] if recipe in NOT_SCORED else ["--num-scored", "10"]
    widest_float.cache_clear()
    with lacking(torch.float64):
        main(["train", recipe, *options, "--device", NAME, "--out", "run"])
    widest_float.cache_clear()
    assert Path("run/results.json").is_file()
