"""The files of docs/examples in which weights serve other people's models: what they print is true."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def within_errors(scores: torch.Tensor) -> None:
    """Errors over standard errors: none is far out, and the standard errors are neither too long nor too short."""
    assert scores.abs().max() < 5 and 0.5 < scores.square().mean() < 2


def test_values_of_policies_are_within_their_errors_where_they_can_be_trusted() -> None:
    scope = example("off_policy")
    found, truth = scope["main"]()
    assert (found["k"] <= found["threshold"]).tolist() == [False, True, True, True]
    taste = torch.randn(5, 8, generator=torch.Generator().manual_seed(2))
    logs = (scope["log_of_a_bandit"](1000, taste, seed) for seed in range(1, 31))
    estimates = [scope["evaluate"](*log, taste) for log in logs]
    within_errors(torch.stack([(each["value"] - truth) / each["error"] for each in estimates])[:, 2:])


def test_particles_find_the_likelihood_that_a_kalman_filter_does() -> None:
    scope = example("particle_filter")
    torch.manual_seed(0)
    _, y = scope["simulate"](scope["LINEAR"], 20, 60)
    found, error = scope["log_likelihood"](scope["LINEAR"], y, num_particles=200)
    within_errors((found - scope["kalman_filter"](0.9, scope["LINEAR"], y)) / error)
    other = scope["kalman_filter"](0.8, scope["LINEAR"], y)
    assert ((found - other) / error).square().mean() > 9  # another model is told from this one


def test_a_kalman_filter_is_the_normal_density_of_all_observations() -> None:
    scope = example("particle_filter")
    model, (slope, num) = scope["LINEAR"], (0.9, 4)
    y = torch.randn(num, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = torch.diag(torch.tensor([model.start] + [model.moving] * (num - 1), dtype=torch.float64))
    power = torch.arange(num)[:, None] - torch.arange(num)
    states = torch.where(power >= 0, slope ** power.double(), 0.0) @ noise
    covariance = states @ states.T + model.seeing**2 * torch.eye(num, dtype=torch.float64)
    density = torch.distributions.MultivariateNormal(torch.zeros(num, dtype=torch.float64), covariance)
    torch.testing.assert_close(scope["kalman_filter"](slope, model, y), density.log_prob(y.T))


def test_particles_follow_a_nonlinear_model() -> None:
    scope = example("particle_filter")
    torch.manual_seed(0)
    x, y = scope["simulate"](scope["NONLINEAR"], 30, 10)
    _, means = scope["particle_filter"](scope["NONLINEAR"], y, 500)
    assert (means - x).square().mean() < 0.4 * x.var()


@pytest.mark.slow
def test_a_foreign_model_is_debiased() -> None:
    before, after, fit = example("debias")["main"](1500, num_folds=2)
    assert after < 0.6 * before
    assert fit.verdict.startswith("weights can be used")


@pytest.mark.slow
def test_weights_mend_a_language_model() -> None:
    before, after = example("language_model")["main"](pretrain=100, steps=200)
    assert after > before + 0.15


@pytest.mark.slow
def test_a_language_model_is_mended_in_a_lightning_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before, after = example("lightning_module")["main"](pretrain=100, steps=200)
    assert after > before
    assert not list(tmp_path.iterdir())  # it leaves nothing behind


@pytest.mark.slow
def test_a_plain_loop_learns_from_what_weigh_wrote() -> None:
    plain, weighted = example("weighted_loop")["main"](1000, folds=2)
    assert weighted < plain - 0.1


@pytest.mark.slow
def test_both_loops_learn_from_weighted_samples() -> None:
    pytest.importorskip("lightning_fabric", reason="needs lightning-fabric")
    found = example("fabric_loop")["main"](1000, num_folds=2)
    assert found["weighted, plain torch"] < found["unweighted"] - 0.1
    assert abs(found["weighted, plain torch"] - found["weighted, Fabric"]) < 0.1
