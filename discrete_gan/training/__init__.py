"""What a recipe needs around its method: run, players, options, diagnostics."""

from discrete_gan.sampling import evaluating, generate, num_classes_of
from discrete_gan.seeds import derive_seed, seeded
from discrete_gan.training.apart import Apart
from discrete_gan.training.average import MovingAverage
from discrete_gan.training.diagnostics import diagnostics
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.options import (
    DecayOptions,
    EstimatorOptions,
    LossOptions,
    NetworkOptions,
    PhaseOptions,
    Precision,
    RunOptions,
    SequenceOptions,
    StepOptions,
)
from discrete_gan.training.player import Player, linear_decay, phased_decay
from discrete_gan.training.run import Run

__all__ = [
    "Apart",
    "DecayOptions",
    "EstimatorOptions",
    "LossOptions",
    "MovingAverage",
    "NetworkOptions",
    "PhaseOptions",
    "Player",
    "Precision",
    "Run",
    "RunDirectory",
    "RunOptions",
    "SequenceOptions",
    "StepOptions",
    "derive_seed",
    "diagnostics",
    "evaluating",
    "generate",
    "linear_decay",
    "num_classes_of",
    "phased_decay",
    "seeded",
]
