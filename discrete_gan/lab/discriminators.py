"""Discriminators of enumerable problems: exact, wrong on purpose, or a network trained without sampling noise."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from discrete_gan.contracts import Discriminator
from discrete_gan.lab.problems import Problem, ProductMixture

Mode = Literal["network", "oracle", "wrong"]


def _are_states(x: Tensor) -> bool:
    """Whether nobody will ask for a gradient between the states."""
    return not x.requires_grad and bool(((x == 0) | (x == 1)).all())


class Oracle(nn.Module):
    r"""Exactly :math:`\log p_{data}(x) / p_g(x)`, recomputed by :meth:`update`.

    Between the states, where relaxed samples lie, it is the multilinear interpolation of the log-ratio: its mean
    over independent positions. Any other interpolation would be as right; with this one straight-through happens to
    be unbiased, so compare relaxations on a network.
    """

    log_w: Tensor

    def __init__(self, problem: Problem, generator: ProductMixture, seed: int = 0) -> None:
        super().__init__()
        self.problem = problem
        self.register_buffer("log_w", torch.zeros_like(problem.log_p))
        self.update(generator)

    def update(self, generator: ProductMixture) -> None:
        """Take the ratio to the generator as it is now."""
        with torch.no_grad():
            self.log_w = self.problem.log_p - generator.log_p_g(self.problem.states)

    def forward(self, x: Tensor) -> Tensor:
        """Log-ratios in nats, shape (...), of samples (..., *event), hard or relaxed. Carries gradient to relaxed."""
        if _are_states(x):
            return self.log_w[self.problem.index(x)]
        event_shape = self.problem.event_shape
        choices = torch.stack([1 - x, x], dim=-1) if len(event_shape) == 1 else x  # (..., D, K)
        num_categories = choices.shape[-1]
        values = self.log_w
        for position in range(event_shape[0] - 1, -1, -1):  # the last position counts fastest
            values = values.view(*values.shape[:-1], -1, num_categories)
            values = (values * choices[..., position, :].unsqueeze(-2)).sum(dim=-1)
        return values.squeeze(-1)


class Tabulated(nn.Module):
    """Another discriminator, looked up in a table where it is asked for states and no gradient.

    Args:
        discriminator: Of samples (..., *event).
        problem: Whose states are tabulated.
    """

    values: Tensor

    def __init__(self, discriminator: Discriminator, problem: Problem) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.problem = problem
        with torch.no_grad():
            self.register_buffer("values", discriminator(problem.states))

    def forward(self, x: Tensor) -> Tensor:
        """Raw outputs in nats, shape (...), of samples (..., *event), hard or relaxed."""
        if _are_states(x):
            return self.values[self.problem.index(x)]
        return self.discriminator(x)


class NetworkDiscriminator(nn.Module):
    """A network of one hidden layer of tanh, smooth on hard and relaxed samples alike.

    Args:
        event_shape: (D,) or (D, K).
        hidden: Width.
        seed: Of its weights.
    """

    def __init__(self, event_shape: torch.Size, hidden: int = 32, seed: int = 0) -> None:
        super().__init__()
        self.event_dim = len(event_shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Linear(event_shape.numel(), hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        """Raw outputs in nats, shape (...), of samples (..., *event)."""
        return self.layers(x.flatten(-self.event_dim)).squeeze(-1)


class TrainedNetwork(NetworkDiscriminator):
    """A network trained on the exact expectations of the GAN loss, at first until it hardly moves.

    Args:
        problem: Gives the data's probabilities.
        generator: Gives its own.
        seed: Of its weights.
    """

    def __init__(self, problem: Problem, generator: ProductMixture, seed: int = 0) -> None:
        super().__init__(problem.event_shape, seed=seed)
        self.problem = problem
        self.update(generator, iterations=200)

    def update(self, generator: ProductMixture, iterations: int = 5) -> None:
        """Some iterations of L-BFGS towards the generator as it is now."""
        with torch.no_grad():
            p_g = generator.log_p_g(self.problem.states).exp()
        p = self.problem.log_p.exp()
        optimizer = torch.optim.LBFGS(self.parameters(), max_iter=iterations, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            raw = self(self.problem.states)
            loss = (p * F.softplus(-raw) + p_g * F.softplus(raw)).sum()
            loss.backward()
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]
        self.zero_grad(set_to_none=True)


class Wrong(NetworkDiscriminator):
    """A random network of steep weights that never learns: estimators must follow even this one exactly."""

    def __init__(self, problem: Problem, generator: ProductMixture, seed: int = 0) -> None:
        super().__init__(problem.event_shape, seed=seed)
        with torch.no_grad():
            self.layers[2].weight.mul_(10)  # type: ignore[operator]

    def update(self, generator: ProductMixture) -> None:
        """Stays as it is."""


DISCRIMINATORS: dict[str, type[Oracle] | type[TrainedNetwork] | type[Wrong]] = {
    "network": TrainedNetwork,
    "oracle": Oracle,
    "wrong": Wrong,
}
