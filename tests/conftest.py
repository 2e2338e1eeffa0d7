"""Fixtures of all tests."""

import functools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from discrete_gan.metrics import classifier

# The tensors of the tests are small: a second thread costs more than it gives.
torch.set_num_threads(1)

# Begun first, so that no process is left with one of them at the end.
_LONG = ("test_second_device.py", "test_train.py", "test_class_recipes.py", "test_evaluate.py", "test_processes.py")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; within each, and among the others, the order is as it was."""
    items.sort(key=lambda item: _LONG.index(item.path.name) if item.path.name in _LONG else len(_LONG))


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Classifiers trained by tests go into a folder of their own, not into the user's; all processes share it."""
    base = tmp_path_factory.getbasetemp()
    os.environ["DISCRETE_GAN_CACHE"] = str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache")


@pytest.fixture(autouse=True, scope="session")
def _short_reports() -> Iterator[None]:
    """Many tests train for a few steps, and scores and pages would take longer: a chart a tenth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        few = functools.partial(classifier.train_classifier, epochs=3)
        patch.setattr("discrete_gan.metrics.classifier.train_classifier", few)
        patch.setattr("discrete_gan.report.run_page._CURVES", 1)
        patch.setattr("discrete_gan.tasks.evaluation._RESAMPLES", 5)
        patch.setattr("discrete_gan.tasks.image_scores._RESAMPLES", 5)
        patch.setattr("discrete_gan.tasks.images._QUICK", 50)
        yield


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data, which only some machines have."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data beside the checkout, expected {SHARED.parent.name}/{SHARED.name}")
    return SHARED


@pytest.fixture(autouse=True, scope="session")
def hang_ups_are_heard() -> None:
    """Under nohup they are ignored, and a test that sends one would wait for ever."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
