"""Losses on data without labels, and what all losses with classes share: shifts, float32, and errors."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from discrete_gan.losses import ac_gan, am_gan, cat_gan, label_gan, semi_supervised
from discrete_gan.losses.class_labels import (
    check_labels,
    class_cross_entropy,
    dynamic_labels,
    log_mean_probabilities,
    log_sum_exp,
    real_logit,
    relative_logits,
    uniform_cross_entropy,
)
from discrete_gan.losses.unlabeled import reference_loss, unlabeled_loss
from tests.problems import assert_exact, seeded_normal

K = 3
REAL, FAKE, MORE = (seeded_normal(n, K + 1, seed=n, scale=2) for n in (5, 4, 6))
LABELS, TARGETS = torch.tensor([0, 2, 1, 2, 0]), torch.tensor([1, 0, 2, 1])
REFERENCE = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def gradients(loss: Callable[..., Tensor], *logits: Tensor) -> list[Tensor]:
    leaves = [given.clone().requires_grad_() for given in logits]
    return list(torch.autograd.grad(loss(*leaves).sum(), leaves))


def test_cat_gan_by_hand() -> None:
    real = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]
    fake = [[0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [0.2, 0.6, 0.2]]

    def entropy(p: list[float]) -> float:
        return -sum(value * math.log(value) for value in p)

    of_real = 1.5 * math.log(2)  # of each
    of_mean = entropy([0.375, 0.375, 0.25])
    of_fake = (entropy(fake[0]) + 2 * entropy(fake[1])) / 3
    shift = torch.tensor([[3.0], [-2.0], [0.5]], dtype=torch.float64)
    real_logits, fake_logits = (torch.tensor(p, dtype=torch.float64).log() + shift[: len(p)] for p in (real, fake))
    loss = cat_gan.discriminator_loss(real_logits, fake_logits)
    assert loss.item() == pytest.approx(of_real - of_mean - of_fake, rel=1e-12)
    loss = cat_gan.generator_loss(fake_logits)
    assert loss.item() == pytest.approx(of_fake - entropy([0.4, 0.3, 0.3]), rel=1e-12)
    labeled = cat_gan.discriminator_loss(real_logits, fake_logits, labels=torch.tensor([0, 2]))
    assert labeled.item() == pytest.approx(of_real - of_mean - of_fake + 1.5 * math.log(2), rel=1e-12)


def test_cat_gan_against_probabilities() -> None:
    def conditional(logits: Tensor) -> Tensor:
        p = logits.softmax(dim=1)
        return -(p * p.log()).sum() / len(p)

    def marginal(logits: Tensor) -> Tensor:
        p = logits.softmax(dim=1).mean(dim=0)
        return -(p * p.log()).sum()

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        return conditional(real) - marginal(real) - conditional(fake)

    def generator(fake: Tensor) -> Tensor:
        return conditional(fake) - marginal(fake)

    assert_exact(cat_gan.discriminator_loss(REAL, FAKE), discriminator(REAL, FAKE))
    assert_exact(gradients(cat_gan.discriminator_loss, REAL, FAKE), gradients(discriminator, REAL, FAKE))
    assert_exact(cat_gan.generator_loss(FAKE), generator(FAKE))
    assert_exact(gradients(cat_gan.generator_loss, FAKE), gradients(generator, FAKE))
    # Minus the mutual information of sample and class, as in equation 40.
    p = FAKE.softmax(dim=1)
    assert_exact(cat_gan.generator_loss(FAKE), -(p * (p / p.mean(dim=0)).log()).sum() / 4)
    labeled = cat_gan.discriminator_loss(REAL, FAKE, labels=LABELS)
    assert_exact(labeled, discriminator(REAL, FAKE) + class_cross_entropy(REAL, LABELS).mean())


def test_cat_gan_at_its_least() -> None:
    clear, unclear = 100 * torch.eye(K).double(), torch.zeros(4, K).double()
    assert cat_gan.discriminator_loss(clear, unclear).item() == pytest.approx(-2 * math.log(K))
    assert cat_gan.generator_loss(clear).item() == pytest.approx(-math.log(K))
    assert cat_gan.generator_loss(clear[:1].expand(5, -1)).item() == pytest.approx(0, abs=1e-12)
    assert cat_gan.generator_loss(unclear).item() == pytest.approx(0, abs=1e-12)


def test_cat_gan_without_samples_of_a_class() -> None:
    """The class's mean probability is 0: it adds nothing to the entropies or their gradients."""
    two = REAL[:, :2]
    three = torch.cat([two, torch.full((5, 1), -2000)], dim=1)
    assert_exact(cat_gan.generator_loss(three), cat_gan.generator_loss(two))
    (expected,) = gradients(cat_gan.generator_loss, two)
    assert_exact(gradients(cat_gan.generator_loss, three)[0], torch.nn.functional.pad(expected, (0, 1)))


