"""Every recipe with every estimator and loss, trained unbroken and in two halves: are the two equal, bit for bit?

    OMP_NUM_THREADS=1 python benchmarks/faults/resume.py --out resumed.jsonl

Every case is one ``train RECIPE ... --verify-resume`` and a line of the file; the same command again goes on after the
last. Estimators, losses and other choices are those that the recipes' own options offer. A combination that the
recipe refuses is written down with its reason.
"""

import argparse
import inspect
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from kill import child

from discrete_gan.cli import verify
from discrete_gan.errors import InputError
from discrete_gan.estimators import ESTIMATORS, SEQUENCE_ESTIMATORS
from discrete_gan.losses import penalties  # noqa: F401  imported once, before the children are forked

_SMALL = {"num_samples": 4, "num_rollouts": 2, "num_gumbels": 3}
_TINY = ["--steps", "9", "--batch-size", "16", "--num-scored", "20", "--log-every", "2", "--sample-every", "3"]
# What has state, beside what the estimators have by default.
_VARIANTS = ["reinforce:baseline=moving-average,num_samples=4", "nvil:normalize=True,num_samples=4"]
_VARIANTS += ["gumbel-softmax:annealing_rate=0.1", "gumbel-softmax:hard=True,annealing_rate=0.1"]
_VARIANTS += ["straight-through:jacobian=identity", "slope-annealed:annealing_rate=0.1", "rebar:learn=False"]
_VARIANTS += ["reinmax:annealing_rate=0.1", "gumbel-rao:annealing_rate=0.1,num_gumbels=3"]
_VARIANTS += ["boundary-seeking:over=batch,num_samples=4", "boundary-seeking:chunk_size=2,num_samples=4"]
_SEQUENCE_VARIANTS = ["maligan-mixed:decrement_every=2,num_samples=4", "reinforce-steps:baseline=moving-average"]
_SEQUENCE_VARIANTS += ["reinforce:baseline=moving-average,num_samples=4", "gumbel-softmax:annealing_rate=0.1"]
_TEXT = ["--pretrain-steps", "2", "--warmup-steps", "2", "--hidden", "8", "--embedding", "4"]
_TEXT += ["--discriminator-width", "8"]
_STEPS = [["--discriminator", "lstm", "--estimator", spec] for spec in ("boundary-seeking-steps", "scratchgan")]
# Of every recipe: options that make it small, and the choices of which each is tried alone.
_RECIPES: dict[str, tuple[list[str], list[list[str]]]] = {
    "digits": (["--data", "digits"], []),
    "binary_mnist": (["--data", "digits"], [["--probe-every", "4"], ["--average", "0"]]),
    "quantized_images": (["--data", "digits"], [["--probe-every", "4"]]),
    "text": (_TEXT, [["--latent-dim", "3"], ["--dropout", "0.3"], ["--cell", "gru", "--num-layers", "2"], *_STEPS]),
    "oracle_text": (
        [*_TEXT, "--num-train", "200"],
        [["--discriminator", "lstm"], ["--discriminator", "cnn", "--estimator", "maligan:num_samples=2"]],
    ),
    "am_gan": (
        ["--data", "digits", "--model", "mlp"],
        [
            *(["--loss", loss] for loss in ("gan", "gan-star", "ac-gan", "ac-gan-star", "ac-gan-star-plus")),
            *(["--loss", loss] for loss in ("label-gan", "am-gan")),
            ["--labeling", "predefined"],
            ["--noise", "0.1", "--dropout", "0.3"],
        ],
    ),
    "semi_supervised": (
        ["--data", "digits", "--model", "mlp"],
        [["--generator-loss", "plain"], ["--generated-class"], ["--supervised-only"]],
    ),
    "softmax_gan": (
        ["--data", "digits", "--model", "mlp"],
        [
            *(["--loss", loss] for loss in ("softmax", "gan", "wgan-gp", "lsgan", "hinge")),
            *(["--discriminator-norm", norm] for norm in ("batch", "spectral", "weight", "none")),
            ["--discriminator-steps", "2", "--generator-steps", "2"],
            ["--model", "dcgan", "--width", "4", "--image-size", "28"],
        ],
    ),
    "wake_sleep": (
        ["--data", "digits", "--hidden", "8", "--latent-dim", "6", "--bound-latents", "20", "--samples", "4"],
        [
            *(["--estimator", f"{name}:num_samples=4"] for name in ("vimco", "reinforce")),
            *(["--samples", "2", "--estimator", spec] for spec in ("disarm:num_samples=2", "nvil:num_samples=2")),
            *(["--samples", "3", "--estimator", name] for name in ("rebar", "relax")),
            *(
                ["--samples", "1", "--estimator", f"{name}:objective=log-ratio"]
                for name in ("gumbel-softmax", "straight-through", "reinmax")
            ),
        ],
    ),
    "continuous": (
        ["--data", "digits", "--width", "4", "--image-size", "28"],
        [
            *(["--divergence", each] for each in ("gan", "jsd", "kl", "reverse_kl", "hellinger", "pearson", "neyman")),
            *(["--discriminator-norm", norm] for norm in ("batch", "spectral", "weight", "none")),
        ],
    ),
}
_BY_ESTIMATOR = ("digits", "binary_mnist", "quantized_images", "text", "oracle_text")
_OF_SEQUENCES = ("text", "oracle_text")


