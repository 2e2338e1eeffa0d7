"""Half precision, autocast and TF32: every function on tensors keeps what its input holds.

Each is compared with itself in float64 on the same rounded numbers, so that the rounding of the input does not count:
what is left is that of float32 arithmetic, and, of a gradient with respect to half-precision input, one last rounding.
"""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence
from torch.utils._python_dispatch import TorchDispatchMode

import discrete_gan.losses
from discrete_gan import estimators, metrics, weights
from discrete_gan._precision import dot, log_sum_exp, matmul, weighted_sum
from discrete_gan.data.palette import to_pixels
from discrete_gan.distributions import Autoregressive, FactorizedBernoulli, FactorizedCategorical, PointMass, bernoulli
from discrete_gan.divergences import DIVERGENCES, FDivergence
from discrete_gan.estimators import Estimator
from discrete_gan.losses import (
    ac_gan,
    am_gan,
    cat_gan,
    class_labels,
    feature_matching,
    gan,
    hinge,
    historical_averaging,
    label_gan,
    least_squares,
    log_ratio,
    penalties,
    semi_supervised,
    softmax_gan,
    unlabeled,
    wasserstein,
)
from discrete_gan.metrics import calibration, likelihood, nearest
from discrete_gan.models import MinibatchDiscrimination, VirtualBatchNorm
from tests.estimators.test_estimators import BINARY_ONLY, EVERY, Z, awake, fresh
from tests.problems import ColumnGenerator, SmoothDiscriminator, seeded_normal

# Rounding of float32, 6e-8, through sums of tens of terms and differences of numbers ten times as large.
TOLERANCE = 2e-5
HALF = [torch.bfloat16, torch.float16]
LABELS = torch.tensor([0, 2, 1, 2])
M, B, D, K = 20, 4, 6, 3
LOG_W, LOG_PROB = seeded_normal(M, B, scale=2), 10 * seeded_normal(M, B, seed=1) - 200
RAW_REAL, RAW_FAKE = seeded_normal(B, scale=3), seeded_normal(7, seed=1, scale=3)
LOGITS, MORE_LOGITS = seeded_normal(B, K + 1, scale=3), seeded_normal(5, K + 1, seed=1, scale=3)
STEPS = seeded_normal(M, B, D, scale=2)
BITS = (seeded_normal(M, B, D) > 0).double()
PAIR = torch.stack([BITS, (seeded_normal(M, B, D, seed=1) > 0).double()])
BIT_LOGITS, CATEGORY_LOGITS = seeded_normal(B, D, scale=5), seeded_normal(B, D, K, scale=5)
CATEGORIES = torch.nn.functional.one_hot(seeded_normal(M, B, D, K).argmax(dim=-1), K).double()
PROBABILITIES = torch.softmax(seeded_normal(50, K), dim=1)
FEATURES, OTHER_FEATURES = seeded_normal(60, D), 1 + seeded_normal(60, D, seed=1)


