"""Metrics: functions on tensors, and torchmetrics.Metric classes over batches and processes."""

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
from .frechet import FrechetDistance, GaussianStatistics, frechet_distance, gaussian_statistics
from .image_scores import ImageScorer, ImageScores, image_scores
from .inception_score import InceptionScore, InceptionScoreResult, inception_score

__all__ = [
    "ClassCoverage",
    "FrechetDistance",
    "GaussianStatistics",
    "ImageClassifier",
    "ImageScorer",
    "ImageScores",
    "InceptionScore",
    "InceptionScoreResult",
    "Predictions",
    "TrainedClassifier",
    "class_coverage",
    "classifier_accuracy",
    "frechet_distance",
    "gaussian_statistics",
    "image_scores",
    "inception_score",
    "load_or_train_classifier",
    "num_classes_covered",
    "predict",
    "train_classifier",
]
