"""Generative adversarial training of discrete data with score-function estimators.

After ``import discrete_gan as dg`` its parts are there as ``dg.weights``, ``dg.estimators`` and so on, each imported
when it is first used. torch and numpy are enough for the library: data, distributions, divergences, estimators, losses,
metrics, models, reweighted models and weights. The lab, the tasks, training and reports need the ``train`` extra, as
does ``dg.load("runs/text")``, a trained run.
"""

import importlib.util
from typing import TYPE_CHECKING

__version__ = "0.2.0"

if TYPE_CHECKING:
    from discrete_gan import data as data
    from discrete_gan import distributions as distributions
    from discrete_gan import divergences as divergences
    from discrete_gan import estimators as estimators
    from discrete_gan import lab as lab
    from discrete_gan import losses as losses
    from discrete_gan import metrics as metrics
    from discrete_gan import models as models
    from discrete_gan import report as report
    from discrete_gan import reweighted as reweighted
    from discrete_gan import tasks as tasks
    from discrete_gan import training as training
    from discrete_gan import weights as weights
    from discrete_gan.table_gan import TableGAN as TableGAN
    from discrete_gan.trained import load as load
else:
    _LIBRARY = (
        "data",
        "distributions",
        "divergences",
        "estimators",
        "losses",
        "metrics",
        "models",
        "reweighted",
        "weights",
    )
    _TRAIN_EXTRA = ("TableGAN", "lab", "load", "report", "tasks", "training")
    _FUNCTIONS = {"TableGAN": "table_gan", "load": "trained"}  # and where each is

    def __getattr__(name: str) -> object:
        """A part of the package, imported when it is asked for."""
        if name not in _LIBRARY + _TRAIN_EXTRA:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            if name in _FUNCTIONS:
                return getattr(importlib.import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if str(error.name).startswith(__name__):
                raise  # of the package itself, which nothing that can be installed mends
            message = f"{__name__}.{name} needs {error.name}: pip install 'discrete-gan[train]'"
            raise ImportError(message, name=error.name) from error

    def __dir__() -> list[str]:
        """The parts that can be imported: completion looks at each, and gives up where one is an error."""
        extra = _TRAIN_EXTRA if importlib.util.find_spec("lightning_fabric") else ()
        return ["__version__", *_LIBRARY, *extra]
