r"""Classifier two-sample test: can a classifier that is trained to do so tell generated samples from real ones?

References:
    Revisiting Classifier Two-Sample Tests (Lopez-Paz and Oquab, 2017), https://arxiv.org/abs/1610.06545
"""

import warnings
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.metrics._extra import train_extra
from discrete_gan.metrics.bootstrap import Interval, mean_interval
from discrete_gan.seeds import generator_of, word_seed

FEWEST = 20  # per side: the default classifier stops by a tenth of its half, and needs one of each side in it


class Classifier(Protocol):
    """What scikit-learn's classifiers do: labels and predictions are 1 for real and 0 for fake, shape (N,)."""

    def fit(self, features: np.ndarray, labels: np.ndarray, /) -> Any:
        """Train on features of shape (N, F)."""
        ...

    def predict(self, features: np.ndarray, /) -> Any:
        """Labels of features of shape (N, F)."""
        ...


class TwoSampleTest(NamedTuple):
    """How well the sides are told apart.

    Attributes:
        accuracy: On the held-out halves; 0.5 if both sides are of one distribution, 1 if they never overlap.
        p_value: Probability of such an accuracy or a higher one if they are of one distribution.
        num_held_out: Samples that ``accuracy`` counts, of both sides together.
    """

    accuracy: Interval
    p_value: float
    num_held_out: int


def classifier_two_sample_test(
    real: Tensor, fake: Tensor, *, classifier: Classifier | None = None, seed: int = 0
) -> TwoSampleTest:
    r"""Train a classifier on half of each side, and count its successes on the other half.

    The p-value is exact: if both sides are of one distribution, every assignment of m real and m fake labels to the
    2m held-out samples is as likely as any other, so of the a samples that are called real the number H that are is
    hypergeometric,

    .. math:: p = P(H \ge h), \qquad H \sim \text{Hypergeometric}(2m, m, a), \qquad
              \text{accuracy} = \frac{m - a + 2 h}{2 m}

    about normal with mean 1/2 and variance 1/(8m) in accuracy. It assumes that samples are independent. A high p-value
    says no more than that this classifier found nothing in so many samples, and the accuracy grows with them, so only
    values at equal N and of one classifier compare.

    Args:
        real: Features or pixels, shape (N, F), any real type.
        fake: Shape (N', F). The larger side is cut to the smaller at random.
        classifier: Anything with ``fit`` and ``predict``; it is left fitted. By default scikit-learn's multilayer
            perceptron, 100 hidden units with early stopping, on standardized features: two seconds on one core for
            2 x 5,000 samples of 784 bits.
        seed: Of the cut, the halves and the default classifier; the caller's random state is left as it was.

    Returns:
        Accuracy with its bootstrap interval (of the held-out samples, with the classifier as it is) and the p-value.

    Raises:
        ValueError: If the shapes do not fit together, a value is not finite, or a side has fewer than 20 samples.
    """
    with train_extra("classifier_two_sample_test"):
        import scipy.stats  # noqa: F401 - what comes after the training
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    for name, samples in (("real", real), ("fake", fake)):
        if samples.ndim != 2:
            raise ValueError(f"{name}: expected shape (N, F), got {tuple(samples.shape)}")
        check_at_least(f"number of {name}", len(samples), FEWEST)
        if not samples.isfinite().all():
            raise ValueError(f"{name}: expected finite values, got NaN or infinity")
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"fake: expected {real.shape[1]} per row as in real, got {fake.shape[1]}")
    generator = generator_of(seed)
    size = min(len(real), len(fake))
    sides = [
        samples.detach().cpu()[torch.randperm(len(samples), generator=generator)[:size]] for samples in (real, fake)
    ]
    num_train = size // 2
    train = torch.cat([side[:num_train] for side in sides]).float().numpy()
    held_out = torch.cat([side[num_train:] for side in sides]).float().numpy()
    # Any, since pyright takes the pipeline's methods, which depend on its steps, for attributes.
    model: Any = classifier
    if model is None:
        model = make_pipeline(StandardScaler(), MLPClassifier(early_stopping=True, random_state=word_seed(seed)))
    with warnings.catch_warnings():
        # A test with a classifier that could have been better is still a test.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train, np.repeat([1, 0], num_train))
    called_real = torch.as_tensor(model.predict(held_out)).cpu() == 1
    num_each = size - num_train
    is_real = torch.arange(2 * num_each) < num_each
    p_value = exact_p_value(called_real, is_real)
    return TwoSampleTest(mean_interval(called_real == is_real, seed=seed), p_value, 2 * num_each)


def exact_p_value(called_real: Tensor, is_real: Tensor) -> float:
    r"""Probability of as many hits or more if labels and calls have nothing to do with each other.

    Of m real and m' fake samples a are called real; the real ones among them are
    :math:`\text{Hypergeometric}(m + m', m, a)`.

    Args:
        called_real: Of held-out samples, bool, shape (N,).
        is_real: Their labels, bool, shape (N,), on the same device.
    """
    with train_extra("exact_p_value"):
        from scipy.stats import hypergeom
    hits = int((called_real & is_real).sum())
    # sf is above, hence one less for "at least".
    return float(hypergeom.sf(hits - 1, len(is_real), int(is_real.sum()), int(called_real.sum())))
