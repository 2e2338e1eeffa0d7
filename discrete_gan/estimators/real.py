"""Real samples for the estimators that look at them."""

import functools
import inspect
from collections.abc import Callable

from torch import Tensor, nn

from discrete_gan.estimators.spec import Estimator


def with_real(estimator: Callable[..., Tensor], real: Tensor) -> Estimator:
    """The estimator on a batch of real samples, if it takes one; else the estimator itself.

    It takes one if its call, ``forward`` of a module, has a parameter named ``real``: as
    ``BoundarySeeking(over="union")`` does, or a function ``(generator, discriminator, z, *, real)``. So training code
    serves both kinds with one line, ``with_real(estimator, real)(generator, discriminator, z)``.

    Args:
        estimator: Any estimator.
        real: Real samples, shape (R, *event). Detached.

    Returns:
        ``functools.partial(estimator, real=real)``, or ``estimator``.
    """
    call = estimator.forward if isinstance(estimator, nn.Module) else estimator
    if "real" not in inspect.signature(call).parameters:
        return estimator
    return functools.partial(estimator, real=real.detach())
