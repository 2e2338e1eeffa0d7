"""Gradient estimators: callables ``(generator, discriminator, z) -> loss`` of shape (B,).

The gradient of the loss with respect to the generator is the estimate. Any function of that signature is an
estimator too: there is nothing to register and nothing to inherit.
"""

from discrete_gan.estimators.boundary_seeking import BoundarySeeking, boundary_seeking_loss
from discrete_gan.estimators.gumbel_softmax import GumbelSoftmax
from discrete_gan.estimators.reinforce import Reinforce, leave_one_out_loss, reinforce_loss
from discrete_gan.estimators.spec import ESTIMATORS, Estimator, parse_estimator
from discrete_gan.estimators.straight_through import StraightThrough, straight_through

__all__ = [
    "ESTIMATORS",
    "BoundarySeeking",
    "Estimator",
    "GumbelSoftmax",
    "Reinforce",
    "StraightThrough",
    "boundary_seeking_loss",
    "leave_one_out_loss",
    "parse_estimator",
    "reinforce_loss",
    "straight_through",
]
