"""What all functions of log-weights have in common: any axes, samples that are not there, errors, compilation."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from discrete_gan import weights
from discrete_gan.estimators import boundary_seeking_loss
from discrete_gan.weights import _samples
from tests.problems import assert_exact, seeded_normal

M, B = 40, 6
LOG_W = seeded_normal(M, B, scale=2)
REAL = seeded_normal(7, seed=3)


def accumulated(log_w: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False) -> tuple[Tensor, ...]:
    """All that an accumulator says of samples in three chunks."""
    found = weights.Accumulator(dim=dim, errors=True)
    parts = [log_w] if log_w.dim() == 0 else log_w.split(15, dim)
    there = [None] * len(parts) if where is None else where.split(15, dim)
    for part, mask in zip(parts, there, strict=True):
        found.update(part, part.sin(), where=mask, check=check)
    size = found.effective_sample_size
    return found.weighted, found.plain, found.standard_error, found.log_partition, size, found.share_beside(REAL)


def drawn(log_w: Tensor, *, method: weights.Method, **options: Any) -> Tensor:
    source = torch.Generator().manual_seed(0)
    return weights.resample(log_w, 25, method=method, generator=source, **options)


# Each is a function of log-weights and the options that all have; everything else is made of the log-weights.
CASES: dict[str, Callable[..., Any]] = {
    "normalized_weights": weights.normalized_weights,
    "normalized_weights, zero-sum": lambda w, **k: weights.normalized_weights(w, zero_sum=True, **k),
    "normalized_weights, of densities": lambda w, **k: weights.normalized_weights(
        log_target=2 * w, log_proposal=w, **k
    ),
    "log_normalized_weights": weights.log_normalized_weights,
    "union_weights": lambda w, **k: weights.union_weights(w, REAL, **k),
    "log_partition": weights.log_partition,
    "log_partition_error": weights.log_partition_error,
    "effective_sample_size": weights.effective_sample_size,
    "effective_sample_size, largest": lambda w, **k: weights.effective_sample_size(w, by="largest", **k),
    "pareto_tail_index": weights.pareto_tail_index,
    "psis": weights.psis,
    "diagnose": weights.diagnose,
    "truncated": weights.truncated,
    "tempered": lambda w, **k: weights.tempered(w, 12.5, **k),
    "expectation": lambda w, **k: weights.expectation(w.sin(), w, **k),
    "leave_one_out": lambda w, **k: weights.leave_one_out(w, w.sin(), **k),
    "importance_loss": lambda w, **k: weights.importance_loss(w, w.sin(), **k),
    "wake_theta_loss": lambda w, **k: weights.wake_theta_loss(2 * w, w, **k),
    "wake_phi_loss": lambda w, **k: weights.wake_phi_loss(2 * w, w, **k),
    "iwae_loss": weights.iwae_loss,
    "dreg_loss": weights.dreg_loss,
    "Accumulator": accumulated,
}
LOSSES: dict[str, Callable[..., Any]] = {
    "boundary_seeking_loss": lambda w, **k: boundary_seeking_loss(w, w.sin(), **k),
    "boundary_seeking_loss, proposal": lambda w, **k: boundary_seeking_loss(w, w.sin(), w.cos(), **k),
    "boundary_seeking_loss, corrected": lambda w, **k: boundary_seeking_loss(w, w.sin(), w.cos(), zero_sum=True, **k),
}
DRAWS: dict[str, Callable[..., Any]] = {
    f"resample, {method}": partial(drawn, method=method) for method in weights.METHODS
}
DRAWS["resample_if"] = lambda w, **k: weights.resample_if(w, generator=torch.Generator().manual_seed(0), **k)
BATCH: dict[str, Callable[..., Any]] = {  # beside them, whose axes are all one
    "normalized_weights, batch": lambda w, **k: weights.normalized_weights(w, over="batch", **k),
    "log_normalized_weights, batch": lambda w, **k: weights.log_normalized_weights(w, over="batch", **k),
    "log_partition, batch": lambda w, **k: weights.log_partition(w, over="batch", **k),
}


def tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    else:
        for each in value:
            yield from tensors(each)


@pytest.mark.parametrize("name", [*CASES, *LOSSES, *DRAWS])
def test_any_axes_give_what_two_do(name: str) -> None:
    function = (CASES | LOSSES | DRAWS)[name]
    expected = list(tensors(function(LOG_W)))
    cube = LOG_W.view(M, 2, 3).movedim(0, 1)  # (2, M, 3)
    for dim in (1, -2):
        for got, flat in zip(tensors(function(cube, dim=dim)), expected, strict=True):
            of_samples = flat.dim() == 2
            assert got.shape == ((2, len(flat), 3) if of_samples else (2, 3))
            assert_exact((got.movedim(1, 0) if of_samples else got).reshape(flat.shape), flat)
    for got, flat in zip(tensors(function(LOG_W[:, 0])), tensors(function(LOG_W[:, :1])), strict=True):
        assert_exact(got, flat.squeeze(-1))


@pytest.mark.parametrize("name", ["psis", "pareto_tail_index", "resample, multinomial", "resample_if"])
def test_blocks_of_rows_give_what_all_at_once_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, results = (CASES | DRAWS)[name], []
    for rows in (B, 4, 1):
        monkeypatch.setattr(_samples, "_AT_ONCE", rows * M)
        log_w = LOG_W.clone().requires_grad_()
        found = list(tensors(function(log_w))) + list(tensors(function(LOG_W, where=mask())))
        carrying = [each.sum() for each in found if each.requires_grad]
        results.append([*found, *(torch.autograd.grad(carrying, log_w) if carrying else [])])
    for found in results[1:]:
        for got, expected in zip(found, results[0], strict=True):
            assert_exact(got, expected)


@pytest.mark.parametrize("name", [*CASES, *LOSSES, *DRAWS])
def test_a_batch_of_none(name: str) -> None:
    for found in tensors((CASES | LOSSES | DRAWS)[name](LOG_W[:, :0])):
        assert found.shape[-1] == 0


@pytest.mark.parametrize("over", ["samples", "batch"])
def test_boundary_seeking_over_the_batch_takes_any_axes(over: weights.Over) -> None:
    cube = LOG_W.view(M, 2, 3).movedim(0, -1)
    loss = boundary_seeking_loss(cube, cube.sin(), over=over, dim=-1)
    assert_exact(loss.flatten(), boundary_seeking_loss(LOG_W, LOG_W.sin(), over=over))


def mask() -> Tensor:
    """Which of the samples are there: all, most, but not the largest, and all but the first."""
    there = torch.rand(M, B, generator=torch.Generator().manual_seed(1)) < 0.8
    there[:, 0] = True
    there[LOG_W.argmax(dim=0)[1:3], [1, 2]] = False
    return there


@pytest.mark.parametrize("name", [*CASES, *LOSSES])
def test_samples_that_are_not_there_change_nothing(name: str) -> None:
    function, there = (CASES | LOSSES)[name], mask()
    results = {}
    for fill in (0.0, 1e4, torch.nan, torch.inf, -torch.inf):
        filled = LOG_W.masked_fill(~there, fill).requires_grad_()
        results[fill] = list(tensors(function(filled, where=there)))
        carrying = [each[there] if each.dim() == 2 else each for each in results[fill] if each.requires_grad]
        if carrying:
            (gradient,) = torch.autograd.grad([each.sum() for each in carrying], filled)
            assert gradient[there].isfinite().all()  # the sine of infinity, of what is not there, has none
    for column in range(B):
        of_column = there[:, column]
        alone = list(tensors(function(LOG_W[of_column, column])))
        for found in results.values():
            for got, expected in zip(found, alone, strict=True):
                mine = got[of_column, column] if got.dim() == 2 else got[column]
                assert_exact(mine.detach(), expected, rtol=1e-11)


def test_weights_of_samples_that_are_not_there_are_zero() -> None:
    there = mask()
    assert bool((weights.normalized_weights(LOG_W, where=there, zero_sum=True)[~there] == 0).all())
    assert bool((weights.union_weights(LOG_W, REAL, where=there)[~there] == 0).all())
    for function in (weights.log_normalized_weights, weights.truncated):
        assert bool(function(LOG_W, where=there)[~there].isneginf().all())
    assert bool(weights.tempered(LOG_W, 9, where=there).log_w[~there].isneginf().all())


@pytest.mark.parametrize("name", BATCH)
def test_samples_that_are_not_there_change_nothing_over_the_batch(name: str) -> None:
    there = mask()
    got, expected = BATCH[name](LOG_W, where=there), BATCH[name](LOG_W[there])
    assert_exact(got[there] if got.dim() else got, expected)


def test_where_no_sample_is_there_sums_are_zero_and_means_unknown() -> None:
    there = mask()
    there[:, 3] = False
    log_w = LOG_W.clone().requires_grad_()
    for name in ("normalized_weights", "effective_sample_size", "importance_loss", "dreg_loss"):
        found = CASES[name](log_w, where=there)
        assert bool((found[..., 3] == 0).all())
        if found.requires_grad:
            (gradient,) = torch.autograd.grad(found.sum(), log_w)
            assert gradient.isfinite().all()
    for name in ("log_partition", "expectation"):
        for found in tensors(CASES[name](log_w, where=there)):
            assert found.isnan().tolist() == [False, False, False, True, False, False]
    of_others = weights.leave_one_out(LOG_W, LOG_W, where=there).mean
    assert of_others is not None and of_others.isnan().any(dim=0).tolist() == [False, False, False, True, False, False]
    for method in weights.METHODS[:3]:  # as if all were there, with equal weights
        index = weights.resample(LOG_W, method=method, where=there)
        assert index[:, 3].tolist() == list(range(M))
    for name in ("resample, multinomial", "pareto_tail_index"):
        for found in tensors((CASES | DRAWS)[name](log_w, where=there)):
            assert not found[..., 3].isnan().any()


def test_a_mask_broadcasts() -> None:
    there = mask()[:, :1]
    for name, function in CASES.items():
        if name != "Accumulator":
            for got, expected in zip(
                tensors(function(LOG_W, where=there)), tensors(function(LOG_W, where=there.expand(M, B))), strict=True
            ):
                assert_exact(got, expected)


ERRORS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "NumPy": (LOG_W.numpy(), {}, r"log_w: expected a tensor, got a NumPy array: pass torch\.from_numpy\(log_w\)"),
    "list": ([0.0, 1.0], {}, "log_w: expected a tensor, got list"),
    "integers": (torch.zeros(M, B).long(), {}, r"log_w: expected a floating-point tensor, got torch\.int64"),
    "number": (torch.zeros(()), {}, r"log_w: expected at least one axis, of samples, got shape \(\)"),
    "no samples": (torch.zeros(0, B), {}, r"log_w: expected at least one sample along axis 0, got shape \(0, 6\)"),
    "axis": (LOG_W, {"dim": 2}, "dim: expected an axis of log_w, from -2 to 1, got 2"),
    "where, type": (
        LOG_W,
        {"where": torch.ones(M, B)},
        r"where: expected a bool tensor that broadcasts to log_w, \(40, 6\), got torch\.float32",
    ),
    "where, shape": (
        LOG_W,
        {"where": torch.ones(5, B).bool()},
        r"where: expected a bool tensor that broadcasts to log_w, \(40, 6\), got shape \(5, 6\)",
    ),
    "where, NumPy": (
        LOG_W,
        {"where": np.ones((M, B), dtype=bool)},
        r"where: expected a tensor, got a NumPy array: pass torch\.from_numpy\(where\)",
    ),
    "NaN": (LOG_W.log(), {"check": True}, "log_w: expected numbers, got NaN"),
    "no weight": (
        torch.where(torch.arange(B) == 2, -torch.inf, LOG_W),
        {"check": True},
        "log_w: expected a weight above zero along axis 0, got minus infinity alone",
    ),
}
# What gives the functions made of two densities other names, or takes its mask apart before.
DIRECT = [name for name in CASES if "densities" not in name and "wake" not in name and name != "Accumulator"]


@pytest.mark.parametrize("error", ERRORS)
def test_errors_name_the_argument(error: str) -> None:
    log_w, options, message = ERRORS[error]
    direct = {
        "expectation": lambda w, **k: weights.expectation(LOG_W, w, **k),
        "leave_one_out": weights.leave_one_out,
        "importance_loss": lambda w, **k: weights.importance_loss(w, LOG_W, **k),
        "resample": weights.resample,
        "resample_if": weights.resample_if,
        "Accumulator": lambda w, dim=0, **k: weights.Accumulator(dim=dim).update(w, **k),
    }
    for name, function in ({each: CASES[each] for each in DIRECT} | BATCH | direct).items():
        with pytest.raises(ValueError, match=f"^{message}$"):
            function(log_w, **options)
            pytest.fail(name)


def test_values_are_not_looked_at_unless_asked() -> None:
    for error in ("NaN", "no weight"):
        for function in CASES.values():
            function(ERRORS[error][0])


def test_a_mask_takes_back_what_a_check_would_find() -> None:
    wrong = LOG_W.clone()
    wrong[3, 2] = torch.nan
    weights.normalized_weights(wrong, where=~wrong.isnan(), check=True)
    with pytest.raises(ValueError, match=r"^log_w: expected a weight above zero along axis 0"):
        weights.normalized_weights(LOG_W, where=torch.arange(B) > 0, check=True)


@pytest.mark.slow
def test_everything_compiles_in_one_graph() -> None:
    def everything(log_w: Tensor, there: Tensor) -> list[Tensor]:
        found = [function(log_w) for function in (CASES | LOSSES | BATCH).values()]
        found += [function(log_w, where=there) for function in CASES.values()]
        return list(tensors(found))

    # fullgraph fails at the first value read back from the device
    compiled = torch.compile(everything, fullgraph=True, backend="eager")
    for got, expected in zip(compiled(LOG_W, mask()), everything(LOG_W, mask()), strict=True):
        assert_exact(got, expected)


@pytest.mark.parametrize(
    "method", ["systematic", *(pytest.param(each, marks=pytest.mark.slow) for each in weights.METHODS[1:])]
)
def test_resampling_compiles_in_one_graph(method: weights.Method) -> None:
    def resampled(log_w: Tensor) -> list[Tensor]:
        return list(tensors([weights.resample(log_w, method=method), *weights.resample_if(log_w, method=method)]))

    compiled = torch.compile(resampled, fullgraph=True, backend="eager")
    torch.manual_seed(0)
    found = compiled(LOG_W)
    torch.manual_seed(0)
    for got, expected in zip(found, resampled(LOG_W), strict=True):
        assert torch.equal(got, expected)


DIFFERENTIABLE = [
    "log_normalized_weights",
    "union_weights",
    "log_partition_error",
    "effective_sample_size, largest",
    "psis",
    "truncated",
    "expectation",
    "leave_one_out",
    "iwae_loss",
]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_by_finite_differences(name: str) -> None:
    def results(log_w: Tensor, there: Tensor) -> tuple[Tensor, ...]:
        found = list(tensors(CASES[name](log_w, where=there)))
        # What is minus infinity, as the logarithm of no weight, has no differences.
        return tuple(torch.where(each.isinf(), 0.0, each) for each in found if each.requires_grad)

    # A column with all samples but a few, the largest among them.
    assert torch.autograd.gradcheck(results, (LOG_W[:, 1:2].clone().requires_grad_(), mask()[:, 1:2]))


def test_every_function_is_here() -> None:
    functions = {name for name in weights.__all__ if callable(getattr(weights, name)) and name[0].islower()}
    covered = {name.partition(",")[0] for name in CASES | DRAWS}
    assert functions - covered == {"tail_index_threshold", "take"}
