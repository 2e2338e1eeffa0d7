r"""Gumbel-softmax: back-propagation through relaxed samples.

References:
    Categorical Reparameterization with Gumbel-Softmax (Jang et al., 2017), https://arxiv.org/abs/1611.01144
    The Concrete Distribution (Maddison et al., 2017), https://arxiv.org/abs/1611.00712
"""

from dataclasses import dataclass

from torch import Tensor, nn

from discrete_gan._arguments import check_at_least, check_choice, check_positive
from discrete_gan.estimators._pathwise import Objective, frozen, objective_loss


@dataclass(frozen=True)
class GumbelSoftmax:
    r"""Gumbel-softmax estimator, :math:`x = \operatorname{softmax}((l + G) / \tau)` (binary Concrete for D bits).

    Exact for the relaxed samples, biased for the discrete ones: the discriminator sees points between the
    categories. Costs ``num_samples`` discriminator evaluations a latent, each with a backward pass.

    Attributes:
        temperature: :math:`\tau > 0`.
        hard: Discrete forward, relaxed backward (straight-through Gumbel-softmax).
        num_samples: M, relaxed samples a latent.
        objective: ``"non-saturating"`` descends -log D(x) = log(1 + 1/w), ``"log-ratio"`` descends -log w, the
            reverse KL.

    Raises:
        ValueError: If the temperature is not above 0, M is below 1 or the objective is unknown.
    """

    temperature: float = 0.5
    hard: bool = False
    num_samples: int = 1
    objective: Objective = "non-saturating"

    def __post_init__(self) -> None:
        check_positive("temperature", self.temperature)
        check_at_least("num_samples", self.num_samples, 1)
        check_choice("objective", self.objective, ("non-saturating", "log-ratio"))

    def __call__(self, generator: nn.Module, discriminator: nn.Module, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only."""
        x = generator(z).rsample((self.num_samples,), temperature=self.temperature, hard=self.hard)
        with frozen(discriminator):
            return objective_loss(discriminator(x), self.objective)
