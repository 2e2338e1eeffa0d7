"""Exact study of gradient estimators on problems small enough to enumerate, and a probe for real runs."""

from discrete_gan.lab.analysis import Analysis, analyze, with_num_samples
from discrete_gan.lab.discriminators import DISCRIMINATORS, Oracle, TrainedNetwork, Wrong
from discrete_gan.lab.problems import PROBLEMS, Divergences, Problem, ProductMixture
from discrete_gan.lab.training import Curve, train

__all__ = [
    "DISCRIMINATORS",
    "PROBLEMS",
    "Analysis",
    "Curve",
    "Divergences",
    "Oracle",
    "Problem",
    "ProductMixture",
    "TrainedNetwork",
    "Wrong",
    "analyze",
    "train",
    "with_num_samples",
]
