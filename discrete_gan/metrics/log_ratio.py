r"""Log-ratios of two sets of samples of any kind, by networks that are trained to tell them apart.

References:
    Noise-Contrastive Estimation (Gutmann and Hyvarinen, 2010), https://proceedings.mlr.press/v9/gutmann10a.html
    Double/Debiased Machine Learning (Chernozhukov et al., 2018), https://arxiv.org/abs/1608.00060, for cross-fitting
    Bias Correction of Learned Generative Models using Likelihood-Free Importance Weighting (Grover et al., 2019),
        https://arxiv.org/abs/1906.09531
    Multiple Data Splitting for Testing (Romano and DiCiccio, 2019), Technical Report 2019-03,
        https://statistics.stanford.edu
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from discrete_gan._arguments import check_at_least, check_positive, check_tensor
from discrete_gan.metrics._extra import train_extra
from discrete_gan.metrics.bootstrap import Interval
from discrete_gan.metrics.calibration import CalibrationFit, discriminator_accuracy, fit_calibration, mean_weight
from discrete_gan.metrics.two_sample import FEWEST, TwoSampleTest, exact_p_value
from discrete_gan.models import MLPDiscriminator, TransformerDiscriminator
from discrete_gan.sampling import evaluating
from discrete_gan.seeds import seeded
from discrete_gan.weights import WeightDiagnostics, diagnose, tail_index_threshold

_CHECKED_EVERY = 20  # steps at least: on small sets, passes over the data are shorter than what they change
_PATIENCE = 5  # checks without a better one
_LEVEL = 0.05
_LEAST_EFFECTIVE = 0.05  # of the samples
_OF_ONE = 0.1  # share of the level
_LEAST_REACH = 0.9  # mean weight, below which the verdict speaks of what is missing


class LogRatioFit(NamedTuple):
    """What :func:`fit_log_ratio` returns.

    Attributes:
        log_w: Calibrated log p_real / p_generated of each generated sample in nats, of a network that did not see it,
            shape (N',), float32 on the device of the samples.
        log_w_real: Of each real sample, shape (N,).
        calibration: What was made of the raw outputs; scale 1 and offset 0 where they were log-ratios already.
        test: Whether the sides can be told apart at all: balanced accuracy of the raw outputs, and its p-value.
        diagnostics: Of ``log_w``, as of ``weights.diagnose``.
        mean_weight: Of the generated samples, with its interval: 1 where they reach all that is real, less by the part
            of it where there are none of them. What is missing no weight brings back.
        verdict: One line in plain words.
    """

    log_w: Tensor
    log_w_real: Tensor
    calibration: CalibrationFit
    test: TwoSampleTest
    diagnostics: WeightDiagnostics
    mean_weight: Interval
    verdict: str


def fit_log_ratio(
    real: Tensor,
    generated: Tensor,
    *,
    network: Callable[[], nn.Module] | None = None,
    num_folds: int = 5,
    max_steps: int = 5000,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: Callable[[float], object] = lambda done: None,
) -> LogRatioFit:
    r"""Density ratio of two sets of samples, each sample's from a network that was not trained on it.

    Both sides are cut into folds; for each fold a network is trained on the others, until its cross entropy on a tenth
    of them that it does not see no longer falls, and gives the raw outputs d(x) of the fold:

    .. math:: \min_d \tfrac{1}{2} E_\text{real}[\operatorname{softplus}(-d)]
              + \tfrac{1}{2} E_\text{generated}[\operatorname{softplus}(d)],
              \qquad d^* = \log \frac{p_\text{real}}{p_\text{generated}}

    whatever the sizes of the sides. Outputs are calibrated, ``scale * d + offset``; where the sides are told apart
    without an error no scale is finite, and they stay as they are; where it is below 0 they tell nothing, and all
    log-ratios are 0. The price is a training per fold.

    The p-value is valid at any size: in each fold, given the network, labels are exchangeable if both sides are of one
    distribution, so the number of hits is hypergeometric; networks share samples, so the p-values of the folds depend
    on each other, and K folds are combined, see :func:`combined`. It assumes that samples are
    independent. The price is power: a difference has to show in a fold by itself, so where it is slight
    ``classifier_two_sample_test`` needs about a third of the samples to find it.

    Args:
        real: Samples of what is wanted, shape (N, *event), at least 20: rows or flat images of any numbers, or tokens,
            int64 of shape (N, D).
        generated: Samples of what there is, shape (N', *event), of the same kind and device.
        network: Makes a network, untrained and anew for each fold, from samples (N, *event) to raw outputs (N,). By
            default of tokens a transformer of one layer, else a multilayer perceptron on standardized numbers.
        num_folds: From 2 to the samples of a side.
        max_steps: Of each training.
        batch_size: Samples of each side per step.
        learning_rate: Of Adam.
        seed: Of folds, initial weights and batches; the caller's random state is left as it was.
        progress: Is told what part of the work is done, from 0 to 1, now and then.

    Returns:
        :class:`LogRatioFit`, without gradient. Nothing is read from the device within a step.

    Raises:
        ValueError: If shapes, types or devices do not fit together, a side has fewer than 20 samples, a value is not
            finite, a token is negative, or an option is out of its range.
    """
    with train_extra("fit_log_ratio"):  # which what comes after the training needs
        import sklearn.linear_model  # noqa: F401
    sides = _checked(real, generated)
    check_at_least("num_folds", num_folds, 2)
    size = min(map(len, sides))
    if num_folds > size:
        raise ValueError(f"num_folds: expected at most as many as samples of a side, {size}, got {num_folds}")
    for name, value in {"max_steps": max_steps, "batch_size": batch_size}.items():
        check_at_least(name, value, 1)
    check_positive("learning_rate", learning_rate)
    make = network or _default_network(*sides)

    raw = [torch.zeros(len(side), device=side.device) for side in sides]
    p_values: list[float] = []
    fold_of = [_folds(len(side), num_folds, seed, which) for which, side in enumerate(sides)]
    for fold in range(num_folds):
        apart, others = (
            [chosen.nonzero()[:, 0].to(real.device) for chosen in which]
            for which in ([of == fold for of in fold_of], [of != fold for of in fold_of])
        )
        with seeded(seed, "log ratio", fold):
            trained = make().to(real.device)
            for step in _train(trained, sides, others, max_steps, batch_size, learning_rate):
                progress((fold + step / max_steps) / num_folds)
        for side, index, kept in zip(sides, apart, raw, strict=True):
            kept[index] = _outputs(trained, side[index], batch_size)
        p_values.append(_p_value(*(of[index] for of, index in zip(raw, apart, strict=True))))
        progress((fold + 1) / num_folds)

    calibration = fit_calibration(*raw)
    scale, offset = calibration.usable
    log_w_real, log_w = (scale * of + offset for of in raw)
    test = TwoSampleTest(discriminator_accuracy(*raw), combined(p_values), len(real) + len(generated))
    diagnostics = diagnose(log_w)
    mean = mean_weight(log_w, seed=seed)
    return LogRatioFit(
        log_w=log_w,
        log_w_real=log_w_real,
        calibration=calibration,
        test=test,
        diagnostics=diagnostics,
        mean_weight=mean,
        verdict=_verdict(test, diagnostics, mean, len(generated)),
    )


def _train(
    network: nn.Module, sides: list[Tensor], others: list[Tensor], max_steps: int, batch_size: int, learning_rate: float
) -> Iterator[int]:
    """Train on samples of the given places until a tenth of them says so; the number of the step after each check."""
    others = [index[torch.randperm(len(index)).to(index.device)] for index in others]
    held_out = [side[index[: max(1, len(index) // 10)]] for side, index in zip(sides, others, strict=True)]
    seen = [index[max(1, len(index) // 10) :] for index in others]
    batch_size = min(batch_size, *map(len, seen))
    between = max(_CHECKED_EVERY, max(map(len, seen)) // batch_size)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    best, best_state, since = math.inf, copy.deepcopy(network.state_dict()), 0
    for first in range(0, max_steps, between):
        num = min(between, max_steps - first)
        # Drawn for all steps up to the next check, so that none waits for a copy.
        order = [index[_passes(len(index), num * batch_size).to(index.device)].view(num, -1) for index in seen]
        network.train()
        for rows in zip(*order, strict=True):
            loss = _cross_entropy(*_joint(network, [side[row] for side, row in zip(sides, rows, strict=True)]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        value = _cross_entropy(*(_outputs(network, side, batch_size) for side in held_out)).item()
        since += 1
        if value < best:
            best, best_state, since = value, copy.deepcopy(network.state_dict()), 0
        yield first + num
        if since == _PATIENCE:
            break
    network.load_state_dict(best_state)


def _passes(num: int, total: int) -> Tensor:
    """Places below ``num``, ``total`` of them: one random order after another."""
    return torch.cat([torch.randperm(num) for _ in range(math.ceil(total / num))])[:total]


def _joint(network: nn.Module, sides: list[Tensor]) -> tuple[Tensor, ...]:
    """Raw outputs of both sides as one batch, as batch norm has to see them: its statistics would tell them apart."""
    return network(torch.cat(sides)).float().split([len(side) for side in sides])


def _cross_entropy(real: Tensor, generated: Tensor) -> Tensor:
    return (F.softplus(-real).mean() + F.softplus(generated).mean()) / 2


def _outputs(network: nn.Module, samples: Tensor, batch_size: int) -> Tensor:
    with torch.no_grad(), evaluating(network):
        outputs = torch.cat([network(part).float() for part in samples.split(2 * batch_size)])
    if outputs.shape != samples.shape[:1]:
        expected = f"raw outputs of shape {tuple(samples.shape[:1])}"
        raise ValueError(f"network: expected {expected} of samples {tuple(samples.shape)}, got {tuple(outputs.shape)}")
    return outputs


def combined(p_values: Sequence[float]) -> float:
    r"""One p-value of K that may depend on each other in any way: the less of two bounds, each over its share.

    .. math:: \min\big(10\, K p_{(1)},\; \tfrac{10}{9} \tfrac{K}{m} p_{(m)}\big), \qquad m = \lceil K / 2 \rceil

    The first finds what a single network has found, the second what most of them find a little of. Each holds by itself
    (Bonferroni, Rueger), and tests at shares of the level, a tenth and nine tenths, hold it together.
    """
    found, middle = sorted(p_values), math.ceil(len(p_values) / 2)
    of_one, of_most = len(found) * found[0], len(found) / middle * found[middle - 1]
    return min(1.0, of_one / _OF_ONE, of_most / (1 - _OF_ONE))


def _p_value(real: Tensor, generated: Tensor) -> float:
    is_real = torch.arange(len(real) + len(generated)) < len(real)
    return exact_p_value(torch.cat([real, generated]).cpu() > 0, is_real)


def _folds(size: int, num_folds: int, seed: int, side: int) -> Tensor:
    """The fold of each sample, as many in one as in another but for one."""
    with seeded(seed, "folds", side):
        return torch.randperm(size) % num_folds


def _checked(real: Tensor, generated: Tensor) -> list[Tensor]:
    for name, side in {"real": real, "generated": generated}.items():
        check_tensor(name, side)
        if side.ndim < 2 or side[:1].numel() == 0 or side.is_complex():
            raise ValueError(f"{name}: expected numbers of shape (N, *event), got {side.dtype} {tuple(side.shape)}")
        check_at_least(f"number of {name}", len(side), FEWEST)
        if not side.isfinite().all():
            raise ValueError(f"{name}: expected finite values, got NaN or infinity")
    kinds: list[dict[str, Any]] = [
        {"samples of shape": tuple(side.shape[1:]), "type": side.dtype, "device": side.device}
        for side in (real, generated)
    ]
    for what, expected in kinds[0].items():
        if kinds[1][what] != expected:
            raise ValueError(f"generated: expected {what} {expected}, as of real, got {kinds[1][what]}")
    return [real.detach(), generated.detach()]


def _default_network(real: Tensor, generated: Tensor) -> Callable[[], nn.Module]:
    samples = torch.cat([real, generated])
    if samples.dtype != torch.int64 or samples.ndim != 2:
        return lambda: _OfNumbers(samples)
    if samples.min() < 0:
        raise ValueError("real, generated: int64 is taken for tokens, expected from 0, got a negative one: pass floats")
    num_categories = 1 + int(samples.max())
    return lambda: TransformerDiscriminator(num_categories, samples.shape[1], end=None, num_layers=1)


class _OfNumbers(nn.Module):
    """A multilayer perceptron on numbers of any scale: standardized, and those far out drawn in.

    Args:
        samples: Of both sides, whose labels do not count, shape (N, *event).
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, samples: Tensor) -> None:
        super().__init__()
        rows = samples.flatten(1).float()
        spread, mean = torch.std_mean(rows, dim=0, correction=0)
        self.register_buffer("mean", mean)
        self.register_buffer("spread", torch.where(spread > 0, spread, 1.0))
        self.layers = MLPDiscriminator(rows.shape[1], hidden=(256, 128))

    def forward(self, x: Tensor) -> Tensor:
        """Samples (N, *event) to raw outputs (N,)."""
        return self.layers(((x.flatten(1).float() - self.mean) / self.spread).asinh())


def _verdict(test: TwoSampleTest, diagnostics: WeightDiagnostics, mean: Interval, num: int) -> str:
    k, threshold = diagnostics.pareto_tail_index.item(), tail_index_threshold(num)
    if test.p_value > _LEVEL:
        return f"these networks cannot tell the sides apart (p = {test.p_value:.2g}): leave the samples as they are"
    if mean.high < _LEAST_REACH:
        lacking = f"about {100 * (1 - mean.value):.0f} % of what is real lies where there are no samples"
        return f"weights are not enough: {lacking}, which they cannot bring back"
    if k > threshold:
        return f"do not trust weighted means: a few samples have the weight (k = {k:.2f}, above {threshold:.2f})"
    size = diagnostics.effective_sample_size.item()
    if size < _LEAST_EFFECTIVE * num:
        return f"a few samples have most of the weight: weighted means are as rough as those of {size:,.0f} of {num:,}"
    return f"weights can be used: these samples are worth {size:,.0f} of {num:,}"
