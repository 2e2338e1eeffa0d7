"""The package on a second device, which :mod:`tests.second_device` stands in for.

torch knows one such device a process, and must know it before the first backward pass: it is tried in a process of its
own, and the other tests never see it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils import backend_registration

ROOT = Path(__file__).parents[1]
FILES = [f"tests/second_device_{name}.py" for name in ("itself", "cases", "runs")]
NEEDS_PYTHON_BACKENDS = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch has no devices written in Python",
)


def run(*options: str) -> None:
    """pytest on the files, whose failures become this test's."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *options, *FILES]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}"
    assert " passed" in finished.stdout


@NEEDS_PYTHON_BACKENDS
def test_the_package_runs_on_a_second_device() -> None:
    run()


@pytest.mark.slow
@NEEDS_PYTHON_BACKENDS
def test_more_recipes_run_on_a_second_device() -> None:
    run("-m", "slow")


def test_other_tests_see_no_second_device() -> None:
    assert "tests.second_device" not in sys.modules
    assert torch._C._get_privateuse1_backend_name() == "privateuseone"
    assert not hasattr(torch, "second")
