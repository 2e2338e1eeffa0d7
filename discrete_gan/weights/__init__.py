r"""Importance weights from log-ratios: the heart of the reweighted GAN, usable in any model.

A discriminator trained to optimality gives :math:`\log w(x) = \log p_{data}(x) / p_g(x)`, so samples of the
generator weighted by :math:`w` are samples of the data. Every function here takes ``log_w`` of shape (M, B), M samples
for each of B latents, or of any other shape with the samples along ``dim``, in nats, of any floating-point type;
half-precision input is computed and returned in float32. ``where`` says which samples are there. All are
differentiable where that makes sense, none reads a value back from the device unless asked (``check``), and all
compile.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    Pareto Smoothed Importance Sampling (Vehtari et al., 2024), https://arxiv.org/abs/1507.02646
"""

from discrete_gan._deprecated import Renamed, renamed
from discrete_gan.weights.accumulator import Accumulator
from discrete_gan.weights.diagnosis import Measure, WeightDiagnostics, diagnose, effective_sample_size
from discrete_gan.weights.estimates import (
    Expectation,
    LeaveOneOut,
    expectation,
    leave_one_out,
    log_partition,
    log_partition_error,
)
from discrete_gan.weights.losses import dreg_loss, importance_loss, iwae_loss, wake_phi_loss, wake_theta_loss
from discrete_gan.weights.normalized import Over, log_normalized_weights, normalized_weights, union_weights
from discrete_gan.weights.pareto import ParetoSmoothed, pareto_tail_index, psis, tail_index_threshold
from discrete_gan.weights.resampling import METHODS, Method, Resampled, resample, resample_if, take
from discrete_gan.weights.tempering import Tempered, tempered, truncated

RENAMED = {"StreamingMean": Renamed("Accumulator", since="0.2")}
__getattr__ = renamed(__name__, RENAMED)

__all__ = [
    "METHODS",
    "Accumulator",
    "Expectation",
    "LeaveOneOut",
    "Measure",
    "Method",
    "Over",
    "ParetoSmoothed",
    "Resampled",
    "Tempered",
    "WeightDiagnostics",
    "diagnose",
    "dreg_loss",
    "effective_sample_size",
    "expectation",
    "importance_loss",
    "iwae_loss",
    "leave_one_out",
    "log_normalized_weights",
    "log_partition",
    "log_partition_error",
    "normalized_weights",
    "pareto_tail_index",
    "psis",
    "resample",
    "resample_if",
    "tail_index_threshold",
    "take",
    "tempered",
    "truncated",
    "union_weights",
    "wake_phi_loss",
    "wake_theta_loss",
]
