"""What a recipe needs around its method: run, random streams, sampling, diagnostics."""

from discrete_gan.training.average import MovingAverage
from discrete_gan.training.diagnostics import diagnostics
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.options import (
    ImageOptions,
    Precision,
    RunOptions,
    SequenceOptions,
    TextOptions,
    check_options,
    check_sequence_options,
)
from discrete_gan.training.run import Run
from discrete_gan.training.sampling import evaluating, generate, num_classes_of
from discrete_gan.training.seeds import derive_seed, seeded
from discrete_gan.training.trial import try_estimator

__all__ = [
    "ImageOptions",
    "MovingAverage",
    "Precision",
    "Run",
    "RunDirectory",
    "RunOptions",
    "SequenceOptions",
    "TextOptions",
    "check_options",
    "check_sequence_options",
    "derive_seed",
    "diagnostics",
    "evaluating",
    "generate",
    "num_classes_of",
    "seeded",
    "try_estimator",
]
