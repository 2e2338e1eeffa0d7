r"""Straight-through: discrete samples forward, the gradient of the probabilities backward.

References:
    Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation (Bengio et al.,
    2013), https://arxiv.org/abs/1308.3432
"""

from dataclasses import dataclass

from torch import Tensor, nn

from discrete_gan._arguments import check_at_least, check_choice
from discrete_gan.estimators._pathwise import Objective, frozen, objective_loss


def straight_through(x: Tensor, mean: Tensor) -> Tensor:
    """The samples, with the gradient of their mean.

    Args:
        x: Discrete samples, shape (M, B, *event). No gradient.
        mean: Mean of their distribution, shape (B, *event).

    Returns:
        Equal to ``x``. Gradients reach ``mean``, as if each sample were it.
    """
    return x.detach() + (mean - mean.detach())


@dataclass(frozen=True)
class StraightThrough:
    """Straight-through estimator with the Jacobian of the probabilities (sigmoid or softmax).

    Biased, first order: exact where the discriminator is affine in the sample. Costs ``num_samples``
    discriminator evaluations a latent, each with a backward pass.

    Attributes:
        num_samples: M, samples a latent.
        objective: ``"non-saturating"`` descends -log D(x) = log(1 + 1/w), ``"log-ratio"`` descends -log w, the
            reverse KL.

    Raises:
        ValueError: If M is below 1 or the objective is unknown.
    """

    num_samples: int = 1
    objective: Objective = "non-saturating"

    def __post_init__(self) -> None:
        check_at_least("num_samples", self.num_samples, 1)
        check_choice("objective", self.objective, ("non-saturating", "log-ratio"))

    def __call__(self, generator: nn.Module, discriminator: nn.Module, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only."""
        g = generator(z)
        x = straight_through(g.sample((self.num_samples,)), g.mean)
        with frozen(discriminator):
            return objective_loss(discriminator(x), self.objective)
