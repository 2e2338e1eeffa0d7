"""Estimators by name, as the command line gives them."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.errors import InputError, unknown_name
from discrete_gan.estimators.arm import Arm, Arms, DisArm
from discrete_gan.estimators.boundary_seeking import BoundarySeeking, maligan
from discrete_gan.estimators.checks import checked_loss
from discrete_gan.estimators.controlled import ControlledBoundarySeeking
from discrete_gan.estimators.exact import Exact
from discrete_gan.estimators.gumbel_rao import GumbelRao
from discrete_gan.estimators.gumbel_softmax import GumbelSoftmax, st_gumbel_softmax
from discrete_gan.estimators.likelihood import MaximumLikelihood
from discrete_gan.estimators.mixed_maligan import MixedMaliGAN
from discrete_gan.estimators.nvil import Nvil
from discrete_gan.estimators.rebar import Rebar, Relax
from discrete_gan.estimators.reinforce import Reinforce
from discrete_gan.estimators.reinmax import ReinMax
from discrete_gan.estimators.seqgan import SeqGAN
from discrete_gan.estimators.stepwise import StepwiseBoundarySeeking
from discrete_gan.estimators.stepwise_reinforce import StepwiseReinforce, scratchgan
from discrete_gan.estimators.straight_through import SlopeAnnealedStraightThrough, StraightThrough
from discrete_gan.estimators.taylor import DoubleCV, MuProp
from discrete_gan.estimators.union import UnionBoundarySeeking
from discrete_gan.estimators.vimco import Vimco
from discrete_gan.own import blaming, load_own, parse_options
from discrete_gan.ranges import TOO_LARGE

Estimator = Callable[[Conditional, Discriminator, Tensor], Tensor]

ESTIMATORS: dict[str, Callable[..., Estimator]] = {
    "boundary-seeking": BoundarySeeking,
    "boundary-seeking-cv": ControlledBoundarySeeking,
    "maligan": maligan,
    "vimco": Vimco,
    "reinforce": Reinforce,
    "nvil": Nvil,
    "muprop": MuProp,
    "double-cv": DoubleCV,
    "arm": Arm,
    "disarm": DisArm,
    "arms": Arms,
    "rebar": Rebar,
    "relax": Relax,
    "straight-through": StraightThrough,
    "slope-annealed": SlopeAnnealedStraightThrough,
    "reinmax": ReinMax,
    "gumbel-softmax": GumbelSoftmax,
    "st-gumbel-softmax": st_gumbel_softmax,
    "gumbel-rao": GumbelRao,
    "exact": Exact,
}

# Those that know about the tokens of a sequence, or need real samples, which the lab's problems have not.
SEQUENCE_ESTIMATORS: dict[str, Callable[..., Estimator]] = {
    "mle": MaximumLikelihood,
    "boundary-seeking-steps": StepwiseBoundarySeeking,
    "reinforce-steps": StepwiseReinforce,
    "scratchgan": scratchgan,
    "seqgan": SeqGAN,
    "maligan-mixed": MixedMaliGAN,
    "boundary-seeking-union": UnionBoundarySeeking,
}


def parse_estimator(spec: str) -> Estimator:
    """An estimator by name, or the user's own from a file, with options as ``KEY=VALUE,KEY=VALUE`` after a colon.

    Args:
        spec: For instance ``boundary-seeking:num_samples=10,over=batch``, ``mine.py:estimator`` or
            ``mine.py:Estimator:alpha=0.5``; in a file, a function, a class or an instance of one. The options of a
            function are its parameters with a default, after generator, discriminator and z, but for ``real`` and
            ``labels`` (:func:`discrete_gan.estimators.adapted`).

    Returns:
        The estimator. The user's own is held to what an estimator returns, and what it raises becomes an
        ``InputError`` that says where; a module of the user's remains one.

    Raises:
        InputError: If the name, an option or a value is not one, or the file does not work or holds no such function.

    Example:
        >>> parse_estimator("boundary-seeking:num_samples=4")
        BoundarySeeking(num_samples=4, over='samples', zero_sum=True, chunk_size=None)
        >>> parse_estimator("reinforce:num_samples=8").claims.bias
        'none'
    """
    name, _, rest = spec.partition(":")
    if name.endswith(".py"):
        return _from_file(spec)
    known = ESTIMATORS | SEQUENCE_ESTIMATORS
    if name not in known:
        raise unknown_name("estimator", name, known)
    options = parse_options(f"estimator {name}", inspect.signature(known[name]).parameters.values(), rest)
    for key, value in options.items():
        if isinstance(value, int | float) and not abs(value) < TOO_LARGE:
            raise InputError(f"estimator {name}: {key}: expected a number below {TOO_LARGE:,}, got {value}")
    try:
        return known[name](**options)
    except ValueError as error:
        raise InputError(f"estimator {name}: {error}") from None


def _from_file(spec: str) -> Estimator:
    found, text, path = load_own("estimator", spec)
    name = ":".join(spec.split(":")[:2])
    what = f"estimator {name}"
    with blaming(what, path):
        parameters = list(inspect.signature(found).parameters.values())
    if isinstance(found, type):
        options = parse_options(what, [each for each in parameters if each.kind not in _VARIADIC], text)
        with blaming(what, path):
            return _hold(found(**options), spec, name, path)
    defaults = [each for each in parameters[3:] if each.default is not each.empty and each.name not in _GIVEN]
    options = parse_options(what, defaults, text)
    return _hold(functools.partial(found, **options) if options else found, spec, name, path)


_GIVEN = ("real", "labels")  # by whoever calls the estimator
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _hold(function: Callable[..., Any], spec: str, name: str, path: Path) -> Estimator:
    """The user's estimator, checked at each call."""
    if not isinstance(function, nn.Module):
        return _UserEstimator(function, spec, name, path)
    # The module itself, so that its state stays its own under its own names; of a class whose forward is checked.
    kind = type(function)

    @functools.wraps(kind.forward)
    def forward(
        self: nn.Module, generator: Conditional, discriminator: Discriminator, z: Tensor, **options: Any
    ) -> Tensor:
        with blaming(f"estimator {name}", path):
            loss = kind.forward(self, generator, discriminator, z, **options)
        return checked_loss(loss, len(z), name)

    function.__class__ = type(kind.__name__, (kind,), {"forward": forward})
    return function


class _UserEstimator:
    """A function of the user's as an estimator: same signature, printed as the user wrote it."""

    __wrapped__: Callable[..., Any]

    def __init__(self, function: Callable[..., Any], spec: str, name: str, path: Path) -> None:
        functools.update_wrapper(self, function)
        self._spec, self._name, self._path = spec, name, path

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor, **options: Any) -> Tensor:
        with blaming(f"estimator {self._name}", self._path):
            loss = self.__wrapped__(generator, discriminator, z, **options)
        return checked_loss(loss, len(z), self._name)

    def __repr__(self) -> str:
        return self._spec
