"""Gradient estimators: callables ``(generator, discriminator, z) -> loss`` of shape (B,).

The gradient of the loss with respect to the generator is the estimate. Any function of that signature is an
estimator too: there is nothing to register and nothing to inherit. One that also needs real samples or labels takes
them as ``real`` and ``labels``, and whoever trains calls any estimator by the one signature of :func:`adapted`.
"""

from discrete_gan.estimators._common import Objective
from discrete_gan.estimators.adapt import Estimate, adapted
from discrete_gan.estimators.arm import Arm, Arms, DisArm, arm_gradient, arms_gradient, disarm_gradient
from discrete_gan.estimators.boundary_seeking import BoundarySeeking, boundary_seeking_loss, maligan
from discrete_gan.estimators.claims import TARGETS, Claims, Target
from discrete_gan.estimators.controlled import ControlledBoundarySeeking
from discrete_gan.estimators.exact import Exact
from discrete_gan.estimators.gumbel_rao import GumbelRao
from discrete_gan.estimators.gumbel_softmax import GumbelSoftmax, st_gumbel_softmax
from discrete_gan.estimators.likelihood import MaximumLikelihood
from discrete_gan.estimators.mixed_maligan import MixedMaliGAN, mixed_loss
from discrete_gan.estimators.nvil import Nvil
from discrete_gan.estimators.rebar import Rebar, Relax
from discrete_gan.estimators.reinforce import Reinforce, leave_one_out_loss, reinforce_loss
from discrete_gan.estimators.reinmax import ReinMax, reinmax_gradient
from discrete_gan.estimators.seqgan import SeqGAN
from discrete_gan.estimators.spec import ESTIMATORS, SEQUENCE_ESTIMATORS, Estimator, parse_estimator
from discrete_gan.estimators.stateful import StatefulEstimator
from discrete_gan.estimators.stepwise import StepwiseBoundarySeeking, stepwise_boundary_seeking_loss
from discrete_gan.estimators.stepwise_reinforce import (
    StepwiseReinforce,
    discounted_returns,
    scratchgan,
    stepwise_reinforce_loss,
)
from discrete_gan.estimators.straight_through import SlopeAnnealedStraightThrough, StraightThrough, straight_through
from discrete_gan.estimators.taylor import DoubleCV, MuProp
from discrete_gan.estimators.temperature import Temperature
from discrete_gan.estimators.union import UnionBoundarySeeking, softmax_boundary_seeking_loss
from discrete_gan.estimators.vimco import Vimco, vimco_loss

__all__ = [
    "ESTIMATORS",
    "SEQUENCE_ESTIMATORS",
    "TARGETS",
    "Arm",
    "Arms",
    "BoundarySeeking",
    "Claims",
    "ControlledBoundarySeeking",
    "DisArm",
    "DoubleCV",
    "Estimate",
    "Estimator",
    "Exact",
    "GumbelRao",
    "GumbelSoftmax",
    "MaximumLikelihood",
    "MixedMaliGAN",
    "MuProp",
    "Nvil",
    "Objective",
    "Rebar",
    "ReinMax",
    "Reinforce",
    "Relax",
    "SeqGAN",
    "SlopeAnnealedStraightThrough",
    "StatefulEstimator",
    "StepwiseBoundarySeeking",
    "StepwiseReinforce",
    "StraightThrough",
    "Target",
    "Temperature",
    "UnionBoundarySeeking",
    "Vimco",
    "adapted",
    "arm_gradient",
    "arms_gradient",
    "boundary_seeking_loss",
    "disarm_gradient",
    "discounted_returns",
    "leave_one_out_loss",
    "maligan",
    "mixed_loss",
    "parse_estimator",
    "reinforce_loss",
    "reinmax_gradient",
    "scratchgan",
    "softmax_boundary_seeking_loss",
    "st_gumbel_softmax",
    "stepwise_boundary_seeking_loss",
    "stepwise_reinforce_loss",
    "straight_through",
    "vimco_loss",
]
