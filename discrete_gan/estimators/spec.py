"""Estimators by name, as the command line gives them."""

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from discrete_gan.errors import InputError, unknown_name
from discrete_gan.estimators.arm import Arm, DisArm
from discrete_gan.estimators.boundary_seeking import BoundarySeeking, maligan
from discrete_gan.estimators.controlled import ControlledBoundarySeeking
from discrete_gan.estimators.exact import Exact
from discrete_gan.estimators.gumbel_rao import GumbelRao
from discrete_gan.estimators.gumbel_softmax import GumbelSoftmax, st_gumbel_softmax
from discrete_gan.estimators.nvil import Nvil
from discrete_gan.estimators.rebar import Rebar, Relax
from discrete_gan.estimators.reinforce import Reinforce
from discrete_gan.estimators.reinmax import ReinMax
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


def parse_estimator(spec: str) -> Estimator:
    """An estimator from ``NAME`` or ``NAME:OPTION=VALUE,OPTION=VALUE``, or the user's own from ``FILE.py:FUNCTION``.

    Args:
        spec: For instance ``boundary-seeking:num_samples=10,over=batch`` or ``mine.py:estimator``.

    Returns:
        The estimator.

    Raises:
        InputError: If the name, an option or a value is not one, or the file holds no such function.
    """
    name, _, rest = spec.partition(":")
    if name.endswith(".py"):
        return _from_file(Path(name), rest)
    if name not in ESTIMATORS:
        raise unknown_name("estimator", name, ESTIMATORS)
    defaults = {key: parameter.default for key, parameter in inspect.signature(ESTIMATORS[name]).parameters.items()}
    options: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        key, equals, text = item.partition("=")
        key = key.strip().replace("-", "_")
        if key not in defaults:
            raise unknown_name(f"option of estimator {name}:", key, defaults)
        if not equals:
            raise InputError(f"estimator {name}: expected {key}=VALUE, got {item!r}")
        options[key] = _value(f"estimator {name}: {key}", text.strip(), defaults[key])
    try:
        return ESTIMATORS[name](**options)
    except ValueError as error:
        raise InputError(f"estimator {name}: {error}") from None


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


def _from_file(path: Path, function: str) -> Estimator:
    if not function.isidentifier():
        raise InputError(f"estimator {path}: expected FILE.py:FUNCTION, got no function name")
    if not path.is_file():
        raise InputError(f"estimator {path}: no such file")
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    assert module_spec is not None and module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    if not callable(found := getattr(module, function, None)):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown_name(f"function in {path}:", function, names)
    return cast(Estimator, found)
