"""Independent binary positions."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size as Shape

from discrete_gan._arguments import check_support
from discrete_gan._precision import at_least_float32, dot
from discrete_gan.distributions._relax import over_temperature


class FactorizedBernoulli(Distribution):
    r"""D independent binary variables, :math:`\log g(x) = x^\top l - \sum_d \log(1 + e^{l_d})`.

    The same law as ``Independent(Bernoulli(logits=logits), 1)``. Its log-probability is affine in ``x``, so
    ``log_prob`` is a matrix product with the logits, of how ``x`` differs from the likeliest value.

    Args:
        logits: Log-odds of a one, in nats, shape (B, D) or with any other leading shape. Infinite ones decide a bit.
            Carries gradient.

    Attributes:
        logits: As given, at least float32: what half precision gets of their gradient is rounded once.
    """

    arg_constraints = {"logits": constraints.real_vector}  # pyright: ignore
    support = constraints.independent(constraints.boolean, 1)  # pyright: ignore
    has_enumerate_support = True

    def __init__(self, logits: Tensor, validate_args: bool | None = None) -> None:
        if logits.dim() < 1:
            raise ValueError(f"logits: expected shape (B, D), got {tuple(logits.shape)}")
        self.logits = at_least_float32(logits)
        # Checking values would read them back from the device; torch's default is to check.
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=bool(validate_args))

    def expand(self, batch_shape: Shape, _instance: None = None) -> "FactorizedBernoulli":
        """The same distribution with a broadcast batch shape."""
        return FactorizedBernoulli(self.logits.expand(*batch_shape, *self.event_shape))

    @property
    def probs(self) -> Tensor:
        """Probability of a one, the shape of the logits, at least float32. Carries gradient."""
        return torch.sigmoid(self.logits)

    @property
    def mean(self) -> Tensor:
        """Same as :attr:`probs`."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The likeliest value, zeros and ones, the shape of the logits; zero where both are as likely. No gradient."""
        return self.discretize(self.logits.detach())

    @property
    def variance(self) -> Tensor:
        """Variance of each position, the shape of the logits. Carries gradient."""
        probs = self.probs
        return probs * (1 - probs)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draws floats 0 or 1.

        Args:
            sample_shape: Usually (M,).

        Returns:
            Shape ``sample_shape`` + (B, D), of the logits' type (float32 for half precision). No gradient.
        """
        with torch.no_grad():
            probs = self.probs
            shape = self._extended_shape(torch.Size(sample_shape))
            if probs.device.type == "cpu" and probs.dtype == torch.float32:
                return _bernoulli_from_bytes(probs, shape)
            return torch.rand(shape, dtype=probs.dtype, device=probs.device).lt_(probs)

    def rsample(self, sample_shape: Shape = (), *, temperature: float = 0.5, hard: bool = False) -> Tensor:
        r"""Relaxed draws from the binary Concrete distribution, :math:`\sigma((l + \log u - \log(1-u)) / \tau)`.

        Args:
            sample_shape: Usually (M,).
            temperature: :math:`\tau > 0`; the smaller, the closer to binary and the larger the gradients.
            hard: Round forward, keep the relaxed gradient backward (straight-through).

        Returns:
            In [0, 1], shape ``sample_shape`` + (B, D), at least float32. Gradients reach the logits.

        Raises:
            ValueError: If the temperature is not above 0.

        References:
            The Concrete Distribution (Maddison et al., 2017), https://arxiv.org/abs/1611.00712
        """
        relaxed = self.relax(self.perturbed_logits(sample_shape), temperature)
        if not hard:
            return relaxed
        return (relaxed > 0.5).to(relaxed.dtype) + (relaxed - relaxed.detach())

    def perturbed_logits(self, sample_shape: Shape = ()) -> Tensor:
        r"""Logits plus logistic noise, :math:`l + \log u - \log(1-u)`; positive exactly where the sample is a one.

        Args:
            sample_shape: Usually (M,).

        Returns:
            Shape ``sample_shape`` + (B, D), at least float32. Gradients reach the logits.
        """
        shape, dtype = self._extended_shape(torch.Size(sample_shape)), self.logits.dtype
        noise = torch.rand(shape, dtype=dtype, device=self.logits.device).logit(eps=torch.finfo(dtype).eps)
        return self.logits + noise

    def perturbed_logits_given(self, x: Tensor) -> Tensor:
        r"""Draws from the law of :meth:`perturbed_logits` given the samples they round to.

        With :math:`s = 2x - 1` and u uniform: :math:`s\,(\operatorname{softplus}(s l + \log u) - \log(1 - u))`.

        Args:
            x: Zeros and ones, shape (..., B, D).

        Returns:
            The shape of ``x``. Gradients reach the logits, through the inverse distribution function.

        References:
            REBAR (Tucker et al., 2017), appendix C, https://arxiv.org/abs/1703.07370
        """
        uniform = torch.rand(x.shape, dtype=self.logits.dtype, device=self.logits.device)
        uniform.clamp_(min=torch.finfo(uniform.dtype).tiny)  # log 0 beside an infinite logit: inf - inf
        sign = 2 * x - 1
        return sign * (F.softplus(sign * self.logits + uniform.log()) - torch.log1p(-uniform))

    @staticmethod
    def discretize(perturbed: Tensor) -> Tensor:
        """The sample that perturbed logits stand for: zeros and ones, the same shape. No gradient."""
        return (perturbed > 0).to(perturbed.dtype)

    @staticmethod
    def relax(perturbed: Tensor, temperature: float | Tensor) -> Tensor:
        r"""Sigmoid of perturbed logits over the temperature, in [0, 1], the same shape, at least float32.

        Carries gradient, to the temperature as well if it is a tensor.

        Raises:
            ValueError: If the temperature is a number and not above 0.
        """
        return torch.sigmoid(over_temperature(at_least_float32(perturbed), temperature))

    def antithetic_sample(self, sample_shape: Shape = ()) -> tuple[Tensor, Tensor]:
        """Pairs of samples from one uniform number u and from 1 - u.

        Args:
            sample_shape: Usually (M,).

        Returns:
            Two tensors of zeros and ones, each of shape ``sample_shape`` + (B, D) and distributed as
            :meth:`sample`; a position is one in both or zero in both as rarely as can be. No gradient.
        """
        with torch.no_grad():
            probs = self.probs
            shape = self._extended_shape(torch.Size(sample_shape))
            uniform = torch.rand(shape, dtype=probs.dtype, device=probs.device)
            return (uniform >= 1 - probs).to(probs.dtype), (uniform < probs).to(probs.dtype)

    def jointly_antithetic_sample(self, num_samples: int) -> tuple[Tensor, Tensor]:
        r"""Samples of which any two agree as rarely, from the Dirichlet copula.

        At each position the M shares :math:`d_m` of a uniform point of the simplex are large for few of them at once:
        :math:`u_m = (1 - d_m)^{M-1}` is uniform, and sample m has the rarer of the two values where :math:`u_m < q`,
        q being that value's probability. Two samples both have it with probability
        :math:`\max(0, 2 q^{1/(M-1)} - 1)^{M-1}`. Of two samples these are the pairs of :meth:`antithetic_sample`.

        Args:
            num_samples: M, at least 2.

        Returns:
            Zeros and ones, shape (M, B, D), each sample distributed as :meth:`sample`; and the correlation of two of
            them at each position, shape (B, D), at most 0. No gradient.

        References:
            ARMS (Dimitriev and Zhou, 2021), https://arxiv.org/abs/2105.14141
        """
        with torch.no_grad():
            rest, size = num_samples - 1, self.logits.abs()
            log_rare = F.logsigmoid(-size)  # log q
            root = torch.exp(log_rare / rest)
            shares = torch.empty(num_samples, *self.logits.shape, dtype=root.dtype, device=root.device).exponential_()
            rare = 1 - shares / shares.sum(dim=0) < root
            # P(both) / q, the log of a negative base being that of zero
            both = torch.exp(rest * (2 * root - 1).clamp(min=0).log() - log_rare)
            both = torch.where(log_rare.isinf(), 0.0, both)
            agreement = (both - log_rare.exp()) * torch.exp(-F.logsigmoid(size))  # (P(both) - q^2) / (q (1 - q))
            return (rare ^ (self.logits > 0)).to(root.dtype), agreement

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All 2^D values, the last position counting fastest.

        Args:
            expand: Over the batch shape.

        Returns:
            Shape (2^D, B, D), or (2^D, 1, D) without ``expand``.
        """
        bits = torch.arange(self.event_shape[0] - 1, -1, -1, device=self.logits.device)
        states = torch.arange(2 ** self.event_shape[0], device=self.logits.device)
        values = (states[:, None] >> bits & 1).to(self.logits.dtype)
        values = values.view(len(values), *[1] * len(self.batch_shape), *self.event_shape)
        return values.expand(len(values), *self.batch_shape, *self.event_shape) if expand else values

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats.

        Args:
            value: Zeros and ones, shape (M, B, D) or any shape that ends in (B, D).

        Returns:
            Shape of ``value`` without D, at least float32. Gradients reach the logits. An impossible value gets a
            finite number below that of all possible ones, at most -1000: 0 * -inf would be NaN.

        Raises:
            ValueError: If ``value`` does not end in the shape of the logits, or, with ``validate_args``, lies outside
                the support.
        """
        if value.shape[value.dim() - self.logits.dim() :] != self.logits.shape:
            raise ValueError(f"value: expected a shape ending in {tuple(self.logits.shape)}, got {tuple(value.shape)}")
        if self._validate_args:
            check_support(value, self.support, "zeros and ones")
        logits = self._finite_logits()
        likeliest = logits.detach().sign().clamp_(min=0)
        log_most = F.logsigmoid((2 * likeliest - 1) * logits).sum(dim=-1)
        if logits.dim() != 2 or value.numel() == logits.numel():
            return log_most + ((value - likeliest) * logits).sum(dim=-1)
        # What x lacks to the likeliest value is a difference of two large sums. Sums of the logits rounded to one grid
        # are exact, whatever the order, as are their differences; what the rounding left is small.
        level = 2 * logits.detach().abs().sum(dim=-1, keepdim=True)
        rounded = (logits.detach() + level) - level
        parts = (rounded, logits - rounded)
        return log_most + sum(dot(value, part) - (likeliest * part).sum(dim=-1) for part in parts)

    def entropy(self) -> Tensor:
        """Entropy in nats, shape (B,). Carries gradient."""
        logits = self._finite_logits()
        ones, zeros = (torch.sigmoid(each) * F.logsigmoid(each) for each in (logits, -logits))
        return -(ones + zeros).sum(dim=-1)

    def _finite_logits(self) -> Tensor:
        """Infinite ones so large that nothing is left of the other bit, beside any possible value of the others."""
        size = self.logits.detach().abs()
        limit = 1000 + size.nan_to_num_(posinf=0.0).sum(dim=-1, keepdim=True)
        return self.logits.clamp(-limit, limit)


def _bernoulli_from_bytes(probs: Tensor, shape: torch.Size) -> Tensor:
    """Draws at a quarter of the random bits: a byte decides all but one element in 256.

    A uniform number is below p when its first byte is below that of p; where the two bytes are equal, the
    remaining bits decide, and only those are drawn. torch's CPU generator makes about one number in 8 ns,
    which otherwise outweighs the discriminator.
    """
    count = shape.numel()
    words = torch.empty((count + 7) // 8, dtype=torch.int64, device="cpu").random_(-(2**63), None)
    first_byte = words.view(torch.uint8)[:count].view(shape)
    scaled = probs.flatten() * 256
    # p = 1 would need byte 256: its threshold stays at 255, and its rest of 1 wins every tie.
    threshold = scaled.floor().clamp(max=255)
    rest = scaled - threshold
    threshold = threshold.to(torch.uint8).view(probs.shape)
    draws = torch.lt(first_byte, threshold, out=torch.empty(shape, dtype=probs.dtype, device="cpu"))
    # NumPy finds the few ties twenty times faster than torch.nonzero.
    ties = torch.from_numpy(np.flatnonzero((first_byte == threshold).numpy()))
    draw = torch.rand(ties.shape, dtype=probs.dtype, device="cpu")
    draws.view(-1)[ties] = (draw < rest[ties % probs.numel()]).to(draws.dtype)
    return draws
