"""Every loss, divergence and penalty of one critic and one generator, whose parameter shifts its samples."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from discrete_gan.distributed import average_gradients, mean_over_processes
from discrete_gan.divergences import DIVERGENCES
from discrete_gan.losses import (
    ac_gan,
    am_gan,
    cat_gan,
    class_labels,
    feature_matching,
    gan,
    hinge,
    label_gan,
    least_squares,
    log_ratio,
    penalties,
    semi_supervised,
    softmax_gan,
    unlabeled,
    wasserstein,
)
from discrete_gan.losses.historical_averaging import HistoricalAveraging
from tests.problems import seeded_normal
from tests.processes.spawn import share, uniform_of_everyone

NUM_REAL, NUM_FAKE, D, K = 12, 8, 5, 3
REFERENCE = torch.tensor([0.2, 0.3, 0.5])
LABELS = torch.tensor([0, 2, 1, 1, 2, 2, 0, 1, 0, 2, 1, 0])
TARGETS = LABELS[:NUM_FAKE].flip(0)


class Critic(nn.Module):
    """K + 1 features, which are logits of classes too, the generated one's last; the first is the score."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(seeded_normal(D, K + 1, seed=5))

    def features(self, x: Tensor) -> Tensor:
        return 2 * (x @ self.weight).tanh()

    def classes(self, x: Tensor) -> Tensor:
        return self.features(x)[:, :K]

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)[:, 0]


class Sides(nn.Module):
    """What a loss is given: the shares of both sides, the critic's views of them, and their labels."""

    def __init__(self) -> None:
        super().__init__()
        self.critic, self.shift = Critic(), nn.Parameter(torch.zeros(D).double())
        self.history = HistoricalAveraging(self.critic.parameters())
        self.x, self.y = share(seeded_normal(NUM_REAL, D)), share(seeded_normal(NUM_FAKE, D, seed=1)) + self.shift
        self.paired = share(seeded_normal(NUM_FAKE, D, seed=2))  # with the generated samples, one for each
        self.labels, self.targets = share(LABELS), share(TARGETS)
        self.real, self.fake = self.critic(self.x), self.critic(self.y)
        self.real_classes, self.fake_classes = self.critic.classes(self.x), self.critic.classes(self.y)
        self.real_logits, self.fake_logits = self.critic.features(self.x), self.critic.features(self.y)

    def ruled_out(self) -> Tensor:
        """Scores of the generated samples, some of them minus infinity."""
        return torch.where(share(torch.arange(NUM_FAKE) % 3 == 1), -torch.inf, self.fake)

    def penalized(self) -> Tensor:
        x = self.x.requires_grad_()
        return penalties.gradient_penalty(self.critic(x), x)

    def averaged(self) -> Tensor:
        self.history.update()
        with torch.no_grad():
            self.critic.weight.add_(0.1)
        self.history.update()
        return self.history.penalty()