def test_unlabeled_by_hand() -> None:
    # The generated class is the likeliest of the first sample, and never the label.
    d = torch.tensor([[0.1, 0.3, 0.2, 0.4], [0.6, 0.1, 0.1, 0.2]], dtype=torch.float64)
    assert_exact(unlabeled_loss(d.log()), torch.tensor(-(math.log(0.3) + math.log(0.6)) / 2, dtype=torch.float64))
    expected = am_gan.generator_loss(REAL, dynamic_labels(REAL, K)).mean()
    assert_exact(unlabeled_loss(REAL), expected)
    (gradient,) = gradients(unlabeled_loss, d.log())
    assert_exact(gradient, (d - torch.eye(4).double()[[1, 0]]) / 2)


def test_reference_by_hand() -> None:
    # The mean of D is (0.5, 0.2, 0.1, 0.2), of which the real classes have (5, 2, 1) / 8.
    d = torch.tensor([[0.2, 0.3, 0.1, 0.4], [0.8, 0.1, 0.1, 0.0]], dtype=torch.float64)
    expected = -(0.5 * math.log(5 / 8) + 0.3 * math.log(2 / 8) + 0.2 * math.log(1 / 8))
    assert reference_loss(d.log().clamp_min(-1000), REFERENCE).item() == pytest.approx(expected, rel=1e-12)


def test_reference_against_probabilities() -> None:
    def shares(logits: Tensor) -> Tensor:
        mean = logits.softmax(dim=1).sum(dim=0)[:K]
        return mean / mean.sum()

    def naive(logits: Tensor) -> Tensor:
        return -(REFERENCE * shares(logits).log()).sum()

    assert_exact(reference_loss(REAL, REFERENCE), naive(REAL))
    assert_exact(gradients(lambda logits: reference_loss(logits, REFERENCE), REAL), gradients(naive, REAL))
    # Where the shares are the reference the loss is its entropy, and has no slope.
    own = shares(REAL)
    assert_exact(reference_loss(REAL, own), -(own * own.log()).sum())
    assert_exact(gradients(lambda logits: reference_loss(logits, own), REAL)[0], torch.zeros(5, K + 1).double())


def test_reference_is_not_differentiated_and_may_be_of_another_type() -> None:
    reference, logits = REFERENCE.clone().requires_grad_(), REAL.clone().requires_grad_()
    reference_loss(logits, reference).backward()
    assert reference.grad is None and logits.grad is not None
    assert reference_loss(REAL.float(), REFERENCE).dtype == torch.float32


def test_reference_where_probabilities_underflow() -> None:
    """A class that no sample is of: exp(-2000) is 0, and still the gradient pulls its nearest sample there."""
    logits = torch.tensor([[0.0, -2000.0, 0.0], [0.0, -2005.0, 0.0]], dtype=torch.float64)
    reference = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert reference_loss(logits, reference).item() == pytest.approx(2000 + math.log(2) - math.log1p(math.exp(-5)))
    (gradient,) = gradients(lambda logits: reference_loss(logits, reference), logits)
    nearest = torch.sigmoid(torch.tensor([5.0, -5.0], dtype=torch.float64))
    assert_exact(gradient[:, 1], -nearest)


