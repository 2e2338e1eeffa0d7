"""Metrics: functions on tensors, and torchmetrics.Metric classes over batches and processes.

The classes are imported when they are first used, as torchmetrics is of the ``train`` extra.
"""

import importlib.util
from typing import TYPE_CHECKING

from ._extra import train_extra
from .bleu import bleu, self_bleu
from .class_scores import AMScoreResult, ModeScoreResult, am_score, mode_score
from .classifier import (
    ImageClassifier,
    Predictions,
    TrainedClassifier,
    classifier_accuracy,
    load_or_train_classifier,
    predict,
    train_classifier,
)
from .coverage import class_coverage, num_classes_covered
from .diversity import copied_fraction, distinct_n, distinct_samples
from .frechet import GaussianStatistics, frechet_distance, gaussian_statistics
from .inception_score import InceptionScoreResult, inception_score
from .intra_class_ms_ssim import IntraClassSimilarity, intra_class_ms_ssim
from .likelihood import ImportanceWeightedBound, TokenNLLResult, importance_weighted_bound
from .log_ratio import LogRatioFit, fit_log_ratio
from .ngram_divergence import ngram_js
from .precision_recall import PrecisionRecallResult, precision_recall
from .text_frechet import text_frechet

if TYPE_CHECKING:
    from .class_metrics import AMScore, ClassCoverage, InceptionScore, ModeScore
    from .image_metrics import FrechetDistance, IntraClassMSSSIM, PrecisionRecall
    from .sequence_metrics import BLEU, CopiedFraction, DistinctN, DistinctSamples, NgramJS, SelfBLEU, TokenNLL
else:
    _MODULES = {
        "AMScore": "class_metrics",
        "BLEU": "sequence_metrics",
        "ClassCoverage": "class_metrics",
        "CopiedFraction": "sequence_metrics",
        "DistinctN": "sequence_metrics",
        "DistinctSamples": "sequence_metrics",
        "FrechetDistance": "image_metrics",
        "InceptionScore": "class_metrics",
        "IntraClassMSSSIM": "image_metrics",
        "ModeScore": "class_metrics",
        "NgramJS": "sequence_metrics",
        "PrecisionRecall": "image_metrics",
        "SelfBLEU": "sequence_metrics",
        "TokenNLL": "sequence_metrics",
    }

    def __getattr__(name: str) -> object:
        """A metric class, imported when it is asked for."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with train_extra(f"{__name__}.{name}"):
            return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __dir__() -> list[str]:
        """The names of ``__all__`` that there are: completion looks at each, and gives up where one is an error."""
        without = () if importlib.util.find_spec("torchmetrics") else _MODULES
        return [name for name in __all__ if name not in without]


__all__ = [
    "BLEU",
    "AMScore",
    "AMScoreResult",
    "ClassCoverage",
    "CopiedFraction",
    "DistinctN",
    "DistinctSamples",
    "FrechetDistance",
    "GaussianStatistics",
    "ImageClassifier",
    "ImportanceWeightedBound",
    "InceptionScore",
    "InceptionScoreResult",
    "IntraClassMSSSIM",
    "IntraClassSimilarity",
    "LogRatioFit",
    "ModeScore",
    "ModeScoreResult",
    "NgramJS",
    "PrecisionRecall",
    "PrecisionRecallResult",
    "Predictions",
    "SelfBLEU",
    "TokenNLL",
    "TokenNLLResult",
    "TrainedClassifier",
    "am_score",
    "bleu",
    "class_coverage",
    "classifier_accuracy",
    "copied_fraction",
    "distinct_n",
    "distinct_samples",
    "fit_log_ratio",
    "frechet_distance",
    "gaussian_statistics",
    "importance_weighted_bound",
    "inception_score",
    "intra_class_ms_ssim",
    "load_or_train_classifier",
    "mode_score",
    "ngram_js",
    "num_classes_covered",
    "precision_recall",
    "predict",
    "self_bleu",
    "text_frechet",
    "train_classifier",
]
