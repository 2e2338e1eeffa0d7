"""Metrics: functions on tensors, and torchmetrics.Metric classes over batches and processes."""

from .bleu import BLEU, SelfBLEU, bleu, self_bleu
from .class_scores import AMScore, AMScoreResult, ModeScore, ModeScoreResult, am_score, mode_score
from .classifier import (
    ImageClassifier,
    Predictions,
    TrainedClassifier,
    classifier_accuracy,
    load_or_train_classifier,
    predict,
    train_classifier,
)
from .coverage import ClassCoverage, class_coverage, num_classes_covered
from .diversity import CopiedFraction, DistinctN, DistinctSamples, copied_fraction, distinct_n, distinct_samples
from .frechet import FrechetDistance, GaussianStatistics, frechet_distance, gaussian_statistics
from .image_scores import ImageScorer, ImageScores, image_scores
from .inception_score import InceptionScore, InceptionScoreResult, inception_score
from .intra_class_ms_ssim import IntraClassMSSSIM, IntraClassSimilarity, intra_class_ms_ssim
from .likelihood import ImportanceWeightedBound, TokenNLL, TokenNLLResult, importance_weighted_bound
from .ngram_divergence import NgramJS, ngram_js
from .precision_recall import PrecisionRecall, PrecisionRecallResult, precision_recall
from .text_frechet import text_frechet
from .text_scores import TextScorer, TextScores

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
    "ImageScorer",
    "ImageScores",
    "ImportanceWeightedBound",
    "InceptionScore",
    "InceptionScoreResult",
    "IntraClassMSSSIM",
    "IntraClassSimilarity",
    "ModeScore",
    "ModeScoreResult",
    "NgramJS",
    "PrecisionRecall",
    "PrecisionRecallResult",
    "Predictions",
    "SelfBLEU",
    "TextScorer",
    "TextScores",
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
    "frechet_distance",
    "gaussian_statistics",
    "image_scores",
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