def test_semi_supervised_by_the_formula() -> None:
    labeled, unlabeled, fake = REAL[:, :K], MORE[:, :K], FAKE[:, :K]
    z, z_fake = unlabeled.exp().sum(dim=1), fake.exp().sum(dim=1)
    d, d_fake = z / (z + 1), z_fake / (z_fake + 1)
    supervised = -labeled.softmax(dim=1).log()[torch.arange(5), LABELS].sum() / 5
    for smoothing in (0.0, 0.1):
        unsupervised = -((1 - smoothing) * d.log() + smoothing * (1 - d).log()).sum() / 6 - (1 - d_fake).log().sum() / 4
        loss = semi_supervised.discriminator_loss(labeled, LABELS, unlabeled, fake, smoothing_real=smoothing)
        assert_exact(loss, supervised + unsupervised)
    assert_exact(semi_supervised.generator_loss(fake), -d_fake.log())


def test_k_logits_are_the_model_of_k_plus_1() -> None:
    """The generated class's logit fixed at 0, or subtracted: the same losses and the same gradients."""

    def of_k(real: Tensor, more: Tensor, fake: Tensor) -> Tensor:
        return semi_supervised.discriminator_loss(real, LABELS, more, fake)

    def of_k_plus_1(real: Tensor, more: Tensor, fake: Tensor) -> Tensor:
        """-log p(y | x, y <= K) - log p(y <= K | x) - log p(y = K + 1 | x), of the softmax over K + 1."""
        real, more, fake = (logits.softmax(dim=1) for logits in (real, more, fake))
        supervised = -(real[torch.arange(5), LABELS] / real[:, :K].sum(dim=1)).log().mean()
        return supervised - more[:, :K].sum(dim=1).log().mean() - fake[:, K].log().mean()

    def relative(*logits: Tensor) -> Tensor:
        return of_k(*map(relative_logits, logits))

    batches = REAL, MORE, FAKE
    assert_exact(relative(*batches), of_k_plus_1(*batches))
    assert_exact(gradients(relative, *batches), gradients(of_k_plus_1, *batches))
    fixed = [torch.cat([logits[:, :K], torch.zeros(len(logits), 1)], dim=1) for logits in batches]
    of_free = gradients(of_k, *(logits[:, :K] for logits in batches))
    assert_exact([gradient[:, :K] for gradient in gradients(of_k_plus_1, *fixed)], of_free)
    assert_exact(semi_supervised.generator_loss(relative_logits(FAKE)), label_gan.generator_loss(FAKE))
    # With the labels of all known, LabelGAN itself.
    real, fake = relative_logits(REAL), relative_logits(FAKE)
    assert_exact(
        semi_supervised.discriminator_loss(real, LABELS, real, fake), label_gan.discriminator_loss(REAL, LABELS, FAKE)
    )


