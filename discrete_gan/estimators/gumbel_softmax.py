r"""Gumbel-softmax: back-propagation through relaxed samples.

References:
    Categorical Reparameterization with Gumbel-Softmax (Jang et al., 2017), https://arxiv.org/abs/1611.01144
    The Concrete Distribution (Maddison et al., 2017), https://arxiv.org/abs/1611.00712
"""

from torch import Tensor

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators._common import (
    RELAXED,
    Objective,
    TemperedEstimator,
    frozen,
    log_ratios,
    relaxed,
    sample_loss,
)
from discrete_gan.estimators.claims import Claims


class GumbelSoftmax(TemperedEstimator):
    r"""Gumbel-softmax estimator, :math:`x = \operatorname{softmax}((l + G) / \tau)` (binary Concrete for D bits).

    Exact for the relaxed samples, biased for the discrete ones: the discriminator sees points between the
    categories. Costs ``num_samples`` discriminator evaluations per latent, each with a backward pass.

    Args:
        temperature: :math:`\tau > 0` of the first call.
        hard: Discrete forward, relaxed backward (straight-through Gumbel-softmax).
        num_samples: M, relaxed samples per latent.
        objective: ``"non-saturating"`` descends -log D(x) = log(1 + 1/w), ``"log-ratio"`` descends -log w, the
            reverse KL.
        annealing_rate: r of :class:`Temperature`; 0 keeps the temperature constant.
        min_temperature: Where annealing stops.

    Raises:
        ValueError: If a temperature is not above 0, M is below 1 or the objective is unknown.
    """

    def __init__(
        self,
        temperature: float = 0.5,
        hard: bool = False,
        num_samples: int = 1,
        objective: Objective = "non-saturating",
        annealing_rate: float = 0.0,
        min_temperature: float = 0.1,
    ) -> None:
        super().__init__(temperature, num_samples, objective, annealing_rate, min_temperature)
        self.hard = hard

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        bias = "first order, grows with the temperature" if self.hard else "vanishes with the temperature"
        return Claims(self.objective, bias, self.num_samples, "Jang et al. 2017, arXiv 1611.01144", RELAXED)

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution has no relaxation.
        """
        g = relaxed(generator(z), self)
        x = g.rsample((self.num_samples,), temperature=self.schedule(), hard=self.hard)
        with frozen(discriminator):
            return sample_loss(log_ratios(discriminator, x), self.objective).mean(dim=0)


def st_gumbel_softmax(
    temperature: float = 0.5,
    num_samples: int = 1,
    objective: Objective = "non-saturating",
    annealing_rate: float = 0.0,
    min_temperature: float = 0.1,
) -> GumbelSoftmax:
    """Straight-through Gumbel-softmax: :class:`GumbelSoftmax` with ``hard=True``."""
    return GumbelSoftmax(temperature, True, num_samples, objective, annealing_rate, min_temperature)