class Case:
    """A function and its arguments; what is not floating-point, or a constant, stays as it is."""

    def __init__(self, function: Callable[..., Any], *inputs: Any, tolerance: float = TOLERANCE) -> None:
        self.function, self.inputs, self.tolerance = function, inputs, tolerance

    def __call__(
        self, convert: Callable[[Tensor], Tensor], *, autocast: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Results, and the gradients of one mixture of them in the inputs that they reach."""
        inputs = [
            convert(value).requires_grad_() if isinstance(value, Tensor) and value.is_floating_point() else value
            for value in self.inputs
        ]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            results = [value for value in _tensors(self.function(*inputs)) if value.is_floating_point()]
        reached = [value for value in results if value.requires_grad]
        leaves = [value for value in inputs if isinstance(value, Tensor) and value.requires_grad]
        if not reached:
            return results, []
        mixed = [(value.double() * seeded_normal(*value.shape, seed=9)).sum() for value in reached]
        total = torch.stack(mixed).sum()
        gradients = torch.autograd.grad(total, leaves, allow_unused=True)
        return results, [value for value in gradients if value is not None]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif dataclasses.is_dataclass(value):
        yield from _tensors([getattr(value, field.name) for field in dataclasses.fields(value)])
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, float):
        yield torch.tensor(value, dtype=torch.float64)


def of_bits(method: Callable[[FactorizedBernoulli], Any]) -> Case:
    return Case(lambda logits: method(FactorizedBernoulli(logits)), BIT_LOGITS)


def of_categories(method: Callable[[FactorizedCategorical], Any]) -> Case:
    return Case(lambda logits: method(FactorizedCategorical(logits)), CATEGORY_LOGITS)


def r1(x: Tensor) -> Tensor:
    return penalties.gradient_penalty((x * x).sum(dim=1), x)


def streamed(log_w: Tensor, x: Tensor, real_log_w: Tensor) -> tuple[Tensor, ...]:
    """All that a mean of samples in three chunks says."""
    mean = weights.Accumulator(errors=True)
    for chunk in zip(log_w.split(8), x.split(8), strict=True):
        mean.update(*chunk)
    sizes = mean.effective_sample_size, mean.log_partition
    return mean.weighted, mean.plain, mean.standard_error, *sizes, mean.log_total, mean.share_beside(real_log_w)


def averaged(parameter: Tensor) -> Tensor:
    """Distance after 400 steps, of which the last hundred would no longer move a mean in bfloat16."""
    value = torch.nn.Parameter(parameter.detach().clone())
    history = historical_averaging.HistoricalAveraging([value])
    for step in range(400):
        with torch.no_grad():
            value.copy_(parameter + (step > 300))  # small whole numbers, which all types hold
        history.update()
    return history.penalty()


CASES: dict[str, Case] = {
    "weights.normalized_weights": Case(lambda w: weights.normalized_weights(w, zero_sum=True), LOG_W),
    "weights.normalized_weights, batch": Case(lambda w: weights.normalized_weights(w, over="batch"), LOG_W),
    "weights.union_weights": Case(weights.union_weights, LOG_W, RAW_REAL),
    "weights.log_partition": Case(weights.log_partition, LOG_W),
    "weights.effective_sample_size": Case(weights.effective_sample_size, LOG_W),
    "weights.pareto_tail_index": Case(weights.pareto_tail_index, seeded_normal(100, B, scale=3), tolerance=1e-3),
    "weights.importance_loss": Case(weights.importance_loss, LOG_W, LOG_PROB),
    "weights.diagnose": Case(weights.diagnose, LOG_W),
    "weights.Accumulator": Case(streamed, LOG_W, STEPS, RAW_REAL),
    "weights.log_normalized_weights": Case(weights.log_normalized_weights, LOG_W),
    "weights.log_normalized_weights, of densities": Case(
        lambda p, q: weights.log_normalized_weights(log_target=p, log_proposal=q), LOG_PROB, LOG_PROB.flip(0)
    ),
    "weights.log_partition_error": Case(weights.log_partition_error, LOG_W),
    "weights.psis": Case(lambda w: weights.psis(w)[:2], seeded_normal(100, B, scale=3), tolerance=1e-3),
    "weights.truncated": Case(weights.truncated, LOG_W),
    "weights.tempered": Case(lambda w: weights.tempered(w, 15.0), LOG_W),
    "weights.expectation": Case(weights.expectation, STEPS, LOG_W),
    "weights.leave_one_out": Case(weights.leave_one_out, LOG_W, STEPS),
    "weights.resample_if": Case(
        lambda w: weights.resample_if(w, 1.0, generator=torch.Generator().manual_seed(0)).log_w, LOG_W
    ),
    "weights.take": Case(lambda x: weights.take(x, torch.arange(M)[:, None].expand(M, B).flip(0)), STEPS),
    "weights.wake_theta_loss": Case(weights.wake_theta_loss, LOG_PROB, LOG_PROB.flip(0)),
    "weights.wake_phi_loss": Case(weights.wake_phi_loss, LOG_PROB, LOG_PROB.flip(0)),
    "weights.iwae_loss": Case(weights.iwae_loss, LOG_W),
    "weights.dreg_loss": Case(weights.dreg_loss, LOG_W),
    "estimators.boundary_seeking_loss": Case(estimators.boundary_seeking_loss, LOG_W, LOG_PROB),
    "estimators.boundary_seeking_loss, proposal": Case(
        lambda w, p, q: estimators.boundary_seeking_loss(w, p, q, zero_sum=True), LOG_W, LOG_PROB, LOG_PROB + LOG_W
    ),
    "estimators.softmax_boundary_seeking_loss": Case(
        estimators.softmax_boundary_seeking_loss, LOG_W, LOG_PROB, RAW_REAL
    ),
    "estimators.reinforce_loss": Case(lambda r, p: estimators.reinforce_loss(r, p, baseline=0.3), LOG_W, LOG_PROB),
    "estimators.leave_one_out_loss": Case(estimators.leave_one_out_loss, LOG_W, LOG_PROB),
    "estimators.vimco_loss": Case(estimators.vimco_loss, LOG_W, LOG_PROB),
    "estimators.vimco_loss, offset": Case(estimators.vimco_loss, LOG_W + 1e4, LOG_PROB),
    "estimators.arm_gradient": Case(estimators.arm_gradient, LOG_W, LOG_W.flip(0), seeded_normal(M, B, D).sigmoid()),
    "estimators.arms_gradient": Case(estimators.arms_gradient, LOG_W, BITS, -BIT_LOGITS.sigmoid() / 2),
    "estimators.disarm_gradient": Case(estimators.disarm_gradient, LOG_W, LOG_W.flip(0), *PAIR, BIT_LOGITS),
    "estimators.reinmax_gradient": Case(
        lambda s, x, p, t: estimators.reinmax_gradient(s, x, p, t, binary=True),
        *(STEPS, BITS, BIT_LOGITS.sigmoid(), (BIT_LOGITS / 2).sigmoid()),
    ),
    "estimators.discounted_returns": Case(lambda r: estimators.discounted_returns(r, 0.9), STEPS),
    "estimators.stepwise_reinforce_loss": Case(estimators.stepwise_reinforce_loss, STEPS, 2 * STEPS - 5),
    "estimators.stepwise_boundary_seeking_loss": Case(estimators.stepwise_boundary_seeking_loss, STEPS, 2 * STEPS - 5),
    "estimators.straight_through": Case(estimators.straight_through, BITS, BIT_LOGITS.sigmoid()),
    "bernoulli.log_prob": Case(lambda x, logits: FactorizedBernoulli(logits).log_prob(x), BITS, BIT_LOGITS),
    "bernoulli.log_prob, one row": Case(lambda logits: FactorizedBernoulli(logits).log_prob(BITS[0, 0]), BIT_LOGITS[0]),
    "bernoulli.kl_divergence": Case(
        lambda p, q: kl_divergence(FactorizedBernoulli(p), FactorizedBernoulli(q)), BIT_LOGITS, BIT_LOGITS.flip(0)
    ),
    "categorical.kl_divergence": Case(
        lambda p, q: kl_divergence(FactorizedCategorical(p), FactorizedCategorical(q)),
        *(CATEGORY_LOGITS, CATEGORY_LOGITS.flip(0)),
    ),
    "bernoulli.entropy": of_bits(lambda g: g.entropy()),
    "bernoulli.moments": of_bits(lambda g: (g.mean, g.variance)),
    "bernoulli.relax": of_bits(lambda g: g.relax(g.logits, 0.7)),
    "categorical.log_prob": Case(
        lambda x, logits: FactorizedCategorical(logits).log_prob(x), CATEGORIES, CATEGORY_LOGITS
    ),
    "categorical.entropy": of_categories(lambda g: g.entropy()),
    "categorical.moments": of_categories(lambda g: (g.mean, g.variance)),
    "categorical.relax": of_categories(lambda g: g.relax(g.logits, 0.7)),
    "point_mass": Case(lambda x: PointMass(x).rsample((2,)), BIT_LOGITS),
    "losses.gan.discriminator_loss": Case(
        lambda r, f: gan.discriminator_loss(r, f, smoothing_real=0.1, smoothing_fake=0.2), RAW_REAL, RAW_FAKE
    ),
    "losses.gan.minimax_loss": Case(lambda f: gan.minimax_loss(f, smoothing_fake=0.1), RAW_FAKE),
    "losses.gan.non_saturating_loss": Case(lambda f: gan.non_saturating_loss(f, smoothing_real=0.1), RAW_FAKE),
    "losses.gan.generator_loss": Case(gan.generator_loss, RAW_FAKE),
    "losses.gan.log_odds_loss": Case(gan.log_odds_loss, RAW_FAKE),
    "losses.hinge.discriminator_loss": Case(hinge.discriminator_loss, RAW_REAL, RAW_FAKE),
    "losses.hinge.generator_loss": Case(hinge.generator_loss, RAW_FAKE),
    "losses.least_squares.discriminator_loss": Case(least_squares.discriminator_loss, RAW_REAL, RAW_FAKE),
    "losses.least_squares.generator_loss": Case(least_squares.generator_loss, RAW_FAKE),
    "losses.wasserstein.discriminator_loss": Case(wasserstein.discriminator_loss, RAW_REAL, RAW_FAKE),
    "losses.wasserstein.generator_loss": Case(wasserstein.generator_loss, RAW_FAKE),
    "losses.softmax_gan.discriminator_loss": Case(softmax_gan.discriminator_loss, RAW_REAL, RAW_FAKE),
    "losses.softmax_gan.generator_loss": Case(softmax_gan.generator_loss, RAW_REAL, RAW_FAKE),
    "losses.log_ratio.generator_loss": Case(log_ratio.generator_loss, RAW_FAKE),
    "losses.feature_matching.generator_loss": Case(feature_matching.generator_loss, FEATURES, OTHER_FEATURES),
    "losses.historical_averaging": Case(averaged, RAW_REAL.round()),
    "losses.penalties.gradient_penalty": Case(r1, FEATURES),
    "losses.penalties.wgan_gp_penalty": Case(
        lambda real, fake: _seeded(penalties.wgan_gp_penalty, lambda x: (x * x).sum(dim=1), real, fake),
        # Points on the segments are of the data's type: what they are rounded to is the discriminator's input.
        *(FEATURES.sign(), FEATURES.sign()),
    ),
    "losses.penalties.interpolates": Case(
        lambda real, fake: _seeded(penalties.interpolates, real, fake), FEATURES.sign(), FEATURES.sign()
    ),
    "losses.class_labels.relative_logits": Case(class_labels.relative_logits, LOGITS),
    "losses.class_labels.log_sum_exp": Case(class_labels.log_sum_exp, LOGITS),
    "losses.class_labels.real_logit": Case(class_labels.real_logit, LOGITS),
    "losses.class_labels.class_cross_entropy": Case(class_labels.class_cross_entropy, LOGITS, LABELS),
    "losses.class_labels.uniform_cross_entropy": Case(class_labels.uniform_cross_entropy, LOGITS),
    "losses.class_labels.log_mean_probabilities": Case(class_labels.log_mean_probabilities, LOGITS),
    "losses.label_gan.discriminator_loss": Case(
        lambda r, f: label_gan.discriminator_loss(r, LABELS, f, smoothing_fake=0.1), LOGITS, MORE_LOGITS
    ),
    "losses.label_gan.generator_loss": Case(label_gan.generator_loss, LOGITS),
    "losses.am_gan.discriminator_loss": Case(lambda r, f: am_gan.discriminator_loss(r, LABELS, f), LOGITS, MORE_LOGITS),
    "losses.am_gan.generator_loss": Case(lambda f: am_gan.generator_loss(f, LABELS, smoothing_real=0.1), LOGITS),
    "losses.ac_gan.discriminator_loss": Case(
        lambda r, c, f: ac_gan.discriminator_loss(r, c, LABELS, f), RAW_REAL, LOGITS, RAW_FAKE
    ),
    "losses.ac_gan.fake_class_loss": Case(ac_gan.fake_class_loss, LOGITS, LABELS),
    "losses.ac_gan.uniform_class_loss": Case(ac_gan.uniform_class_loss, LOGITS),
    "losses.ac_gan.generator_loss": Case(ac_gan.generator_loss, RAW_REAL, LOGITS, LABELS),
    "losses.cat_gan.discriminator_loss": Case(
        lambda r, f: cat_gan.discriminator_loss(r, f, labels=LABELS), LOGITS, MORE_LOGITS
    ),
    "losses.cat_gan.generator_loss": Case(cat_gan.generator_loss, LOGITS),
    "losses.unlabeled.unlabeled_loss": Case(unlabeled.unlabeled_loss, LOGITS),
    "losses.unlabeled.reference_loss": Case(unlabeled.reference_loss, LOGITS, torch.tensor([0.5, 0.25, 0.25])),
    "losses.semi_supervised.discriminator_loss": Case(
        lambda r, u, f: semi_supervised.discriminator_loss(r, LABELS, u, f), LOGITS, MORE_LOGITS, MORE_LOGITS.flip(0)
    ),
    "losses.semi_supervised.generator_loss": Case(semi_supervised.generator_loss, LOGITS),
    "metrics.gaussian_statistics": Case(metrics.gaussian_statistics, FEATURES),
    "metrics.frechet_distance": Case(
        lambda a, b: metrics.frechet_distance(*metrics.gaussian_statistics(a), *metrics.gaussian_statistics(b)),
        *(FEATURES, OTHER_FEATURES),
    ),
    "metrics.precision_recall": Case(metrics.precision_recall, FEATURES, OTHER_FEATURES),
    "metrics.inception_score": Case(metrics.inception_score, PROBABILITIES),
    "metrics.mode_score": Case(lambda p: metrics.mode_score(p, PROBABILITIES[0]), PROBABILITIES),
    "metrics.am_score": Case(lambda p: metrics.am_score(p, PROBABILITIES[0]), PROBABILITIES),
    "metrics.intra_class_ms_ssim": Case(
        lambda x: metrics.intra_class_ms_ssim(x, torch.arange(8) % 2, num_classes=2, data_range=1.0),
        torch.rand(8, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
    ),
    "metrics.importance_weighted_bound": Case(likelihood.importance_weighted_bound, LOG_W),
    "metrics.fit_calibration": Case(calibration.fit_calibration, RAW_REAL.repeat(9), RAW_FAKE.repeat(9) - 1),
    "metrics.reliability": Case(calibration.reliability, RAW_REAL.repeat(9), RAW_FAKE.repeat(9)),
    "metrics.mean_weight": Case(calibration.mean_weight, RAW_FAKE),
    "metrics.nearest_hamming": Case(nearest.nearest_hamming, BITS.flatten(0, 1), PAIR[1].flatten(0, 1)),
    "palette.to_pixels": Case(lambda x: to_pixels(x, torch.tensor([[0], [127], [255]]).float()), CATEGORIES),
    "product of rows": Case(dot, STEPS, BIT_LOGITS),
    "weighted sum": Case(weighted_sum, LOG_W, STEPS),
    "product": Case(matmul, STEPS, CATEGORY_LOGITS[0]),
    "log_sum_exp": Case(log_sum_exp, LOG_W),
}
for name, divergence in DIVERGENCES.items():
    CASES[f"divergences.{name}"] = Case(divergence.discriminator_loss, RAW_REAL, RAW_FAKE)
    CASES[f"divergences.{name}, log_weight"] = Case(divergence.log_weight, RAW_FAKE)
    if isinstance(divergence, FDivergence):
        # exp(12), and its square, are more than float16 holds.
        CASES[f"divergences.{name}, terms"] = Case(
            # Their gradients are too large for float16 themselves.
            lambda y, each=divergence: (each.activation(y.detach()), each.conjugate(y.detach())),
            torch.tensor([12.0, -12.0, 0.5]).double(),
        )


# Counts, indices, files and networks; compositions of what is above; what states itself that it takes whole numbers.
class Given:
    """A decoder whose hidden vectors, and logits, are those of a table, whatever came before."""

    num_positions, num_categories = D, K
    end: int | None = K - 1

    def __init__(self, table: Tensor) -> None:
        self.table = table

    def initial_state(self, z: Tensor) -> tuple[Tensor, ...]:
        return ()

    def step(self, x: Tensor, z: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        raise NotImplementedError

    def hidden(self, tokens: Tensor, z: Tensor) -> Tensor:
        return self.table.expand(len(tokens), -1, -1)[:, : tokens.shape[1]]

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden


TOKENS = seeded_normal(M, B, D, K, seed=4).argmax(dim=-1)
for temperature in (1.0, 0.7):
    CASES[f"autoregressive.step_log_prob, {temperature}"] = Case(
        lambda table, tau=temperature: Autoregressive(Given(table), torch.zeros(B, 0)).step_log_prob(
            TOKENS, temperature=tau
        ),
        seeded_normal(D, K, scale=5),
    )
CASES["layers.MinibatchDiscrimination"] = Case(
    lambda x: _same(MinibatchDiscrimination(D, 4, 3), x)(x)[:, D:], seeded_normal(B, D)
)
CASES["layers.VirtualBatchNorm"] = Case(
    lambda x, reference: _same(VirtualBatchNorm(D), x)(x, reference=reference),
    *(10 + 0.1 * each for each in (FEATURES, OTHER_FEATURES)),
)


def _same(layer: torch.nn.Module, x: Tensor) -> torch.nn.Module:
    """With the same parameters in float32 or float64, as a layer has whose input autocast made half precision."""
    for parameter in layer.parameters():
        parameter.data = seeded_normal(*parameter.shape, seed=8).float()
    return layer.double() if x.dtype == torch.float64 else layer


NOT_NUMERIC = {
    "weights.resample",
    "weights.tail_index_threshold",
    "estimators.maligan",
    "estimators.scratchgan",
    "estimators.st_gumbel_softmax",
    "estimators.parse_estimator",
    "estimators.adapted",
    "estimators.mixed_loss",
    "losses.class_labels.dynamic_labels",
    "losses.class_labels.check_labels",
    "losses.class_labels.check_logits",
    "metrics.bleu",
    "metrics.class_coverage",
    "metrics.classifier_accuracy",
    "metrics.copied_fraction",
    "metrics.distinct_n",
    "metrics.distinct_samples",
    "metrics.load_or_train_classifier",
    "metrics.ngram_js",
    "metrics.num_classes_covered",
    "metrics.predict",
    "metrics.fit_log_ratio",
    "metrics.self_bleu",
    "metrics.text_frechet",
    "metrics.train_classifier",
}


def _seeded(function: Callable[..., Tensor], *inputs: Any) -> Tensor:
    torch.manual_seed(0)
    return function(*inputs)


def public_functions() -> set[str]:
    """Of the parts that work on tensors, by the names that the battery uses."""
    modules = {"weights": weights, "estimators": estimators, "metrics": metrics}
    for found in pkgutil.iter_modules(discrete_gan.losses.__path__):
        modules[f"losses.{found.name}"] = importlib.import_module(f"discrete_gan.losses.{found.name}")
    names = set()
    for part, module in modules.items():
        exported = getattr(module, "__all__", dir(module))
        functions = ((name, getattr(module, name)) for name in exported if not name.startswith("_"))
        names |= {
            f"{part}.{name}"
            for name, value in functions
            if inspect.isfunction(value)
            and (value.__module__.startswith(module.__name__) or hasattr(module, "__all__"))
        }
    return names


def test_every_public_function_is_in_the_battery() -> None:
    covered = {name.partition(",")[0] for name in CASES}
    assert public_functions() - covered - NOT_NUMERIC == set()
    assert public_functions() >= NOT_NUMERIC


def assert_as_precise(name: str, expected: tuple[list[Tensor], list[Tensor]], got: tuple[list[Tensor], ...]) -> None:
    case = CASES[name]
    for wanted, values in zip(expected, got, strict=True):
        assert len(wanted) == len(values)
        for exact, value in zip(wanted, values, strict=True):
            assert value.isfinite().all() or not exact.isfinite().all()
            size = exact.abs().max().item()
            # A gradient in half-precision input is rounded to its type once; what is handed on in that type, as often
            # as it is used.
            rounding = torch.finfo(value.dtype).eps if value.dtype in HALF else 0.0
            atol = max(case.tolerance, rounding if name in PASSED_ON else 0.0) * size
            torch.testing.assert_close(value.double(), exact.double(), rtol=2 * rounding, atol=atol)


# A value of the data's own type, handed on; not a result.
PASSED_ON = {
    "weights.take",
    "point_mass",
    "layers.VirtualBatchNorm",
    "losses.penalties.interpolates",
    "estimators.straight_through",
}


@pytest.mark.parametrize("dtype", HALF, ids=["bfloat16", "float16"])
@pytest.mark.parametrize("name", CASES)
def test_half_precision_input(name: str, dtype: torch.dtype) -> None:
    case = CASES[name]
    got = case(lambda value: value.to(dtype))
    assert all(value.dtype not in HALF for value in got[0]) or name in PASSED_ON or name.endswith("log_weight")
    assert_as_precise(name, case(lambda value: value.to(dtype).double()), got)


@pytest.mark.parametrize("name", CASES)
def test_autocast(name: str) -> None:
    case = CASES[name]
    expected = case(lambda value: value.float().double())
    got = case(lambda value: value.float(), autocast=True)
    assert all(value.dtype not in HALF for value in got[0])
    assert_as_precise(name, expected, got)


PAIRS = [
    (estimator, event)
    for estimator in EVERY
    for event in ((5,), (3, 4))
    if len(event) == 1 or not isinstance(estimator, BINARY_ONLY)
]


def given_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same random numbers whatever the type, and no draws by bytes."""
    source = torch.Generator().manual_seed(0)

    def uniform(*shape: Any, dtype: torch.dtype = torch.float32, **_: Any) -> Tensor:
        size = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return torch.empty(size, dtype=torch.float64).uniform_(generator=source).to(dtype)

    def exponential(value: Tensor) -> Tensor:
        return value.copy_(-torch.log1p(-uniform(value.shape, dtype=torch.float64)))

    monkeypatch.setattr(torch, "rand", uniform)
    monkeypatch.setattr(Tensor, "exponential_", exponential)
    monkeypatch.setattr(bernoulli, "_bernoulli_from_bytes", lambda probs, shape: uniform(shape).lt(probs).float())


def gradient_of(estimator: Estimator, logits: Tensor, dtype: torch.dtype) -> Tensor:
    """Of a copy of an estimator, with its own networks and the discriminator in the type given."""
    generator = ColumnGenerator(logits.clone())
    discriminator = SmoothDiscriminator(logits.shape[1:]).to(dtype)
    loss = fresh(estimator, dtype)(generator, discriminator, Z)
    assert loss.dtype == dtype
    loss.sum().backward()
    assert generator.logits.grad is not None
    return generator.logits.grad


@pytest.mark.parametrize("dtype", HALF, ids=["bfloat16", "float16"])
@pytest.mark.parametrize(("estimator", "event"), PAIRS, ids=repr)
def test_gradients_of_logits_in_half_precision(
    estimator: Estimator, event: tuple, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Some bits and categories are all but decided: their gradients are small, and half precision would have none.
    logits, estimator = seeded_normal(3, *event, scale=4).to(dtype), awake(estimator, event)
    gradients = []
    for value, of_networks in ((logits, torch.float32), (logits.double(), torch.float64)):
        given_draws(monkeypatch)
        gradients.append(gradient_of(estimator, value, of_networks).double())
    found, expected = gradients
    torch.testing.assert_close(
        found, expected, rtol=2 * torch.finfo(dtype).eps, atol=3e-5 * expected.abs().max().item()
    )


class FewerBits(TorchDispatchMode):
    """Matrix products of float32 as hardware does them that is allowed TF32: operands of fewer bits."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm, torch.ops.aten.addmm):
            args = [value.bfloat16().float() if value.dtype == torch.float32 else value for value in args]
        return func(*args, **(kwargs or {}))


@contextmanager
def fewer_bits() -> Iterator[None]:
    torch.set_float32_matmul_precision("high")
    try:
        with FewerBits():
            yield
    finally:
        torch.set_float32_matmul_precision("highest")


def test_fewer_bits_would_show() -> None:
    a, b = torch.randn(5, 7), torch.randn(7, 3)
    with fewer_bits():
        assert (a @ b - (a.double() @ b.double())).abs().max() > 1e-3


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("metrics")])
def test_products_of_fewer_bits_are_not_used(name: str) -> None:
    case = CASES[name]
    expected = case(lambda value: value.float().double())
    with fewer_bits():
        got = case(lambda value: value.float())
    assert_as_precise(name, expected, got)
