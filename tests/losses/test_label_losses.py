"""LabelGAN, AM-GAN and AC-GAN against the algebra of the AM-GAN paper, equations 2 to 30, and the optimum."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from discrete_gan.losses import ac_gan, am_gan, gan, label_gan, unlabeled
from discrete_gan.losses.class_labels import (
    class_cross_entropy,
    dynamic_labels,
    log_mean_probabilities,
    log_sum_exp,
    real_logit,
    relative_logits,
    uniform_cross_entropy,
)
from tests.problems import assert_exact, seeded_normal

K = 3
REAL, FAKE = seeded_normal(5, K + 1, scale=2), seeded_normal(4, K + 1, seed=1, scale=2)
LABELS, TARGETS = torch.tensor([0, 2, 1, 2, 0]), torch.tensor([1, 0, 2, 1])
SMOOTHINGS = pytest.mark.parametrize(("smoothing_real", "smoothing_fake"), [(0.0, 0.0), (0.1, 0.0), (0.2, 0.3)])


def entropy(target: Tensor, p: Tensor) -> Tensor:
    """H(target, p), from probabilities."""
    return -(target * p.log()).sum(dim=1)


def one_hot(labels: Tensor, width: int = K + 1) -> Tensor:
    return torch.eye(width).double()[labels]


def real_target(labels: Tensor, smoothing: float) -> Tensor:
    return (1 - smoothing) * one_hot(labels) + smoothing * one_hot(torch.full_like(labels, K))


def fake_target(number: int, smoothing: float) -> Tensor:
    return torch.tensor([[smoothing / K] * K + [1 - smoothing]], dtype=torch.float64).expand(number, -1)


def slope(loss: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(logits).sum(), logits)[0]


@SMOOTHINGS
def test_discriminator_loss_is_a_cross_entropy(smoothing_real: float, smoothing_fake: float) -> None:
    of_real, of_fake = real_target(LABELS, smoothing_real), fake_target(4, smoothing_fake)
    assert_exact(of_real.sum(dim=1), torch.ones(5).double())
    assert_exact(of_fake.sum(dim=1), torch.ones(4).double())
    loss = label_gan.discriminator_loss(
        REAL, LABELS, FAKE, smoothing_real=smoothing_real, smoothing_fake=smoothing_fake
    )
    expected = entropy(of_real, REAL.softmax(dim=1)).sum() / 5 + entropy(of_fake, FAKE.softmax(dim=1)).sum() / 4
    assert_exact(loss, expected)


def test_am_gan_has_the_discriminator_of_label_gan() -> None:
    assert am_gan.discriminator_loss is label_gan.discriminator_loss


# Each with the target of every sample, its batch of logits, and what its mean over the batch is multiplied by.
CROSS_ENTROPIES: dict[str, tuple[Callable[[Tensor], Tensor], Tensor, Tensor, int]] = {
    "class": (lambda logits: class_cross_entropy(logits, TARGETS), one_hot(TARGETS), FAKE, 1),
    "uniform": (uniform_cross_entropy, torch.ones(4, K + 1).double() / (K + 1), FAKE, 1),
    "real": (lambda logits: label_gan.discriminator_loss(logits, LABELS, FAKE), real_target(LABELS, 0), REAL, 5),
    "real, smoothed": (
        lambda logits: label_gan.discriminator_loss(logits, LABELS, FAKE, smoothing_real=0.1),
        real_target(LABELS, 0.1),
        REAL,
        5,
    ),
    "fake": (lambda logits: label_gan.discriminator_loss(REAL, LABELS, logits), fake_target(4, 0), FAKE, 4),
    "fake, smoothed": (
        lambda logits: label_gan.discriminator_loss(REAL, LABELS, logits, smoothing_fake=0.2),
        fake_target(4, 0.2),
        FAKE,
        4,
    ),
    "am_gan": (lambda logits: am_gan.generator_loss(logits, TARGETS), real_target(TARGETS, 0), FAKE, 1),
    "am_gan, smoothed": (
        lambda logits: am_gan.generator_loss(logits, TARGETS, smoothing_real=0.1),
        real_target(TARGETS, 0.1),
        FAKE,
        1,
    ),
    "ac_gan, classes": (
        lambda logits: ac_gan.discriminator_loss(REAL[:, 0], logits, LABELS, FAKE[:, 0]),
        one_hot(LABELS, K),
        REAL[:, :K],
        5,
    ),
    "ac_gan, fake": (lambda logits: ac_gan.fake_class_loss(logits, TARGETS), one_hot(TARGETS, K), FAKE[:, :K], 4),
    "ac_gan, uniform": (ac_gan.uniform_class_loss, torch.ones(4, K).double() / K, FAKE[:, :K], 4),
    "ac_gan, generator": (
        lambda logits: ac_gan.generator_loss(FAKE[:, 0], logits, TARGETS),
        one_hot(TARGETS, K),
        FAKE[:, :K],
        1,
    ),
    "unlabeled": (unlabeled.unlabeled_loss, one_hot(REAL[:, :K].argmax(dim=1)), REAL, 5),
}


@pytest.mark.parametrize("name", CROSS_ENTROPIES)
def test_lemma_1_gradient_is_softmax_minus_target(name: str) -> None:
    loss, target, logits, number = CROSS_ENTROPIES[name]
    assert_exact(number * slope(loss, logits), logits.softmax(dim=1) - target)


def test_lemma_2_am_gan_is_label_gan_and_an_auxiliary_classifier() -> None:
    d = FAKE.softmax(dim=1)
    d_r = d[:, :K].sum(dim=1)
    label_loss = label_gan.generator_loss(FAKE)
    assert_exact(label_loss, -d_r.log())
    auxiliary = entropy(one_hot(TARGETS, K), d[:, :K] / d_r[:, None])
    assert_exact(am_gan.generator_loss(FAKE, TARGETS), label_loss + auxiliary)
    assert_exact(am_gan.generator_loss(FAKE, TARGETS), entropy(one_hot(TARGETS), d))
    smoothed = am_gan.generator_loss(FAKE, TARGETS, smoothing_real=0.1)
    assert_exact(smoothed, label_gan.generator_loss(FAKE, smoothing_real=0.1) + 0.9 * auxiliary)
    assert_exact(smoothed, entropy(real_target(TARGETS, 0.1), d))


def test_class_aware_gradient() -> None:
    """Equation 11: what one real class is pulled by is its share of D_r."""
    d = FAKE.softmax(dim=1)
    d_r = d[:, :K].sum(dim=1, keepdim=True)
    expected = torch.cat([-(1 - d_r) * d[:, :K] / d_r, 1 - d_r], dim=1)
    assert_exact(slope(label_gan.generator_loss, FAKE), expected)


def test_class_aware_gradient_through_a_network() -> None:
    """Equations 12 and 13, in the sample itself."""
    weight, output = seeded_normal(2, 6, seed=2), seeded_normal(6, K + 1, seed=3)

    def network(x: Tensor) -> Tensor:
        return (x @ weight).tanh() @ output

    x = seeded_normal(4, 2, seed=4)
    slopes = torch.stack([slope(lambda x, k=k: network(x)[:, k], x) for k in range(K + 1)])
    d = network(x).softmax(dim=1)
    d_r = d[:, :K].sum(dim=1)
    alpha = torch.cat([d[:, :K] / d_r[:, None], -torch.ones(4, 1).double()], dim=1)
    expected = -(1 - d_r)[:, None] * torch.einsum("bk,kbx->bx", alpha, slopes)
    assert_exact(slope(lambda x: label_gan.generator_loss(network(x)), x), expected)


def test_smoothed_gradients_of_the_real_logit() -> None:
    """Equations 25 to 30, at D_r of 0.1 to 0.95, spread over the real classes in one way or another."""
    d_r = torch.tensor([0.1, 0.2, 0.3, 0.9, 0.95], dtype=torch.float64)
    shares = seeded_normal(5, K).softmax(dim=1)
    logits = torch.cat([d_r[:, None] * shares, 1 - d_r[:, None]], dim=1).log()
    toward_target = slope(lambda logits: label_gan.generator_loss(logits, smoothing_real=0.1), logits)
    assert_exact(toward_target, torch.cat([(d_r - 0.9)[:, None] * shares, (0.9 - d_r)[:, None]], dim=1))
    assert (toward_target[:3, :K] < 0).all() and (toward_target[4, :K] > 0).all()
    assert_exact(toward_target[3], torch.zeros(K + 1).double())
    minimax = slope(lambda logits: gan.minimax_loss(real_logit(logits), smoothing_fake=0.2), logits)
    assert_exact(minimax[:, :K].sum(dim=1), 0.2 - d_r)
    assert_exact(minimax[1], torch.zeros(K + 1).double())


def test_ac_gan_is_a_hierarchical_model() -> None:
    """Equation 19, of both networks: K + 1 classes with probabilities [D C, 1 - D]."""

    def classes(raw: Tensor, logits: Tensor) -> Tensor:
        d = raw.sigmoid()[:, None]
        return torch.cat([d * logits.softmax(dim=1), 1 - d], dim=1)

    raw_real, real, raw_fake, fake = REAL[:, K], REAL[:, :K], FAKE[:, K], FAKE[:, :K]
    expected = entropy(one_hot(TARGETS), classes(raw_fake, fake))
    assert_exact(ac_gan.generator_loss(raw_fake, fake, TARGETS), expected)
    expected = entropy(one_hot(LABELS), classes(raw_real, real)).sum() / 5 - (1 - raw_fake.sigmoid()).log().sum() / 4
    assert_exact(ac_gan.discriminator_loss(raw_real, real, LABELS, raw_fake), expected)


def test_label_gan_is_ac_gan_with_one_head() -> None:
    loss = ac_gan.discriminator_loss(real_logit(REAL), REAL[:, :K], LABELS, real_logit(FAKE), smoothing_fake=0)
    assert_exact(loss, label_gan.discriminator_loss(REAL, LABELS, FAKE))
    assert_exact(ac_gan.generator_loss(real_logit(FAKE), FAKE[:, :K], TARGETS), am_gan.generator_loss(FAKE, TARGETS))


def test_parts_of_ac_gan() -> None:
    raw_real, real, raw_fake, fake = REAL[:, K], REAL[:, :K], FAKE[:, K], FAKE[:, :K]
    smoothed = ac_gan.discriminator_loss(raw_real, real, LABELS, raw_fake, smoothing_real=0.1, smoothing_fake=0.2)
    binary = gan.discriminator_loss(raw_real, raw_fake, smoothing_real=0.1, smoothing_fake=0.2)
    assert_exact(smoothed - binary, entropy(one_hot(LABELS, K), real.softmax(dim=1)).mean())
    of_class = entropy(one_hot(TARGETS, K), fake.softmax(dim=1))
    for weight in (0.0, 0.1, 1.0):
        loss = ac_gan.generator_loss(raw_fake, fake, TARGETS, class_weight=weight)
        assert_exact(loss, gan.non_saturating_loss(raw_fake) + weight * of_class)
    assert_exact(ac_gan.fake_class_loss(fake, TARGETS), of_class.mean())
    assert_exact(ac_gan.uniform_class_loss(fake), -fake.softmax(dim=1).log().sum() / (4 * K))


@SMOOTHINGS
def test_one_class_is_the_vanilla_gan(smoothing_real: float, smoothing_fake: float) -> None:
    real, fake, none = REAL[:, :2], FAKE[:, :2], torch.zeros(5, dtype=torch.int64)
    raw_real, raw_fake = real[:, 0] - real[:, 1], fake[:, 0] - fake[:, 1]
    smoothing = {"smoothing_real": smoothing_real, "smoothing_fake": smoothing_fake}
    expected = gan.discriminator_loss(raw_real, raw_fake, **smoothing)
    assert label_gan.discriminator_loss(real, none, fake, **smoothing).equal(expected)
    expected = gan.non_saturating_loss(raw_fake, smoothing_real=smoothing_real)
    assert label_gan.generator_loss(fake, smoothing_real=smoothing_real).equal(expected)
    assert am_gan.generator_loss(fake, none[:4], smoothing_real=smoothing_real).equal(expected)
    assert real_logit(fake).equal(raw_fake)


@SMOOTHINGS
def test_optimal_discriminator(smoothing_real: float, smoothing_fake: float) -> None:
    """Counts of each (x, y), and of each generated x, among 16 samples: the loss on them is the expectation."""
    real_counts, fake_counts = torch.tensor([[5, 1, 1], [2, 3, 1], [1, 1, 1]]), torch.tensor([2, 9, 5])
    p_data, p_g = real_counts.double() / 16, fake_counts.double() / 16
    of_class = (1 - smoothing_real) * p_data + smoothing_fake / K * p_g[:, None]
    generated = smoothing_real * p_data.sum(dim=1) + (1 - smoothing_fake) * p_g
    logits = torch.cat([of_class, generated[:, None]], dim=1).log().requires_grad_()
    state, label = (index.repeat_interleave(real_counts.flatten()) for index in torch.ones(3, 3).nonzero().T)
    loss = label_gan.discriminator_loss(
        logits[state],
        label,
        logits[torch.arange(3).repeat_interleave(fake_counts)],
        smoothing_real=smoothing_real,
        smoothing_fake=smoothing_fake,
    )
    assert_exact(torch.autograd.grad(loss, logits)[0], torch.zeros(3, K + 1).double())
    if smoothing_real == smoothing_fake == 0:
        assert_exact(relative_logits(logits.detach()), (p_data / p_g[:, None]).log())
        assert_exact(real_logit(logits.detach()), (p_data.sum(dim=1) / p_g).log())


def test_dynamic_labels() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0, 9.0], [0.0, -1.0, -2.0, -3.0], [-5.0, -4.0, -3.0, 0.0]]).requires_grad_()
    for given in (logits, logits[:, :K]):
        labels = dynamic_labels(given, K)
        assert labels.tolist() == [1, 0, 2]
        assert labels.dtype == torch.int64 and not labels.requires_grad
    # Of all labels they are those of the least loss.
    losses = torch.stack([am_gan.generator_loss(FAKE, torch.full((4,), k)) for k in range(K)])
    assert_exact(am_gan.generator_loss(FAKE, dynamic_labels(FAKE, K)), losses.min(dim=0).values)


def test_logits_relative_to_the_generated_class() -> None:
    assert_exact(relative_logits(FAKE), FAKE[:, :K] - FAKE[:, K:])
    assert_exact(real_logit(FAKE), torch.logit(1 - FAKE.softmax(dim=1)[:, K]))
    assert_exact(log_sum_exp(FAKE), FAKE.exp().sum(dim=1).log())
    assert_exact(slope(log_sum_exp, FAKE), FAKE.softmax(dim=1))
    assert relative_logits(torch.cat([FAKE, torch.zeros(4, 1)], dim=1)).equal(FAKE)
    # Large logits: their sum of exponentials has a spacing of 0.001 in float32.
    assert real_logit(torch.full((1, 4), 1e4)).item() == pytest.approx(torch.tensor(3.0).log().item(), rel=1e-6)


def test_mean_probabilities() -> None:
    assert_exact(log_mean_probabilities(FAKE), FAKE.softmax(dim=1).mean(dim=0).log())
    assert_exact(log_mean_probabilities(FAKE).exp().sum(), torch.tensor(1.0, dtype=torch.float64))
