"""Debiasing samples of a model that is not ours: scikit-learn's mixture of Gaussians, of which there are samples alone.

Each sample gets its log-ratio from a network that has not seen it; any mean over samples becomes a weighted one. For
images and text in files `discrete-gan weigh` does the same.

python docs/examples/debias.py
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from torch import Tensor

from discrete_gan.metrics import LogRatioFit, fit_log_ratio
from discrete_gan.weights import expectation

NUM_NUMBERS, NUM_COMPONENTS = 6, 10


def real_and_foreign(num: int) -> tuple[Tensor, Tensor, LogisticRegression]:
    """Digits as rows of a few numbers, samples of a model that saw too few high ones, and a classifier to judge by."""
    digits, labels = load_digits(return_X_y=True)
    rows = PCA(NUM_NUMBERS, whiten=True, random_state=0).fit_transform(digits)
    seen = (labels < 5) | (np.random.RandomState(0).rand(len(labels)) < 0.3)
    foreign, _ = GaussianMixture(NUM_COMPONENTS, random_state=0).fit(rows[seen]).sample(num)
    judge = LogisticRegression().fit(rows, labels)
    return torch.from_numpy(rows).float(), torch.from_numpy(foreign).float(), judge


def main(num: int = 4000, num_folds: int = 5) -> tuple[float, float, LogRatioFit]:
    """Print, and return how wrong the classes of the samples are, before and after: half the sum of the differences."""
    real, foreign, judge = real_and_foreign(num)
    fit = fit_log_ratio(real, foreign, num_folds=num_folds)
    print(fit.verdict)

    def classes(rows: Tensor) -> Tensor:
        return torch.from_numpy(judge.predict_proba(rows.numpy()))

    wanted, before = classes(real).mean(dim=0), classes(foreign).mean(dim=0)
    after, error = expectation(classes(foreign), fit.log_w)
    for digit, row in enumerate(zip(wanted, before, after, error, strict=True)):
        print(
            f"digit {digit}: {row[0]:.3f} of real ones, {row[1]:.3f} of samples, weighted {row[2]:.3f} +- {row[3]:.3f}"
        )
    wrong = [((of - wanted).abs().sum() / 2).item() for of in (before, after)]
    print(f"wrong by {wrong[0]:.3f} before and {wrong[1]:.3f} after")
    return wrong[0], wrong[1], fit


if __name__ == "__main__":
    main()
