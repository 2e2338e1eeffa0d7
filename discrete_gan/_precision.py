"""Arithmetic that keeps what the numbers hold: differences of nats vanish in half precision, TF32 and large offsets."""

import functools

import torch
from torch import Tensor


def at_least_float32(value: Tensor) -> Tensor:
    """The value itself, or half precision as float32.

    Raises:
        ValueError: If it is complex.
    """
    if value.is_complex():
        raise ValueError(f"expected real numbers, got {value.dtype}")
    return value.to(torch.promote_types(value.dtype, torch.float32))


def log_sum_exp(value: Tensor, dim: int = 0) -> Tensor:
    """Logarithm of the sum of exponentials, whose gradient sums to one to rounding, however large the values.

    The gradient of torch's logsumexp is exp(value - result), off by the rounding of the result: at 1e4 in float32 it
    sums to 1.0003, at 1e6 to 0.977. Relative to the maximum, nothing large is left to round.

    Args:
        value: At least one entry along ``dim``; half precision is computed and returned in float32.
        dim: Axis to sum over.

    Returns:
        The shape of ``value`` without ``dim``. Gradients reach ``value``; where all of it is minus infinity, so is the
        result, and the gradient is zero.
    """
    value = at_least_float32(value)
    most = value.detach().amax(dim=dim, keepdim=True)
    most = torch.where(most.isinf(), 0.0, most)  # inf - inf would be NaN
    total = (value - most).exp().sum(dim=dim)
    # The logarithm of an empty sum has slope 1/0: a sum of zero takes the constant instead.
    safe = torch.where(total == 0, 1.0, total)
    return torch.where(total == 0, -torch.inf, safe.log()) + most.squeeze(dim)


def dot(value: Tensor, vector: Tensor) -> Tensor:
    """Sum of products over the last axis, (..., B, N) with (B, N) to (..., B), in at least float32.

    A matrix product, which makes nothing of the size of ``value``, unless the user allows products of fewer bits
    (``torch.set_float32_matmul_precision``): then it is multiplied and summed.
    """
    value, vector = _same_type(value, vector)
    with torch.autocast(value.device.type, enabled=False):
        if value.dtype == torch.float32 and _products_lose_bits(value.device.type):
            return (value * vector).sum(dim=-1)
        return torch.einsum("...bn,bn->...b", value, vector)


def weighted_sum(weights: Tensor, x: Tensor) -> Tensor:
    """Sum over samples of weights (M, B) times x (M, B, *event), (B, *event), in at least float32 as :func:`dot`."""
    weights, x = _same_type(weights, x)
    with torch.autocast(x.device.type, enabled=False):
        if x.dtype == torch.float32 and _products_lose_bits(x.device.type):
            return (weights.view(*weights.shape, *[1] * (x.dim() - 2)) * x).sum(dim=0)
        return torch.einsum("mb,mb...->b...", weights, x)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product (..., N) with (N, K) to (..., K), in at least float32 as :func:`dot`."""
    a, b = _same_type(a, b)
    with torch.autocast(a.device.type, enabled=False):
        if a.dtype == torch.float32 and _products_lose_bits(a.device.type):
            return (a[..., None] * b).sum(dim=-2)
        return a @ b


def _same_type(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    a, b = at_least_float32(a), at_least_float32(b)
    dtype = torch.promote_types(a.dtype, b.dtype)
    return a.to(dtype), b.to(dtype)


def _products_lose_bits(device_type: str) -> bool:
    """Whether products of float32 matrices may be of TF32 or bfloat16: ``torch.set_float32_matmul_precision``.

    A compiler cannot ask, and fuses what is multiplied and summed: there it counts as yes.
    """
    if torch.compiler.is_compiling():
        return True
    backend = torch.backends.mkldnn if device_type == "cpu" else torch.backends.cuda
    precision = getattr(getattr(backend, "matmul", None), "fp32_precision", None)
    if precision is None:  # before torch 2.9
        return torch.get_float32_matmul_precision() != "highest"
    return precision in ("tf32", "bf16")


@functools.cache
def widest_float(device_type: str) -> torch.dtype:
    """float64 where the device has it, else float32 (Apple's GPUs)."""
    try:
        torch.ones(1, dtype=torch.float64, device=device_type).cumsum(0)
    except (TypeError, RuntimeError):
        return torch.float32
    return torch.float64
