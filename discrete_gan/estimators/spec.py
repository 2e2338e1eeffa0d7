"""Estimators by name, as the command line gives them."""

import functools
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from discrete_gan.errors import InputError, unknown_name
from discrete_gan.estimators.arm import Arm, DisArm
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
from discrete_gan.estimators.vimco import Vimco

Estimator = Callable[[nn.Module, nn.Module, Tensor], Tensor]

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

# Those that know about the tokens of a sequence, or need real samples: nothing for the lab's problems.
SEQUENCE_ESTIMATORS: dict[str, Callable[..., Estimator]] = {
    "mle": MaximumLikelihood,
    "boundary-seeking-steps": StepwiseBoundarySeeking,
    "reinforce-steps": StepwiseReinforce,
    "scratchgan": scratchgan,
    "seqgan": SeqGAN,
    "maligan-mixed": MixedMaliGAN,
}


def parse_estimator(spec: str) -> Estimator:
    """An estimator by name, or the user's own from a file, with options as ``KEY=VALUE,KEY=VALUE`` behind a colon.

    Args:
        spec: For instance ``boundary-seeking:num_samples=10,over=batch``, ``mine.py:estimator`` or
            ``mine.py:Estimator:alpha=0.5``; in a file, a function, a class or an instance of one. The options of a
            function are its parameters with a default, behind generator, discriminator and z, but for ``real``
            (:func:`discrete_gan.estimators.with_real`).

    Returns:
        The estimator. The user's own is held to what an estimator returns, and what it raises becomes an
        ``InputError`` that says where; a module of the user's remains one.

    Raises:
        InputError: If the name, an option or a value is not one, or the file does not work or holds no such function.
    """
    name, _, rest = spec.partition(":")
    if name.endswith(".py"):
        function, _, options = rest.partition(":")
        return _from_file(spec, name, function, options)
    known = ESTIMATORS | SEQUENCE_ESTIMATORS
    if name not in known:
        raise unknown_name("estimator", name, known)
    options = _options(name, inspect.signature(known[name]).parameters.values(), rest)
    try:
        return known[name](**options)
    except ValueError as error:
        raise InputError(f"estimator {name}: {error}") from None


def _options(name: str, parameters: Iterable[inspect.Parameter], text: str) -> dict[str, Any]:
    """``KEY=VALUE,KEY=VALUE`` as keyword arguments, each of its default's type."""
    defaults = {parameter.name: parameter.default for parameter in parameters}
    options: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        key = key.strip().replace("-", "_")
        if not defaults:
            raise InputError(f"estimator {name}: expected no options, got {text!r}")
        if key not in defaults:
            raise unknown_name(f"option of estimator {name}:", key, defaults)
        if not equals:
            raise InputError(f"estimator {name}: expected {key}=VALUE, got {item!r}")
        options[key] = _value(f"estimator {name}: {key}", value.strip(), defaults[key])
    return options


def _value(name: str, text: str, default: Any) -> Any:
    """Text as the type of the option's default; an option without one by default takes a whole number."""
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise InputError(f"{name}: expected true or false, got {text!r}")
        return text.lower() == "true"
    if isinstance(default, str):
        return text
    kind = float if isinstance(default, float) else int
    try:
        return kind(text)
    except ValueError:
        expected = "a number" if kind is float else "a whole number"
        raise InputError(f"{name}: expected {expected}, got {text!r}") from None


def _from_file(spec: str, file: str, function: str, text: str) -> Estimator:
    name, path = f"{file}:{function}", Path(file)
    if not function.isidentifier():
        raise InputError(f"estimator {file}: expected FILE.py:FUNCTION, got no function name")
    if not path.is_file():
        raise InputError(f"estimator {file}: no such file")
    module_spec = importlib.util.spec_from_file_location(f"estimator_{path.stem}", path)
    assert module_spec is not None and module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # dataclasses look their module up
    with _blaming(name, path):
        module_spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if not callable(found):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown_name(f"function in {path}:", function, names)
    with _blaming(name, path):
        parameters = list(inspect.signature(found).parameters.values())
    if isinstance(found, type):
        options = _options(name, [each for each in parameters if each.kind not in _VARIADIC], text)
        with _blaming(name, path):
            return _hold(found(**options), spec, name, path)
    defaults = [each for each in parameters[3:] if each.default is not each.empty and each.name != "real"]
    options = _options(name, defaults, text)
    return _hold(functools.partial(found, **options) if options else found, spec, name, path)


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _hold(function: Callable[..., Any], spec: str, name: str, path: Path) -> Estimator:
    """The user's estimator, checked at each call."""
    if not isinstance(function, nn.Module):
        return _UserEstimator(function, spec, name, path)
    # The module itself, so that its state stays its own under its own names; of a class whose forward is checked.
    kind = type(function)

    @functools.wraps(kind.forward)
    def forward(self: nn.Module, generator: nn.Module, discriminator: nn.Module, z: Tensor, **options: Any) -> Tensor:
        with _blaming(name, path):
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

    def __call__(self, generator: nn.Module, discriminator: nn.Module, z: Tensor, **options: Any) -> Tensor:
        with _blaming(self._name, self._path):
            loss = self.__wrapped__(generator, discriminator, z, **options)
        return checked_loss(loss, len(z), self._name)

    def __repr__(self) -> str:
        return self._spec


@contextmanager
def _blaming(name: str, path: Path) -> Iterator[None]:
    """What the user's code raises becomes one line that says what and where."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, path)]
        if isinstance(error, SyntaxError) and error.filename and _same(error.filename, path):
            lines.append(error.lineno)
        where = f" ({path}, line {lines[-1]})" if lines else f" ({path})"
        message = error.msg if isinstance(error, SyntaxError) else next(iter(str(error).splitlines()), "")
        raise InputError(f"estimator {name}: {type(error).__name__}: {message}{where}") from error


def _same(filename: str, path: Path) -> bool:
    return Path(filename).resolve() == path.resolve()
