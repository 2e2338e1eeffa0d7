"""Two and four processes, each with its share of the batch, give value, gradient and state of one with all of it."""

import inspect
import pkgutil
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from types import ModuleType

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric

from discrete_gan import losses, metrics
from discrete_gan.distributed import (
    gather,
    mean_over_batch,
    mean_over_processes,
    num_processes,
    process_rank,
    whole_batch,
)
from discrete_gan.divergences import DIVERGENCES
from discrete_gan.estimators import ESTIMATORS, SEQUENCE_ESTIMATORS
from discrete_gan.models import layers
from discrete_gan.weights import Accumulator
from tests.problems import assert_exact, seeded_normal
from tests.processes.estimator_cases import ESTIMATES, estimate_results
from tests.processes.layer_cases import LAYERS, layer_results
from tests.processes.loss_cases import LOSSES, NO_LOSSES, loss_results
from tests.processes.metric_cases import FUNCTIONS, METRICS, metric_results
from tests.processes.spawn import Cases, Results, on_processes, run_cases, share

ROWS = seeded_normal(8, 3, seed=1)
CASES: Cases = {
    "gather": lambda: {"value": gather(share(ROWS).T)},
    "mean": lambda: {"value": mean_over_processes(share(ROWS).mean())},
    "accumulator": lambda: accumulated(share(ROWS)),
    **{f"loss {name}": partial(loss_results, name) for name in LOSSES},
    **{f"estimator {name}": partial(estimate_results, name) for name in ESTIMATES},
    **{f"layer {name}": partial(layer_results, name) for name in LAYERS},
    **{f"metric {name}": partial(metric_results, name, alone=False) for name in METRICS},
    **{f"metric {name}, on one alone": partial(metric_results, name, alone=True) for name in METRICS},
    **{f"function {name}": lambda name=name: {"value": FUNCTIONS[name]()} for name in FUNCTIONS},
}


def accumulated(log_w: Tensor) -> dict[str, Tensor]:
    """What an accumulator says that has taken in the samples of every process."""
    found = Accumulator(errors=True)
    found.update(log_w, log_w.sin())
    found.all_reduce()
    sizes = {"size": found.effective_sample_size, "partition": found.log_partition, "number": torch.tensor(found.count)}
    return {"mean": found.weighted, "plain": found.plain, "error": found.standard_error, **sizes}


def cases() -> Cases:
    return CASES


@pytest.fixture(scope="module")
def expected() -> Results:
    return run_cases(CASES)


@pytest.fixture(scope="module", params=[pytest.param(2, id="two"), pytest.param(4, id="four", marks=pytest.mark.slow)])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    return on_processes(cases, request.param, tmp_path_factory.mktemp("processes"))


@pytest.mark.parametrize("name", CASES)
def test_processes_equal_one(name: str, found: list[Results], expected: Results) -> None:
    for each in found:
        assert each[name].keys() == expected[name].keys()
        for key, value in expected[name].items():
            assert_exact(each[name][key], value, rtol=1e-11)
    # A gradient of zero would be equal whatever becomes of it; states may well be as they began.
    assert all(bool((value != 0).any()) for key, value in expected[name].items() if not key.startswith("state"))


def offered(module: ModuleType) -> set[str]:
    """Functions and classes of a module, its own or those that it names in ``__all__``."""
    own = getattr(module, "__all__", None)
    return {
        name
        for name, value in vars(module).items()
        if (inspect.isfunction(value) or inspect.isclass(value))
        and (name in own if own else value.__module__ == module.__name__ and not name.startswith("_"))
    }


def names(cases: Iterable[str]) -> set[str]:
    """Of cases, without what is special about them."""
    return {case.partition(",")[0] for case in cases}


def test_every_loss_and_divergence_has_a_case() -> None:
    modules = [each.name for each in pkgutil.iter_modules(losses.__path__) if not each.name.startswith("_")]
    functions = {f"{name}.{each}" for name in modules for each in offered(import_module(f"{losses.__name__}.{name}"))}
    assert names(LOSSES) | NO_LOSSES.keys() == functions | {f"divergences.{name}" for name in DIVERGENCES}


def test_every_estimator_layer_and_metric_has_a_case() -> None:
    assert {spec.partition(":")[0] for _, spec in ESTIMATES.values()} == ESTIMATORS.keys() | SEQUENCE_ESTIMATORS.keys()
    assert names(LAYERS) == offered(layers)
    classes = {name for name in metrics.__all__ if inspect.isclass(getattr(metrics, name))}
    assert METRICS.keys() == {name for name in classes if issubclass(getattr(metrics, name), Metric)}


def test_one_process_changes_nothing() -> None:
    assert (num_processes(), process_rank()) == (1, 0)
    value = torch.ones(2, 3, requires_grad=True)
    for result in (gather(value), mean_over_processes(value)):
        assert torch.equal(result, value)
        assert not result.requires_grad
    assert whole_batch(value) is value
    assert torch.equal(mean_over_batch(value), value.mean(dim=0))
