"""``discrete-gan sample``: draw from a trained run."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from torch import Tensor, nn

from discrete_gan.cli.models import load_model
from discrete_gan.data import Vocabulary
from discrete_gan.errors import InputError
from discrete_gan.report import as_lines, generate_pixels, generate_text, save_grid
from discrete_gan.training import num_classes_of
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.launch import find_device


@dataclass(frozen=True)
class SampleArgs:
    """Draw from the generator of a run: images into a file, text onto the terminal or into a file."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    out: Path | None = None
    """File to write. Images: .png for a grid, .npy for an array of uint8, shape (num, height, width) or (num, channels,
    height, width): bits, or intensities up to 255 where the images are not binary. Text: .txt, a sample a line, or
    .jsonl, each as {"text": ...}; printed if not given."""
    num: int = 64
    """Number of samples."""
    seed: int = 0
    """Of latents and samples."""
    temperature: float | None = None
    """Text only: divides the logits; below 1 safer and less diverse."""
    prompt: str | None = None
    """Text only: what every sample begins with."""
    label: int | None = None
    """Conditional images only: class of all samples, from 0; if not given, the classes take turns."""
    device: str = "cpu"
    """Where to draw: cpu, cuda, mps, or auto for the best there is."""


def sample(arguments: list[str]) -> None:
    """Draw and write.

    Raises:
        InputError: If the run, the file type or an option is not usable.
    """
    args = tyro.cli(SampleArgs, args=arguments, prog="discrete-gan sample")
    if args.num < 1:
        raise InputError(f"--num: expected at least 1, got {args.num}")
    if args.out is not None and args.out.suffix not in (".png", ".npy", ".txt", ".jsonl"):
        kinds = "ending in .png or .npy for images, in .txt or .jsonl for text"
        raise InputError(f"--out {args.out}: expected a file name {kinds}")
    directory = RunDirectory(args.run)
    draw = _images if "image_shape" in directory.read_config()["data"] else _text
    try:
        draw(args, directory)
    except OSError as error:
        raise InputError(f"--out {args.out}: cannot be written: {error.strerror}") from None


def _images(args: SampleArgs, directory: RunDirectory) -> None:
    for name in ("temperature", "prompt"):
        if getattr(args, name) is not None:
            raise InputError(f"--{name}: expected a run of text, {args.run} is one of images")
    if args.out is None or args.out.suffix not in (".png", ".npy"):
        raise InputError(f"--out {args.out}: expected a file name ending in .png or .npy")
    image_shape = tuple(directory.read_config()["data"]["image_shape"])
    generator = load_model(directory).to(find_device(args.device))
    num_classes = num_classes_of(generator)
    if args.label is not None and not 0 <= args.label < num_classes:
        expected = (
            f"from 0 to {num_classes - 1}"
            if num_classes
            else "a run whose generator is given labels (--conditional, or am_gan --labeling predefined)"
        )
        raise InputError(f"--label {args.label}: expected {expected}")
    samples = generate_pixels(generator, args.num, seed=args.seed, label=args.label)
    maximum = 255 if hasattr(generator, "pixel_range") or hasattr(generator, "palette") else 1
    _write(args.out, samples, image_shape, maximum)
    print(f"{args.out}: {args.num} samples of {args.run}")


def _text(args: SampleArgs, directory: RunDirectory) -> None:
    if args.out is not None and args.out.suffix not in (".txt", ".jsonl"):
        raise InputError(f"--out {args.out}: expected a file name ending in .txt or .jsonl")
    temperature = 1.0 if args.temperature is None else args.temperature
    if args.label is not None:
        raise InputError(f"--label: expected a run of conditional images, {args.run} is one of text")
    if not 0 < temperature < math.inf:
        raise InputError(f"--temperature: expected a number above 0, got {temperature}")
    generator = load_model(directory).to(find_device(args.device))
    vocabulary = load_vocabulary(directory)
    prefix = None if args.prompt is None else prompt_tokens(args.prompt, vocabulary, generator)
    lines = generate_text(generator, vocabulary, args.num, seed=args.seed, temperature=temperature, prefix=prefix)
    if args.out is None:
        print(as_lines(lines), end="")
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    as_json = args.out.suffix == ".jsonl"
    rows = "".join(json.dumps({"text": line}, ensure_ascii=False) + "\n" for line in lines)
    args.out.write_text(rows if as_json else as_lines(lines), encoding="utf-8")
    print(f"{args.out}: {args.num} samples of {args.run}")


def prompt_tokens(prompt: str, vocabulary: Vocabulary | None, generator: nn.Module) -> Tensor:
    """Tokens of a prompt, shape (P,).

    Raises:
        InputError: If a part of it is not in the vocabulary, or it is longer than a sample.
    """
    if vocabulary is None:
        raise InputError("--prompt: expected a run on text, this one is on numbered tokens")
    (ids,) = vocabulary.encode([prompt])
    most = int(generator.num_positions)  # type: ignore[arg-type]
    if len(ids) > most:
        raise InputError(f"--prompt: expected at most {most} tokens, as many as a sample has, got {len(ids)}")
    if vocabulary.unknown in ids:
        parts = prompt.split() if vocabulary.kind == "word" else prompt
        lacking = [part for part in parts if vocabulary.unknown in vocabulary.encode([part])[0]]
        raise InputError(f"--prompt {prompt!r}: expected what the training data has, which lacks {', '.join(lacking)}")
    return torch.tensor(ids, dtype=torch.int64, device=next(generator.parameters()).device)


def load_vocabulary(directory: RunDirectory) -> Vocabulary | None:
    """The vocabulary that a run on text wrote; None of one on numbered tokens."""
    path = directory.path / "tokenizer.json"
    return Vocabulary.load(path) if path.is_file() else None


def _write(path: Path, samples: Tensor, image_shape: tuple[int, int, int], maximum: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        save_grid(path, samples, image_shape)
        return
    shape = image_shape[1:] if image_shape[0] == 1 else image_shape
    np.save(path, (maximum * samples).round().cpu().numpy().astype(np.uint8).reshape(-1, *shape))
