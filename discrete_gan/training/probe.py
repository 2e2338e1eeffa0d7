"""How noisy the generator's gradient is in the middle of a run, layer by layer."""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical, as_factorized
from discrete_gan.estimators import BoundarySeeking, Estimate, Reinforce, adapted
from discrete_gan.labels import labeled
from discrete_gan.seeds import seeded

_CHUNK = 64  # samples of the reference at a time
_OWN_REDRAWS = 64


class _Batch(NamedTuple):
    """What every redraw starts from."""

    generator: Conditional
    discriminator: Discriminator
    z: Tensor
    real: Tensor | None
    labels: Tensor | None


def probe(
    estimator: Callable[..., Tensor],
    generator: Conditional,
    discriminator: Discriminator,
    z: Tensor,
    *,
    real: Tensor | None = None,
    labels: Tensor | None = None,
    seed: int,
    step: int,
    num_redraws: int = 16,
    num_reference: int = 1024,
) -> dict[str, Tensor]:
    r"""Draw the generator's gradient several times on the same latents, and compare.

    Every redraw starts from copies of networks and estimator as they are, so that nothing of the run is touched:
    neither modes, buffers, gradients nor random state. Only what an estimator keeps in global variables is beyond it.

    With :math:`g_r` the gradients of ``estimator(...).mean()``, R of them, and :math:`\bar g` their mean, for the
    parameters of each module and, under ``all``, for all parameters together:

    - ``variance``, the trace of their covariance, :math:`v = \frac{1}{R-1} \sum_r \|g_r - \bar g\|^2`;
    - ``snr``, :math:`\max(0, \|\bar g\|^2 - v / R) / v`: the mean's squared length is corrected for the mean's own
      noise, so that pure noise is 0 on average but for the clipping. The largest float where there is no noise;
    - ``cosine``, the mean cosine of :math:`g_r` to a reference gradient of many samples, which descends what the
      estimator claims to: low for noise and for bias.

    The reference of the reweighted target is :class:`BoundarySeeking` with ``num_reference`` samples, that of a
    reward is leave-one-out :class:`Reinforce` with as many; for any other estimator, one that claims nothing among
    them, it is the mean of 64 redraws of its own, and the cosine shows no bias.

    Costs ``num_redraws`` calls of the estimator and the reference: ``num_reference`` discriminator evaluations per
    latent (or 64 calls more), without a backward pass through the discriminator. Keeps ``num_redraws`` gradients.

    Args:
        estimator: Returns one loss per latent, shape (B,).
        generator: In the mode it trains in.
        discriminator: In the mode it trains in.
        z: Latents, shape (B, latent_dim); the same ones at each probe make probes comparable.
        real: Real samples, shape (R, *event), for an estimator that takes them.
        labels: Classes, int64, shape (B,), of conditional networks.
        seed: Of the run.
        step: Of the run; each has its own draws.
        num_redraws: R.
        num_reference: Samples per latent of the reference, drawn 64 at a time.

    Returns:
        Scalars on the device, none of them read back, under ``probe/LAYER/variance`` and so on. LAYER is the name of
        the module that owns the parameters, ``root`` for the generator itself.

    Raises:
        ValueError: If R is below 2.
    """
    check_at_least("num_redraws", num_redraws, 2, "a variance needs two")
    estimate, batch = adapted(estimator), _Batch(generator, discriminator, z, real, labels)
    with seeded(seed, "probe", step):
        reference = _reference(estimate, batch, num_reference)
        redraws = [_gradient(estimate, batch) for _ in range(num_redraws)]
    result = {}
    for layer in reference:
        rows = torch.stack([gradient[layer] for gradient in redraws])
        mean, variance = rows.mean(dim=0), rows.var(dim=0).sum()
        signal = mean.square().sum() - variance / num_redraws
        result[f"probe/{layer}/variance"] = variance
        result[f"probe/{layer}/snr"] = (signal.clamp(min=0) / variance).nan_to_num()
        result[f"probe/{layer}/cosine"] = F.cosine_similarity(rows, reference[layer][None], eps=1e-30).mean()
    return result


def _gradient(estimate: Estimate, batch: _Batch) -> dict[str, Tensor]:
    """One gradient, flattened, by layer and for all parameters. Works on copies."""
    estimate, generator, discriminator = copy.deepcopy((estimate, batch.generator, batch.discriminator))
    parameters = {name: value for name, value in generator.named_parameters() if value.requires_grad}
    with torch.enable_grad():
        loss = estimate(generator, discriminator, batch.z, real=batch.real, labels=batch.labels).mean()
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True, materialize_grads=True)
    torch.clear_autocast_cache()  # it would keep every copy
    flat = [gradient.flatten() for gradient in gradients]
    layers: dict[str, list[Tensor]] = {}
    for name, gradient in zip(parameters, flat, strict=True):
        layers.setdefault(name.rpartition(".")[0] or "root", []).append(gradient)
    return {layer: torch.cat(parts) for layer, parts in {**layers, "all": flat}.items()}


def _reference(estimate: Estimate, batch: _Batch, num_samples: int) -> dict[str, Tensor]:
    """Gradient of the estimator's own target, with little noise."""
    target, calls = getattr(getattr(_innermost(estimate), "claims", None), "target", None), 1
    if target == "reweighted":
        g = labeled(copy.deepcopy(batch.generator), batch.labels)(batch.z)
        factorized = isinstance(as_factorized(g), FactorizedBernoulli | FactorizedCategorical)
        estimate = adapted(BoundarySeeking(num_samples, chunk_size=_CHUNK if factorized else None))
    elif target in ("log-ratio", "non-saturating"):
        estimate, calls = adapted(Reinforce(_CHUNK, objective=target)), max(num_samples // _CHUNK, 1)
    else:
        calls = _OWN_REDRAWS
    total = _gradient(estimate, batch)
    for _ in range(calls - 1):
        total = {layer: total[layer] + more for layer, more in _gradient(estimate, batch).items()}
    return {layer: value / calls for layer, value in total.items()}


def _innermost(estimator: object) -> object:
    """What wrappers and partial applications stand around."""
    while True:
        inner = inspect.unwrap(estimator) if callable(estimator) else estimator
        inner = inner.func if isinstance(inner, functools.partial) else inner
        if inner is estimator:
            return inner
        estimator = inner