# As functions of logits (5, 4), of which the first four are of generated samples too; "generator" gives one a sample.
LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "label_gan": lambda x: label_gan.discriminator_loss(x, LABELS, x[:4]),
    "label_gan, smoothed": lambda x: label_gan.discriminator_loss(
        x, LABELS, x[:4], smoothing_real=0.1, smoothing_fake=0.2
    ),
    "label_gan, generator": lambda x: label_gan.generator_loss(x[:4]),
    "label_gan, generator, smoothed": lambda x: label_gan.generator_loss(x[:4], smoothing_real=0.1),
    "am_gan, generator": lambda x: am_gan.generator_loss(x[:4], TARGETS),
    "am_gan, generator, smoothed": lambda x: am_gan.generator_loss(x[:4], TARGETS, smoothing_real=0.1),
    "unlabeled": unlabeled_loss,
    "reference": lambda x: reference_loss(x, REFERENCE),
    "cat_gan": lambda x: cat_gan.discriminator_loss(x, x[:4]),
    "cat_gan, labeled": lambda x: cat_gan.discriminator_loss(x, x[:4], labels=LABELS),
    "cat_gan, of generated ones": lambda x: cat_gan.generator_loss(x[:4]),
    "real_logit, generator": lambda x: real_logit(x[:4]),
    "class_cross_entropy, generator": lambda x: class_cross_entropy(x[:4], TARGETS),
    "uniform_cross_entropy, generator": lambda x: uniform_cross_entropy(x[:4]),
    "log_mean_probabilities": lambda x: log_mean_probabilities(x).sum(),
    "ac_gan, fake classes": lambda x: ac_gan.fake_class_loss(x[:4], TARGETS),
    "ac_gan, uniform classes": lambda x: ac_gan.uniform_class_loss(x[:4]),
}
NOT_SHIFTED: dict[str, Callable[[Tensor], Tensor]] = {
    "ac_gan": lambda x: ac_gan.discriminator_loss(x[:, 0], x[:, 1:], LABELS, x[:4, 0]),
    "ac_gan, generator": lambda x: ac_gan.generator_loss(x[:4, 0], x[:4, 1:], TARGETS),
    "semi_supervised": lambda x: semi_supervised.discriminator_loss(x, LABELS, x[:3], x[:4], smoothing_real=0.1),
    "semi_supervised, generator": lambda x: semi_supervised.generator_loss(x[:4]),
    "log_sum_exp, generator": lambda x: log_sum_exp(x[:4]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_shift_of_all_logits_changes_nothing(name: str) -> None:
    assert_exact(LOSSES[name](REAL + seeded_normal(5, 1, seed=9)), LOSSES[name](REAL))


@pytest.mark.parametrize("name", LOSSES | NOT_SHIFTED)
def test_shapes_and_coupling(name: str) -> None:
    loss = (LOSSES | NOT_SHIFTED)[name]
    value = loss(REAL)
    if "generator" not in name:
        assert value.shape == ()
        return
    assert value.shape == (4,)
    changed = REAL.clone()
    changed[1] += seeded_normal(K + 1, seed=8)
    assert_exact(loss(changed)[[0, 2, 3]], value[[0, 2, 3]])


EXTREMES = torch.tensor(
    [
        [1e4, -1e4, 0.0, 25.0],
        [-1e4, 1e4, 1e4, -25.0],
        [100.0, 0.5, -100.0, 1e4],
        [-1e4, -1e4, -1e4, -1e4],
        [0.0, -21.0, 21.0, 1.0],
    ]
)


@pytest.mark.parametrize("name", LOSSES | NOT_SHIFTED)
@pytest.mark.parametrize("turn", range(K + 1))
def test_exact_in_float32_at_large_logits(name: str, turn: int) -> None:
    loss, logits = (LOSSES | NOT_SHIFTED)[name], EXTREMES.roll(turn, dims=1)
    for single, double in (
        (loss(logits), loss(logits.double())),
        (gradients(loss, logits)[0], gradients(loss, logits.double())[0]),
    ):
        assert single.isfinite().all()
        torch.testing.assert_close(single.double(), double, rtol=1e-6, atol=1e-6)


def logits_of(*shape: int) -> Tensor:
    return torch.zeros(shape)


GOOD = logits_of(2, 4)
ZEROS = torch.zeros(2, dtype=torch.int64)
FORM = r"expected logits of shape \(B, K\) with K at least 1, got "
EXTENDED_FORM = r"expected logits of shape \(B, K \+ 1\) with K at least 1, got "
OF_FOUR = r"expected logits of shape \(B, 4\), got \(2, 3\)$"
INTEGERS = r"expected int64 of shape \(2,\), got "
OUTSIDE = r"expected classes from 0 to 2, got 3$"
WRONG_LABELS = [
    (torch.tensor([0, 3]), OUTSIDE),
    (torch.tensor([-1, 0]), r"expected classes from 0 to 2, got -1$"),
    (torch.tensor([-100, 0]), r"expected classes from 0 to 2, got -100$"),
    (ZEROS.int(), INTEGERS + r"torch\.int32 of shape \(2,\)$"),
    (torch.zeros(2), INTEGERS + r"torch\.float32 of shape \(2,\)$"),
    (torch.zeros(3, dtype=torch.int64), INTEGERS + r"torch\.int64 of shape \(3,\)$"),
    (torch.zeros(2, 1, dtype=torch.int64), INTEGERS + r"torch\.int64 of shape \(2, 1\)$"),
]
WITH_LABELS: dict[str, Callable[[Tensor], Any]] = {
    "label_gan:labels": lambda y: label_gan.discriminator_loss(GOOD, y, GOOD),
    "am_gan:targets": lambda y: am_gan.generator_loss(GOOD, y),
    "ac_gan:labels": lambda y: ac_gan.discriminator_loss(GOOD[:, 0], GOOD[:, 1:], y, GOOD[:, 0]),
    "ac_gan, generator:targets": lambda y: ac_gan.generator_loss(GOOD[:, 0], GOOD[:, 1:], y),
    "ac_gan, fake:targets": lambda y: ac_gan.fake_class_loss(GOOD[:, 1:], y),
    "cat_gan:labels": lambda y: cat_gan.discriminator_loss(GOOD[:, 1:], GOOD[:, 1:], labels=y),
    "semi_supervised:labels": lambda y: semi_supervised.discriminator_loss(*(GOOD[:, 1:], y), *2 * (GOOD[:, 1:],)),
    "class_labels:labels": lambda y: class_cross_entropy(GOOD[:, 1:], y),
}
WITH_LOGITS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "label_gan:real_logits": (lambda x: label_gan.discriminator_loss(x, ZEROS, GOOD), EXTENDED_FORM),
    "label_gan, generator:fake_logits": (label_gan.generator_loss, EXTENDED_FORM),
    "am_gan:fake_logits": (lambda x: am_gan.generator_loss(x, ZEROS), EXTENDED_FORM),
    "relative_logits:logits": (relative_logits, EXTENDED_FORM),
    "real_logit:logits": (real_logit, EXTENDED_FORM),
    "unlabeled:logits": (unlabeled_loss, EXTENDED_FORM),
    "reference:logits": (lambda x: reference_loss(x, torch.ones(1)), EXTENDED_FORM),
    "ac_gan:real_classes": (lambda x: ac_gan.discriminator_loss(GOOD[:, 0], x, ZEROS, GOOD[:, 0]), FORM),
    "ac_gan, generator:fake_classes": (lambda x: ac_gan.generator_loss(GOOD[:, 0], x, ZEROS), FORM),
    "ac_gan, fake:fake_classes": (lambda x: ac_gan.fake_class_loss(x, ZEROS), FORM),
    "ac_gan, uniform:fake_classes": (ac_gan.uniform_class_loss, FORM),
    "cat_gan:real_logits": (lambda x: cat_gan.discriminator_loss(x, GOOD), FORM),
    "cat_gan, generator:fake_logits": (cat_gan.generator_loss, FORM),
    "semi_supervised:labeled_logits": (lambda x: semi_supervised.discriminator_loss(x, ZEROS, GOOD, GOOD), FORM),
    "semi_supervised, generator:fake_logits": (semi_supervised.generator_loss, FORM),
    "class_cross_entropy:logits": (lambda x: class_cross_entropy(x, ZEROS), FORM),
    "uniform_cross_entropy:logits": (uniform_cross_entropy, FORM),
    "log_mean_probabilities:logits": (log_mean_probabilities, FORM),
    "log_sum_exp:logits": (log_sum_exp, FORM),
}


@pytest.mark.parametrize("name", WITH_LABELS)
@pytest.mark.parametrize(("labels", "message"), WRONG_LABELS)
def test_labels_are_checked(name: str, labels: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{name.rpartition(':')[2]}: {message}"):
        WITH_LABELS[name](labels)


@pytest.mark.parametrize("name", WITH_LOGITS)
@pytest.mark.parametrize("shape", [(2,), (2, 0), (2, 1), (2, 4, 1)])
def test_logits_are_checked(name: str, shape: tuple[int, ...]) -> None:
    loss, message = WITH_LOGITS[name]
    if shape == (2, 1) and message == FORM:
        return  # one class
    with pytest.raises(ValueError, match=f"^{name.rpartition(':')[2]}: {message}"):
        loss(torch.zeros(shape))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda: label_gan.discriminator_loss(GOOD, ZEROS, GOOD[:, 1:]), f"^fake_logits: {OF_FOUR}"),
        (lambda: cat_gan.discriminator_loss(GOOD, GOOD[:, 1:]), f"^fake_logits: {OF_FOUR}"),
        (
            lambda: semi_supervised.discriminator_loss(GOOD, ZEROS, GOOD[:, 1:], GOOD),
            f"^unlabeled_logits: {OF_FOUR}",
        ),
        (lambda: semi_supervised.discriminator_loss(GOOD, ZEROS, GOOD, GOOD[:, 1:]), f"^fake_logits: {OF_FOUR}"),
        (
            lambda: ac_gan.discriminator_loss(GOOD[:, :1], GOOD, ZEROS, GOOD[:, 0]),
            r"^real: expected shape \(2,\), one raw output per sample of real_classes, got \(2, 1\)$",
        ),
        (
            lambda: ac_gan.generator_loss(GOOD[:1, 0], GOOD, ZEROS),
            r"^fake: expected shape \(2,\), one raw output per sample of fake_classes, got \(1,\)$",
        ),
        (
            lambda: ac_gan.generator_loss(GOOD[:, 0], GOOD, ZEROS, class_weight=-0.1),
            r"^class_weight: expected at least 0, got -0\.1$",
        ),
        (lambda: dynamic_labels(GOOD, 0), "^num_classes: expected at least 1, got 0$"),
        (lambda: dynamic_labels(GOOD, 2), r"^logits: expected shape \(B, 2\) or \(B, 3\), got \(2, 4\)$"),
        (lambda: dynamic_labels(GOOD, 5), r"^logits: expected shape \(B, 5\) or \(B, 6\), got \(2, 4\)$"),
        (lambda: dynamic_labels(GOOD[0], 4), r"^logits: expected shape \(B, 4\) or \(B, 5\), got \(4,\)$"),
        (lambda: reference_loss(GOOD, torch.ones(4) / 4), r"^reference: expected shape \(3,\), got \(4,\)$"),
        (
            lambda: reference_loss(GOOD, torch.tensor([0.5, 0.5, 0.5])),
            r"^reference: expected probabilities that sum to 1, got a sum of 1\.5, the least being 0\.5$",
        ),
        (
            lambda: reference_loss(GOOD, torch.tensor([1.0, 0.5, -0.5])),
            r"^reference: expected probabilities that sum to 1, got a sum of 1, the least being -0\.5$",
        ),
        (lambda: reference_loss(GOOD, torch.full((3,), 0.25)), r"got a sum of 0\.75, the least being 0\.25$"),
        (lambda: reference_loss(GOOD, torch.full((3,), math.nan)), "^reference: expected probabilities"),
        (lambda: label_gan.discriminator_loss(GOOD, ZEROS, GOOD, smoothing_real=2), "^smoothing_real: "),
        (lambda: label_gan.discriminator_loss(GOOD, ZEROS, GOOD, smoothing_fake=-1), "^smoothing_fake: "),
        (lambda: label_gan.generator_loss(GOOD, smoothing_real=2), "^smoothing_real: "),
        (lambda: am_gan.generator_loss(GOOD, ZEROS, smoothing_real=2), "^smoothing_real: "),
        (lambda: semi_supervised.discriminator_loss(GOOD, ZEROS, GOOD, GOOD, smoothing_real=2), "^smoothing_real: "),
    ],
)
def test_other_mistakes(loss: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss()


def test_values_on_a_device_are_not_read() -> None:
    check_labels("labels", torch.empty(3, dtype=torch.int64, device="meta"), 3, 2)
    logits, reference = torch.empty(3, 4, device="meta"), torch.empty(3, device="meta")
    assert reference_loss(logits, reference).shape == ()