def small(name: str, make: Callable[..., object]) -> str:
    """The estimator's spec with few samples."""
    options = {key: value for key, value in _SMALL.items() if key in inspect.signature(make).parameters}
    return name + (":" + ",".join(f"{key}={value}" for key, value in options.items()) if options else "")


def cases() -> dict[str, tuple[str, list[str]]]:
    """Recipe and options of every case, by name."""
    made: dict[str, tuple[str, list[str]]] = {}
    for recipe, (base, choices) in _RECIPES.items():
        chosen = [[], *choices]
        if recipe in _BY_ESTIMATOR:
            known = ESTIMATORS | SEQUENCE_ESTIMATORS
            specs = [small(name, make) for name, make in known.items()]
            specs += _SEQUENCE_VARIANTS if recipe in _OF_SEQUENCES else _VARIANTS
            chosen += [["--estimator", spec] for spec in specs]
        for options in chosen:
            made[" ".join([recipe, *options])] = recipe, [*base, *_TINY, *options]
    return made


def tried(recipe: str, options: list[str], log: Path) -> str:
    """``equal``, where they differ, or why the recipe refuses."""

    def train(recipe: str, words: Sequence[str]) -> None:
        log.unlink(missing_ok=True)
        if status := child(["train", recipe, *words], log):
            lines = log.read_text().strip().splitlines() or [f"status {status}"]
            kind = "" if status == 2 else f"status {status}: "
            raise InputError(kind + lines[-1].removeprefix("discrete-gan: "))

    verify._train = train
    words = ["train", recipe, *options]
    try:
        verify.verify_resume(recipe, options, int(words[words.index("--steps") + 1]))
    except InputError as error:
        return f"refused: {error}" if not str(error).startswith("status") else str(error)
    except SystemExit:
        return "differs"
    return "equal"


def measure() -> None:
    """Run the cases that the file lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("resumed.jsonl"))
    parser.add_argument("--minutes", type=float, default=1e9)
    args = parser.parse_args()
    lines = args.out.read_text().splitlines() if args.out.exists() else []
    known = {json.loads(line)["case"] for line in lines}
    until = time.monotonic() + 60 * args.minutes
    for name, (recipe, options) in cases().items():
        if name in known or time.monotonic() > until:
            continue
        with tempfile.TemporaryDirectory(prefix="resume-") as scratch:
            outcome = tried(recipe, options, Path(scratch) / "log")
        with args.out.open("a") as file:
            file.write(json.dumps({"case": name, "outcome": outcome}) + "\n")
        print(f"{name}: {outcome}", flush=True)
    outcomes = [json.loads(line)["outcome"].partition(":")[0] for line in args.out.read_text().splitlines()]
    print(dict(Counter(outcomes)))


if __name__ == "__main__":
    measure()
