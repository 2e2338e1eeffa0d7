"""Independent categorical positions."""

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size as Shape

from discrete_gan._arguments import check_support
from discrete_gan._precision import at_least_float32, dot, widest_float
from discrete_gan.distributions._relax import over_temperature


class FactorizedCategorical(Distribution):
    r"""D independent categorical variables of K categories, as one-hot floats of shape (D, K).

    The same law as ``Independent(OneHotCategorical(logits=logits), 1)``.

    Args:
        logits: Unnormalized log-probabilities in nats, shape (B, D, K). Minus infinity rules a category out.
            Carries gradient.

    Attributes:
        logits: Normalized log-probabilities, shape (B, D, K), at least float32.
    """

    arg_constraints = {"logits": constraints.independent(constraints.real_vector, 1)}  # pyright: ignore
    support = constraints.independent(constraints.one_hot, 1)  # pyright: ignore
    has_enumerate_support = True

    def __init__(self, logits: Tensor, validate_args: bool | None = None) -> None:
        if logits.dim() < 2:
            raise ValueError(f"logits: expected shape (B, D, K), got {tuple(logits.shape)}")
        self.logits = torch.log_softmax(at_least_float32(logits), dim=-1)
        # Checking values would read them back from the device; torch's default is to check.
        super().__init__(logits.shape[:-2], logits.shape[-2:], validate_args=bool(validate_args))

    def expand(self, batch_shape: Shape, _instance: None = None) -> "FactorizedCategorical":
        """The same distribution with a broadcast batch shape."""
        return FactorizedCategorical(self.logits.expand(*batch_shape, *self.event_shape))

    @property
    def probs(self) -> Tensor:
        """Probabilities, shape (B, D, K). Carries gradient."""
        return self.logits.exp()

    @property
    def mean(self) -> Tensor:
        """Same as :attr:`probs`: the mean of the one-hot vectors."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The likeliest value, one-hot, shape (B, D, K); of categories as likely, the first. No gradient."""
        return self.discretize(self.logits)

    @property
    def variance(self) -> Tensor:
        """Variance of each one-hot component, shape (B, D, K). Carries gradient."""
        probs = self.probs
        return probs * (1 - probs)

    @staticmethod
    def to_indices(value: Tensor) -> Tensor:
        """One-hot (or relaxed) values of shape (..., D, K) to category indices of shape (..., D), int64."""
        return value.argmax(dim=-1)

    def from_indices(self, indices: Tensor) -> Tensor:
        """Category indices of shape (..., D) to one-hot values of shape (..., D, K), of the logits' type."""
        one_hot = torch.zeros(*indices.shape, self.event_shape[-1], dtype=self.logits.dtype, device=indices.device)
        return one_hot.scatter_(-1, indices.unsqueeze(-1), 1)

    def sample_indices(self, sample_shape: Shape = ()) -> Tensor:
        r"""Draws category indices by the inverse distribution function.

        One softmax and cumulative sum per position serve all draws, and a draw costs one uniform number and a
        binary search, instead of K random numbers. The sum runs in float64, where the device has it: in float32
        the last of 50,000 categories would round away. The first category whose cumulative sum exceeds :math:`u S`
        is taken, with S the total and :math:`u \in [0, 1)`: so no category of probability zero is drawn, and
        :math:`u S < S` in floating point for every u, so that none is lost at the upper end either.

        Args:
            sample_shape: Usually (M,).

        Returns:
            int64 of shape ``sample_shape`` + (B, D). No gradient.
        """
        with torch.no_grad():
            sample_shape = torch.Size(sample_shape)
            dtype = widest_float(self.logits.device.type)
            cumulative = self.probs.cumsum(dim=-1, dtype=dtype)
            draws_last = (*self.logits.shape[:-1], sample_shape.numel())
            uniform = torch.rand(draws_last, dtype=dtype, device=self.logits.device)
            indices = torch.searchsorted(cumulative, uniform.mul_(cumulative[..., -1:]), right=True)
            # Of logits that are not finite numbers it would be K: a loss of NaN says so, an index out of range crashes.
            indices.clamp_(max=self.logits.shape[-1] - 1)
            return indices.movedim(-1, 0).reshape(*sample_shape, *self.logits.shape[:-1])

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draws one-hot values.

        Args:
            sample_shape: Usually (M,).

        Returns:
            Shape ``sample_shape`` + (B, D, K), of the logits' type. No gradient.
        """
        return self.from_indices(self.sample_indices(sample_shape))

    def rsample(self, sample_shape: Shape = (), *, temperature: float = 0.5, hard: bool = False) -> Tensor:
        r"""Relaxed draws from the Gumbel-softmax (Concrete) distribution, softmax((l + G) / tau).

        Args:
            sample_shape: Usually (M,).
            temperature: :math:`\tau > 0`; the smaller, the closer to one-hot and the larger the gradients.
            hard: One-hot forward, keep the relaxed gradient backward (straight-through).

        Returns:
            Points of the simplex, shape ``sample_shape`` + (B, D, K). Gradients reach the logits.

        Raises:
            ValueError: If the temperature is not above 0.

        References:
            Categorical Reparameterization with Gumbel-Softmax (Jang et al., 2017), https://arxiv.org/abs/1611.01144
        """
        relaxed = self.relax(self.perturbed_logits(sample_shape), temperature)
        return self.discretize(relaxed) + (relaxed - relaxed.detach()) if hard else relaxed

    def perturbed_logits(self, sample_shape: Shape = ()) -> Tensor:
        """Logits plus Gumbel noise; the largest is the category of the sample.

        Args:
            sample_shape: Usually (M,).

        Returns:
            Shape ``sample_shape`` + (B, D, K). Gradients reach the logits.
        """
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.logits - torch.empty(shape, dtype=self.logits.dtype, device=self.logits.device).exponential_().log()

    def perturbed_logits_given(self, x: Tensor) -> Tensor:
        r"""Draws from the law of :meth:`perturbed_logits` given the samples they round to.

        The largest is a standard Gumbel, :math:`-\log E_i`, as the logits are normalized; the others are Gumbels
        truncated to lie below it, :math:`-\log(E_j / p_j + E_i)`, with E exponential.

        Args:
            x: One-hot, shape (..., B, D, K).

        Returns:
            The shape of ``x``. Gradients reach the logits, through the inverse distribution function.

        References:
            A* Sampling (Maddison et al., 2014), https://arxiv.org/abs/1411.0030
            Rao-Blackwellizing the Straight-Through Gumbel-Softmax Gradient Estimator (Paulus et al., 2021),
            https://arxiv.org/abs/2010.04838
        """
        logits = self._finite_logits()
        log_noise = torch.empty(x.shape, dtype=logits.dtype, device=logits.device).exponential_().log()
        log_top = (log_noise * x).sum(dim=-1, keepdim=True)
        given = torch.where(x > 0, -log_top, -torch.logaddexp(log_noise - logits, log_top))
        return given.masked_fill(self.logits.isinf(), -torch.inf)

    @staticmethod
    def discretize(perturbed: Tensor) -> Tensor:
        """The sample that perturbed logits stand for: one-hot at the largest, the same shape. No gradient."""
        index = perturbed.detach().argmax(dim=-1, keepdim=True)
        return torch.zeros_like(perturbed).scatter_(-1, index, 1)

    @staticmethod
    def relax(perturbed: Tensor, temperature: float | Tensor) -> Tensor:
        """Softmax of perturbed logits over the temperature, in the simplex, the same shape, at least float32.

        Carries gradient, to the temperature as well if it is a tensor.

        Raises:
            ValueError: If the temperature is a number and not above 0.
        """
        return torch.softmax(over_temperature(at_least_float32(perturbed), temperature), dim=-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All K^D values, the last position counting fastest.

        Args:
            expand: Over the batch shape.

        Returns:
            One-hot, shape (K^D, B, D, K), or (K^D, 1, D, K) without ``expand``.
        """
        num_positions, num_categories = self.event_shape
        place = num_categories ** torch.arange(num_positions - 1, -1, -1, device=self.logits.device)
        states = torch.arange(num_categories**num_positions, device=self.logits.device)
        values = self.from_indices(states[:, None] // place % num_categories)
        values = values.view(len(values), *[1] * len(self.batch_shape), *self.event_shape)
        return values.expand(len(values), *self.batch_shape, *self.event_shape) if expand else values

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats, one matrix product with the normalized logits.

        Args:
            value: One-hot, shape (M, B, D, K) or any shape that ends in (B, D, K).

        Returns:
            Shape of ``value`` without (D, K). Gradients reach the logits. An impossible value gets a huge negative
            finite number where it may be minus infinity: 0 * inf would be NaN for the possible ones.

        Raises:
            ValueError: If ``value`` does not end in the shape of the logits, or, with ``validate_args``, lies outside
                the support.
        """
        if value.shape[value.dim() - self.logits.dim() :] != self.logits.shape:
            raise ValueError(f"value: expected a shape ending in {tuple(self.logits.shape)}, got {tuple(value.shape)}")
        if self._validate_args:
            check_support(value, self.support, "one-hot vectors")
        logits = self._finite_logits().flatten(-2)
        value = value.to(logits.dtype).flatten(-2)
        return dot(value, logits) if logits.dim() == 2 else (value * logits).sum(dim=-1)

    def entropy(self) -> Tensor:
        """Entropy in nats, shape (B,). Carries gradient."""
        # The finite bound keeps 0 * log 0 at zero, in value and gradient.
        return -(self.probs * self._finite_logits()).sum(dim=(-2, -1))

    def _finite_logits(self) -> Tensor:
        """Those of minus infinity so low that nothing is left of the category, and that the sum of D is finite."""
        return self.logits.clamp(min=torch.finfo(self.logits.dtype).min / (2 * self.logits.shape[-2]))
