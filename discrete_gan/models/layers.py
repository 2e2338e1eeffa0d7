r"""Layers of a discriminator or generator that look at more than one sample.

References:
    Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498
"""

import math
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from discrete_gan._precision import at_least_float32, matmul
from discrete_gan.distributed import gather, meet, num_processes, process_rank


class MinibatchDiscrimination(nn.Module):
    r"""Appends to each sample how close the other samples of its minibatch are (section 3.2).

    .. math:: o_b(x_i) = \sum_{j \ne i} \exp(-\| M_{i,b} - M_{j,b} \|_1), \qquad M_i = f(x_i)\, T

    A discriminator that sees them tells a generator whose samples are all alike. The sample itself is left out, as
    in the authors' code; the paper's sum includes its constant 1. The score of a sample then depends on the others:
    give real and generated samples separately. The minibatch is that of all processes together, equally many on each.
    Memory grows with B times the whole batch.

    Args:
        num_features: A, size of f(x).
        num_kernels: Numbers appended to each sample.
        kernel_dim: Length of each row of M.
    """

    def __init__(self, num_features: int, num_kernels: int = 100, kernel_dim: int = 5) -> None:
        super().__init__()
        # Columns of about unit norm: features of unit variance lie a few units apart, where exp(-distance) has slope.
        self.kernels = nn.Parameter(torch.randn(num_features, num_kernels, kernel_dim) / math.sqrt(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Features of shape (..., B, A), minibatch second last, to (..., B, A + num_kernels).

        Gradients reach ``x``, also that of other processes, and the kernels; the result can be differentiated twice.
        """
        # Differences of these are exponentiated: not in half precision. (..., B, num_kernels, kernel_dim)
        own = matmul(x, self.kernels.flatten(1)).unflatten(-1, self.kernels.shape[1:])
        # Samples last, as gathered.
        own = own.movedim(-3, -1)
        everyone = own if num_processes() == 1 else _gather(own)
        distance = (own[..., :, None] - everyone[..., None, :]).abs().sum(dim=-3)  # (..., num_kernels, B, all)
        closeness = torch.exp(-distance.masked_fill(_itself(x.shape[-2], distance), math.inf))
        return torch.cat([x, closeness.sum(dim=-1).transpose(-1, -2)], dim=-1)


class VirtualBatchNorm(nn.Module):
    r"""Batch norm by a fixed reference batch and the sample itself, so samples do not see each other (section 3.5).

    With mean :math:`\mu` and variance :math:`v` of the n reference samples and :math:`\mu_x, v_x` of the sample (over
    its positions, so :math:`v_x = 0` where it has one), both weighted as in a batch of n + 1,

    .. math::
        m = \frac{n \mu + \mu_x}{n + 1}, \qquad
        s^2 = \frac{n v + v_x}{n + 1} + \frac{n (\mu - \mu_x)^2}{(n + 1)^2}, \qquad
        y = \gamma\, \frac{x - m}{\sqrt{s^2 + \epsilon}} + \beta

    The reference batch itself is normalized by its own statistics alone. It is either the first call's input, whose
    statistics are kept, without gradient, and saved with the layer; or it is given to each call, as the paper has it:
    statistics of what the reference batch is at this layer with the present parameters. A network then carries both,
    ``x, reference = norm(x, reference=reference), norm.normalize_reference(reference)``, at the price of a second
    forward pass. On several processes a first call's reference batch is that of all of them, equally many on each; one
    that is given must be the same on every process.

    Args:
        num_features: C, number of channels.
        eps: :math:`\epsilon`, added to the variance.
        affine: Learn :math:`\gamma` and :math:`\beta`.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, num_features: int, *, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("variance", torch.ones(num_features))
        self.register_buffer("count", torch.zeros(()))
        self.fixed = False  # known to have a reference batch

    def forward(self, x: Tensor, *, reference: Tensor | None = None) -> Tensor:
        """Normalize samples.

        Args:
            x: Shape (B, C) or (B, C, H, W).
            reference: The reference batch at this layer, shape (n, C) or (n, C, H, W); not kept. By default the one
                kept, or ``x`` where there is none yet.

        Returns:
            The shape of ``x``. Gradients reach ``x``, the parameters and ``reference``.

        Raises:
            ValueError: If a shape is neither, or has another number of channels.
        """
        self._check("x", x)
        if reference is not None:
            self._check("reference", reference)
            return self._normalize(x, *self._combined(x, *_statistics(reference), len(reference)))
        if not self._has_reference():
            everyone = x if num_processes() == 1 else _gather(x.movedim(0, -1)).movedim(-1, 0)
            return self._normalize(x, *self._keep(everyone))
        return self._normalize(x, *self._combined(x, self.mean, self.variance, self.count))

    def normalize_reference(self, reference: Tensor) -> Tensor:
        """Normalize a reference batch, (n, C) or (n, C, H, W), by its own statistics. Carries gradient.

        Raises:
            ValueError: If the shape is neither, or has another number of channels.
        """
        self._check("reference", reference)
        return self._normalize(reference, *_statistics(reference))

    def _has_reference(self) -> bool:
        if not self.fixed:
            self.fixed = bool(self.count > 0)  # asks the device, but never again
        return self.fixed

    def _keep(self, reference: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = _statistics(reference)
        with torch.no_grad():
            self.mean.copy_(mean)
            self.variance.copy_(variance)
            self.count.fill_(len(reference))
        self.fixed = True
        return mean, variance

    def _combined(self, x: Tensor, mean: Tensor, variance: Tensor, count: Tensor | int) -> tuple[Tensor, Tensor]:
        """Mean and variance for each sample, (B, C); the variance as a sum of terms that cannot be negative."""
        x = at_least_float32(x)
        positions = x.flatten(2) if x.dim() > 2 else x[:, :, None]
        own_mean = positions.mean(dim=2)
        own_variance = (positions - own_mean[:, :, None]).square().mean(dim=2)
        old, new = count / (count + 1), 1 / (count + 1)
        return old * mean + new * own_mean, old * variance + new * own_variance + old * new * (mean - own_mean).square()

    def _normalize(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """By statistics of shape (C,) or (B, C)."""
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        y = (x - _like(mean, x)) * _like(scale, x)
        return (y if self.bias is None else y + _like(self.bias, x)).to(x.dtype)

    def _check(self, name: str, value: Tensor) -> None:
        if value.dim() not in (2, 4) or value.shape[1] != self.num_features:
            channels = self.num_features
            raise ValueError(
                f"{name}: expected shape (B, {channels}) or (B, {channels}, H, W), got {tuple(value.shape)}"
            )


def _itself(num_samples: int, distance: Tensor) -> Tensor:
    """Where a row's sample meets itself among those of all processes, shape (B, all)."""
    rows = torch.arange(num_samples, device=distance.device) + process_rank() * num_samples
    return rows[:, None] == torch.arange(distance.shape[-1], device=distance.device)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over samples and positions, (C,)."""
    channels = at_least_float32(x).transpose(0, 1).flatten(1)
    mean = channels.mean(dim=1)
    return mean, (channels - mean[:, None]).square().mean(dim=1)


def _like(value: Tensor, x: Tensor) -> Tensor:
    """(C,) or (B, C) shaped to go with (B, C) or (B, C, H, W)."""
    return value.reshape(*value.shape, *[1] * (x.dim() - 2))


def _gather(value: Tensor) -> Tensor:
    """:func:`discrete_gan.distributed.gather` with the gradient of what all processes make of the value."""
    return _Gather.apply(value)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return gather(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _SumOfOwn.apply(gradients[0])


class _SumOfOwn(torch.autograd.Function):
    """The transpose of gathering: the sum over processes, of which each takes its own part."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.contiguous().clone()
        meet(dist.all_reduce, total)
        return total.tensor_split(num_processes(), dim=-1)[process_rank()].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _gather(gradients[0])
