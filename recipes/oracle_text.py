"""SeqGAN's synthetic benchmark: text from an oracle LSTM, so that samples can be scored by their likelihood there.

10,000 sequences of 20 (or 40) tokens out of 5,000 are drawn from the oracle. The generator starts with maximum
likelihood and goes on by a gradient estimator, in the training loop of the recipe ``text``. Reported are the negative
log-likelihood of samples under the oracle, which is quality, and of other oracle sequences under the generator, which
is diversity: either alone can be cheated.

References:
    SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient (Yu et al., 2017), https://arxiv.org/abs/1609.05473
    Language GANs Falling Short (Caccia et al., 2020), https://arxiv.org/abs/1811.02549
"""

from dataclasses import dataclass
from typing import Literal

from discrete_gan.cli import recipe_module, run_recipe
from discrete_gan.tasks import Oracle, OracleOptions, make_task
from discrete_gan.training import SequenceOptions


@dataclass(frozen=True, kw_only=True)
class Args(SequenceOptions, OracleOptions):
    """What differs from the options' own defaults."""

    estimator: str = "boundary-seeking-steps:num_samples=4"
    likelihood_weight: float = 0.0
    discriminator: Literal["lstm", "cnn", "transformer"] = "lstm"
    generator_lr: float = 1e-3
    discriminator_lr: float = 1e-3
    steps: int = 4500
    pretrain_steps: int = 4000
    warmup_steps: int = 300
    pretrain_lr: float = 1e-2
    hidden: int = 32
    init_std: float = 0.1
    """Standard deviation of the generator's first weights, all normal, as published; 0 for torch's own."""


def task(args: Args) -> Oracle:
    """Sequences of the oracle."""
    return make_task(args, lambda: Oracle(args))


def main(args: Args) -> None:
    """Train."""
    recipe_module("text").train(args, task(args))


if __name__ == "__main__":
    run_recipe(__file__)