# By module and function, and what is special behind a comma. Means over the batch are taken as recipes do.
LOSSES: dict[str, Callable[[Sides], Tensor]] = {
    "ac_gan.discriminator_loss": lambda s: ac_gan.discriminator_loss(
        s.real, s.real_classes, s.labels, s.fake, smoothing_real=0.1, smoothing_fake=0.2
    ),
    "ac_gan.fake_class_loss": lambda s: ac_gan.fake_class_loss(s.fake_classes, s.targets),
    "ac_gan.uniform_class_loss": lambda s: ac_gan.uniform_class_loss(s.fake_classes),
    "ac_gan.generator_loss": lambda s: ac_gan.generator_loss(s.fake, s.fake_classes, s.targets, class_weight=0.3),
    "am_gan.discriminator_loss": lambda s: am_gan.discriminator_loss(s.real_logits, s.labels, s.fake_logits),
    "am_gan.generator_loss": lambda s: am_gan.generator_loss(
        s.fake_logits, class_labels.dynamic_labels(s.fake_logits, K), smoothing_real=0.1
    ),
    "cat_gan.discriminator_loss": lambda s: cat_gan.discriminator_loss(s.real_classes, s.fake_classes),
    "cat_gan.discriminator_loss, labeled": lambda s: cat_gan.discriminator_loss(
        s.real_classes, s.fake_classes, labels=s.labels
    ),
    "cat_gan.generator_loss": lambda s: cat_gan.generator_loss(s.fake_classes),
    "class_labels.class_cross_entropy": lambda s: class_labels.class_cross_entropy(s.fake_classes, s.targets),
    "class_labels.log_mean_probabilities": lambda s: class_labels.log_mean_probabilities(s.fake_classes),
    "class_labels.log_sum_exp": lambda s: class_labels.log_sum_exp(s.fake_classes),
    "class_labels.real_logit": lambda s: class_labels.real_logit(s.fake_logits),
    "class_labels.relative_logits": lambda s: class_labels.relative_logits(s.fake_logits),
    "class_labels.uniform_cross_entropy": lambda s: class_labels.uniform_cross_entropy(s.fake_classes),
    "feature_matching.generator_loss": lambda s: feature_matching.generator_loss(s.real_logits, s.fake_logits),
    "gan.discriminator_loss": lambda s: gan.discriminator_loss(s.real, s.fake, smoothing_real=0.1, smoothing_fake=0.2),
    "gan.minimax_loss": lambda s: gan.minimax_loss(s.fake, smoothing_fake=0.2),
    "gan.non_saturating_loss": lambda s: gan.non_saturating_loss(s.fake, smoothing_real=0.1),
    "gan.log_odds_loss": lambda s: gan.log_odds_loss(s.fake),
    "hinge.discriminator_loss": lambda s: hinge.discriminator_loss(s.real, s.fake),
    "hinge.generator_loss": lambda s: hinge.generator_loss(s.fake),
    "historical_averaging.HistoricalAveraging": Sides.averaged,
    "label_gan.discriminator_loss": lambda s: label_gan.discriminator_loss(
        s.real_logits, s.labels, s.fake_logits, smoothing_real=0.1, smoothing_fake=0.2
    ),
    "label_gan.generator_loss": lambda s: label_gan.generator_loss(s.fake_logits, smoothing_real=0.1),
    "least_squares.discriminator_loss": lambda s: least_squares.discriminator_loss(s.real, s.fake),
    "least_squares.generator_loss": lambda s: least_squares.generator_loss(s.fake),
    "log_ratio.generator_loss": lambda s: log_ratio.generator_loss(s.fake),
    "penalties.gradient_penalty": Sides.penalized,
    "penalties.wgan_gp_penalty": lambda s: penalties.wgan_gp_penalty(s.critic, s.paired, s.y),
    "penalties.interpolates": lambda s: s.critic(penalties.interpolates(s.paired, s.y)),
    "semi_supervised.discriminator_loss": lambda s: semi_supervised.discriminator_loss(
        s.real_classes, s.labels, s.critic.classes(s.paired), s.fake_classes, smoothing_real=0.1
    ),
    "semi_supervised.generator_loss": lambda s: semi_supervised.generator_loss(s.fake_classes),
    "softmax_gan.discriminator_loss": lambda s: softmax_gan.discriminator_loss(s.real, s.fake),
    "softmax_gan.discriminator_loss, ruled out": lambda s: softmax_gan.discriminator_loss(s.real, s.ruled_out()),
    "softmax_gan.generator_loss": lambda s: softmax_gan.generator_loss(s.real, s.fake),
    "softmax_gan.generator_loss, real fixed": lambda s: softmax_gan.generator_loss(s.real.detach(), s.fake[:, None]),
    "unlabeled.reference_loss": lambda s: unlabeled.reference_loss(s.real_logits, REFERENCE),
    "unlabeled.unlabeled_loss": lambda s: unlabeled.unlabeled_loss(s.real_logits),
    "wasserstein.discriminator_loss": lambda s: wasserstein.discriminator_loss(s.real, s.fake),
    "wasserstein.generator_loss": lambda s: wasserstein.generator_loss(s.fake),
    "divergences.donsker-varadhan, ruled out": lambda s: DIVERGENCES["donsker-varadhan"].discriminator_loss(
        s.real, s.ruled_out()
    ),
    **{
        f"divergences.{name}": lambda s, name=name: DIVERGENCES[name].discriminator_loss(s.real[:, None], s.fake)
        for name in DIVERGENCES
    },
}


# Public names without a gradient that the batch could make another one of.
NO_LOSSES = {
    "gan.generator_loss": "gan.non_saturating_loss under the name that every loss has",
    "label_family.LabelLoss": "the losses of the other modules under one signature",
    "class_labels.check_labels": "checks its arguments",
    "class_labels.check_logits": "checks its arguments",
    "class_labels.dynamic_labels": "whole numbers, a sample each; in am_gan.generator_loss",
}


def loss_results(name: str) -> dict[str, Tensor]:
    """The loss and its gradients, averaged over the processes."""
    sides = Sides()
    with uniform_of_everyone(0) if name.startswith("penalties.") else nullcontext():
        loss = LOSSES[name](sides).mean()
    loss.backward()
    average_gradients(sides.parameters())
    gradients = {key: value.grad for key, value in sides.named_parameters() if value.grad is not None}
    state = {f"state, {key}": value for key, value in sides.history.named_buffers() if sides.history.steps > 0}
    # What couples the batch is the loss of the whole batch on each process.
    coupled = {"here": loss.detach()} if name.startswith(WHOLE_ON_EVERY_PROCESS) else {}
    return {"mean": mean_over_processes(loss), **coupled, **gradients, **state}


WHOLE_ON_EVERY_PROCESS = (
    "cat_gan.",
    "class_labels.log_mean_probabilities",
    "feature_matching.",
    "softmax_gan.",
    "unlabeled.reference_loss",
    "divergences.donsker-varadhan",
    "historical_averaging.",
)
