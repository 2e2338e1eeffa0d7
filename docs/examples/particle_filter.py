"""A bootstrap particle filter of state-space models, over many series at once, with an error of its log-likelihood.

python docs/examples/particle_filter.py
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from discrete_gan.weights import expectation, log_partition, log_partition_error, resample_if, take


class Model(NamedTuple):
    """x_t = move(x_{t-1}, t) + noise, y_t = see(x_t) + noise, x_0 normal; standard deviations."""

    move: Callable[[Tensor, int], Tensor]
    see: Callable[[Tensor], Tensor]
    start: float
    moving: float
    seeing: float


LINEAR = Model(lambda x, t: 0.9 * x, lambda x: x, 1.0, 0.7, 1.0)
NONLINEAR = Model(
    lambda x, t: x / 2 + 25 * x / (1 + x**2) + 8 * math.cos(1.2 * t), lambda x: x**2 / 20, 2.0, math.sqrt(10), 1.0
)


def simulate(model: Model, num_steps: int, num_series: int) -> tuple[Tensor, Tensor]:
    """States and observations, each of shape (T, B)."""
    states = [model.start * torch.randn(num_series)]
    for t in range(1, num_steps):
        states.append(model.move(states[-1], t) + model.moving * torch.randn(num_series))
    x = torch.stack(states)
    return x, model.see(x) + model.seeing * torch.randn_like(x)


def particle_filter(model: Model, y: Tensor, num_particles: int) -> tuple[Tensor, Tensor]:
    """Log-likelihood of each series, shape (...), and filtered means (T, ...), of observations (T, ...)."""
    x = model.start * torch.randn(num_particles, *y.shape[1:])
    log_w, means = torch.zeros_like(x), []
    for t, seen in enumerate(y):
        if t:
            x = model.move(x, t) + model.moving * torch.randn_like(x)
        log_w = log_w + Normal(model.see(x), model.seeing).log_prob(seen)
        means.append(expectation(x, log_w).mean)
        ancestors, log_w, _ = resample_if(log_w, 0.5)  # the series that need it; their mean weight stays
        x = take(x, ancestors)
    return log_partition(log_w), torch.stack(means)


def log_likelihood(model: Model, y: Tensor, num_particles: int = 500, num_runs: int = 20) -> tuple[Tensor, Tensor]:
    """Of each series, and its standard error: likelihoods of independent filters are unbiased, so they average."""
    runs, _ = particle_filter(model, y[..., None].expand(*y.shape, num_runs), num_particles)
    return log_partition(runs, dim=-1), log_partition_error(runs, dim=-1)


def kalman_filter(slope: float, model: Model, y: Tensor) -> Tensor:
    """Exact log-likelihood of each series where ``move`` is a multiplication and ``see`` changes nothing."""
    mean, variance, total = torch.zeros_like(y[0]), model.start**2, torch.zeros_like(y[0])
    for seen in y:
        total = total + Normal(mean, math.sqrt(variance + model.seeing**2)).log_prob(seen)
        gain = variance / (variance + model.seeing**2)
        mean, variance = slope * (mean + gain * (seen - mean)), slope**2 * (1 - gain) * variance + model.moving**2
    return total


if __name__ == "__main__":
    torch.manual_seed(0)
    _, y = simulate(LINEAR, 50, 5)
    for exact, found, error in zip(kalman_filter(0.9, LINEAR, y), *log_likelihood(LINEAR, y), strict=True):
        print(f"linear: {found:.3f} +- {error:.3f}, by the Kalman filter {exact:.3f}")
    x, y = simulate(NONLINEAR, 50, 5)
    _, means = particle_filter(NONLINEAR, y, 1000)
    print(f"nonlinear: {(means - x).square().mean().sqrt():.2f} from the states; their spread is {x.std():.2f}")
