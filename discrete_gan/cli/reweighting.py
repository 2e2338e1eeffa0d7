"""The reweighted model of a run: its generator with the discriminator that refined it, else with its own."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from discrete_gan.cli.refine import REFINED, generator_digest
from discrete_gan.cli.runs import SavedRun, load_model
from discrete_gan.errors import InputError
from discrete_gan.reweighted import Method, Reweighted
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.records import read_results

Choice = Literal["auto", "none"] | Method
"""What ``--reweight`` takes."""


def with_default(arguments: Sequence[str], option: str, value: str) -> list[str]:
    """The words of a command line with a value after an option that has none."""
    words: list[str] = []
    for word, after in itertools.pairwise([*arguments, "--"]):
        words += [word, value] if word == option and after.startswith("-") else [word]
    return words


def is_refined(run: SavedRun) -> bool:
    """Whether there is a discriminator that was fitted to the run's generator."""
    return (run.directory.path / REFINED / "config.json").is_file()


def wants_reweighted(run: SavedRun, choice: Choice | None) -> bool:
    """Whether to measure the reweighted model: it is asked for, or the run was refined and that told something."""
    if choice is not None:
        return choice != "none"
    return is_refined(run) and _fitted(run.directory.path / REFINED).get("scale") != 0


def reweighted(
    run: SavedRun, generator: Any, choice: Choice, candidates: int, bound: float | None = None
) -> tuple[Reweighted, str]:
    """Generator and discriminator as one model, and in a few words which discriminator it is.

    Args:
        run: That they are of.
        generator: Its generator.
        choice: Method; ``auto`` chooses among samples of each latent, or without latents among all.
        candidates: For each sample.
        bound: Log of the largest weight in nats, of rejection; None for that of a pilot.

    Raises:
        InputError: If the run has no discriminator of its own and was not refined, or was by another generator's, or
            the networks do not fit the method.
    """
    folder = run.directory.path / REFINED
    scale, offset, which = 1.0, 0.0, "the run's own discriminator, uncalibrated"
    if is_refined(run):
        discriminator, scale, offset = _refined(run, folder)
        which = str(folder)
    elif "discriminator" not in run.config["models"]:
        raise InputError(f"--reweight: {run.directory.path} has no discriminator: discrete-gan refine fits one")
    else:
        discriminator = run.model("discriminator")
    if hasattr(discriminator, "posterior"):
        told = "its second network is an encoder: discrete-gan refine --network mlp fits a discriminator"
        raise InputError(f"--reweight: {run.directory.path}: {told}")
    method: Method = ("per-latent" if generator.latent_dim else "resample") if choice in ("auto", "none") else choice  # type: ignore[assignment]
    if bound is not None and method != "rejection":
        raise InputError(f"--bound: expected with --reweight rejection, got {method}")
    try:
        options: dict[str, Any] = {"scale": scale, "offset": offset, "bound": bound}
        return Reweighted(generator, discriminator, method=method, candidates=candidates, **options), which
    except ValueError as error:
        raise InputError(f"--reweight {method}: {error}") from None


def _fitted(folder: Path) -> dict[str, float]:
    """The scores of a refinement by their names; none if it has not finished."""
    results = read_results(folder)
    return {score.name: score.value for score in (results.scores or [] if results else [])}


def _refined(run: SavedRun, folder: Path) -> tuple[Any, float, float]:
    """The discriminator that refined the run, and its calibration."""
    directory = RunDirectory(folder)
    found, again = _fitted(folder), f"discrete-gan refine {run.directory.path}"
    if not {"scale", "offset"} <= found.keys():
        raise InputError(f"{folder}: has not finished: {again} --resume")
    if directory.read_config()["data"].get("generator") != generator_digest(run.directory.path):
        raise InputError(f"{folder}: it is of another generator than the run has now: {again} --overwrite")
    return load_model(directory, "discriminator", trust=run.trust), found["scale"], found["offset"]


def shifts_classes(model: Reweighted) -> str:
    """What is to be said of a method that chooses over latents; nothing of others."""
    if not model.latent_dim or model.method in ("per-latent", "gibbs"):
        return ""
    return (
        f"{model.method} chooses over all latents: classes and other parts of the data may come more or less often "
        "than the generator draws them; per-latent leaves them as they are"
    )
