r"""REBAR and RELAX: the score function with a relaxed control variate, coupled by conditional noise.

References:
    REBAR: Low-variance, Unbiased Gradient Estimates for Discrete Latent Variable Models (Tucker et al., 2017),
    https://arxiv.org/abs/1703.07370
    Backpropagation through the Void (Grathwohl et al., 2018), https://arxiv.org/abs/1711.00123
"""

import math

import torch
from torch import Tensor, nn

from discrete_gan._arguments import check_at_least, check_choice, check_positive
from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators._common import (
    FACTORIZED,
    OBJECTIVES,
    Factorized,
    Objective,
    factorized,
    frozen,
    log_ratios,
    loss_of_gradient,
    per_sample,
    sample_loss,
    sum_over_event,
)
from discrete_gan.estimators.claims import Claims
from discrete_gan.estimators.stateful import SizedLinear, StatefulEstimator


class Rebar(StatefulEstimator):
    r"""REBAR estimator: Concrete samples from the same noise as a control variate for the discrete ones.

    With perturbed logits :math:`\zeta`, the sample x they round to, :math:`\tilde\zeta` drawn anew given x, and
    :math:`c(\zeta) = \eta f(\operatorname{softmax}(\zeta / \tau))`:

    .. math:: (f(x) - c(\tilde\zeta)) \nabla \log g(x \mid z) + \nabla c(\zeta) - \nabla c(\tilde\zeta)

    Unbiased (see ``Claims.unbiased``) for any :math:`\eta` and :math:`\tau`. Costs 3 ``num_samples`` discriminator
    evaluations per latent, two of the three with a backward pass, and a second backward pass while it learns.

    Args:
        num_samples: M, samples per latent.
        temperature: :math:`\tau > 0`, or where it starts.
        scale: :math:`\eta`, or where it starts.
        learn: Make :math:`\eta` and :math:`\log \tau` parameters that descend the squared length of the estimate,
            whose expectation is its variance and a constant.
        objective: f, the loss of a sample: ``"log-ratio"``, -log w, for the reverse KL, or ``"non-saturating"``.

    Raises:
        ValueError: If M is below 1, the temperature is not above 0 or the objective is unknown.
    """

    objective: Objective

    def __init__(
        self,
        num_samples: int = 1,
        temperature: float = 0.5,
        scale: float = 1.0,
        learn: bool = True,
        objective: Objective = "log-ratio",
    ) -> None:
        super().__init__()
        check_at_least("num_samples", num_samples, 1)
        check_positive("temperature", temperature)
        check_choice("objective", objective, OBJECTIVES)
        self.num_samples, self.temperature, self.scale = num_samples, temperature, scale
        self.learn, self.objective = learn, objective
        self.log_tau = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad=learn)
        self.eta = nn.Parameter(torch.tensor(float(scale)), requires_grad=learn)

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        return Claims(
            self.objective, "none", 3 * self.num_samples, "Tucker et al. 2017, arXiv 1703.07370", accepts=FACTORIZED
        )

    def control(self, discriminator: Discriminator, g: Factorized, perturbed: Tensor) -> Tensor:
        """Control variate of perturbed logits (M, B, *event), shape (M, B). Carries gradient to both."""
        return self.eta * sample_loss(log_ratios(discriminator, g.relax(perturbed, self.log_tau.exp())), self.objective)

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator, and this module's parameters.

        Raises:
            TypeError: If the generator's distribution has no relaxation.
        """
        g = factorized(generator(z), self)
        # A copy of the distribution on leaf logits: its graph ends there, whatever the generator is.
        logits = at_least_float32(g.logits.detach()).requires_grad_()
        with torch.enable_grad(), frozen(discriminator):
            copy = type(g)(logits)
            perturbed = copy.perturbed_logits((self.num_samples,))
            x = copy.discretize(perturbed)
            perturbed_given = copy.perturbed_logits_given(x)
            with torch.no_grad():
                losses = sample_loss(log_ratios(discriminator, x), self.objective)
            control, control_given = (self.control(discriminator, copy, each) for each in (perturbed, perturbed_given))
            (pathwise,) = torch.autograd.grad(
                (control - control_given).mean(dim=0).sum(), logits, create_graph=self.learn, retain_graph=True
            )
            score = x - copy.mean.detach()
            gradient = pathwise + (per_sample(losses - control_given, x) * score).mean(dim=0)
            loss = loss_of_gradient(g, gradient)
            if not self.learn:
                return loss
            length = sum_over_event(gradient.square(), batch_dims=1)
            return loss + (length - length.detach())


class Relax(Rebar):
    r"""RELAX estimator: :class:`Rebar` whose control variate has a learned network added.

    :math:`c(\zeta) = \eta f(\operatorname{softmax}(\zeta / \tau)) + r(\zeta)`, with r of one hidden layer and zero
    at first. Unbiased for any network. Costs what REBAR costs.

    Args:
        num_samples: M, samples per latent.
        temperature: Where :math:`\tau > 0` starts.
        scale: Where :math:`\eta` starts.
        hidden: Width of the network's layer.
        objective: f, the loss of a sample: ``"log-ratio"``, -log w, for the reverse KL, or ``"non-saturating"``.

    Raises:
        ValueError: If M or the width is below 1, the temperature is not above 0 or the objective is unknown.
    """

    def __init__(
        self,
        num_samples: int = 1,
        temperature: float = 0.5,
        scale: float = 1.0,
        hidden: int = 64,
        objective: Objective = "log-ratio",
    ) -> None:
        super().__init__(num_samples, temperature, scale, learn=True, objective=objective)
        check_at_least("hidden", hidden, 1)
        self.hidden = hidden
        output = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(output.weight)
        self.surrogate = nn.Sequential(SizedLinear(hidden), nn.Tanh(), output)

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        return Claims(
            self.objective, "none", 3 * self.num_samples, "Grathwohl et al. 2018, arXiv 1711.00123", accepts=FACTORIZED
        )

    def control(self, discriminator: Discriminator, g: Factorized, perturbed: Tensor) -> Tensor:
        """Control variate of perturbed logits (M, B, *event), shape (M, B). Carries gradient to both."""
        # What is ruled out adds nothing to the network's first layer, as if it were not there.
        seen = perturbed.masked_fill(perturbed.isinf(), 0).flatten(2)
        return super().control(discriminator, g, perturbed) + self.surrogate(seen).squeeze(-1)
