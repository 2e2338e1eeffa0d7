r"""Boundary-seeking gradient: the generator descends the importance-weighted log-likelihood of its samples.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    Maximum-Likelihood Augmented Discrete Generative Adversarial Networks (Che et al., 2017),
    https://arxiv.org/abs/1702.07983
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_axis, check_choice, check_floats, check_same_shape
from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributed import gather, process_rank
from discrete_gan.distributions import as_factorized
from discrete_gan.estimators._common import FACTORIZED, ONE_SAMPLE
from discrete_gan.estimators._mean_samples import drawn_at_once, drawn_mean, loss_of_means
from discrete_gan.estimators.claims import Claims
from discrete_gan.weights import Over, normalized_weights


def boundary_seeking_loss(
    log_w: Tensor,
    log_prob: Tensor,
    log_proposal: Tensor | None = None,
    *,
    over: Over = "samples",
    zero_sum: bool | None = None,
    dim: int = 0,
    where: Tensor | None = None,
) -> Tensor:
    r"""Surrogate whose gradient, not its value, is the boundary-seeking update.

    .. math:: \ell_b = -\sum_{m=1}^{M} (\tilde w_{m,b} - \tfrac{1}{M}) \log g_\theta(x_{m,b} \mid z_b)

    Descends :math:`KL(\tilde p_z \| g(\cdot \mid z))`, where :math:`\tilde p_z \propto g(x \mid z)\, w(x)` is held
    fixed. Self-normalized, so biased at rate 1/M; with M = 1 there is no signal at all. Subtracting 1/M changes
    no expectation and lowers the variance, because the samples are the generator's own.

    Samples of another distribution q need ``log_proposal``: each weight is then that of g over q as well,
    :math:`w\, g / q`, and nothing is subtracted, as the mean score of g is not zero under q. ``zero_sum`` subtracts
    :math:`\tfrac{1}{M} g / q` then, which changes no expectation either; it lowers the variance where q is near g, and
    raises it where g / q has a heavy tail. Where the target is not g w, take ``weights.importance_loss``.

    Args:
        log_w: log p_data(x_m) / p_g(x_m) in nats, the discriminator's raw output, shape (M, B), or any other with the
            samples along ``dim``. Not differentiated.
        log_prob: log g(x_m | z) in nats of the same samples, the shape of ``log_w``.
        log_proposal: log q(x_m | z) in nats of what the samples were drawn from, the shape of ``log_w``; without, that
            is g itself. Not differentiated.
        over: ``"samples"`` normalizes the weights over the M samples of each latent (equations 8 to 10),
            ``"batch"`` over all M * B samples (equation 7), those of every process of a distributed run among
            them; the loss is then scaled by B, so that its mean over latents is the paper's sum.
        zero_sum: Subtract what has a mean score of zero; by default where the samples are g's own.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``; M is their number.

    Returns:
        One loss per latent, shape (B,). Gradients reach ``log_prob`` only.

    Raises:
        ValueError: If the shapes differ, M is 1 and the weights are normalized over samples, or another argument does
            not fit, as in ``weights.normalized_weights``.

    Example:
        >>> log_prob = torch.tensor([[-1.0], [-1.0]], requires_grad=True)  # of two samples of one latent
        >>> boundary_seeking_loss(torch.tensor([[0.0], [2.0]]), log_prob).sum().backward()
        >>> log_prob.grad[:, 0]  # up with the second: the weights less a half
        tensor([ 0.3808, -0.3808])
    """
    check_choice("over", over, ("samples", "batch"))
    check_floats("log_w", log_w)
    check_axis("log_w", log_w, dim)
    check_same_shape("log_prob", log_prob, "log_w", log_w)
    log_prob, log_w = at_least_float32(log_prob), log_w.detach()
    log_g_over_q = None
    if log_proposal is not None:
        check_same_shape("log_proposal", log_proposal, "log_w", log_w)
        log_g_over_q = log_prob.detach() - at_least_float32(log_proposal.detach())
        log_w = log_w + log_g_over_q
    of_itself = log_proposal is None
    zero_sum = of_itself if zero_sum is None else zero_sum
    if over == "samples":
        check_at_least("log_w: number of samples M", log_w.shape[dim], 2, ONE_SAMPLE)
        weights = normalized_weights(log_w, over=over, zero_sum=zero_sum and of_itself, dim=dim, where=where)
    else:
        if where is not None:
            raise ValueError(f"where: expected over='samples' beside it, got over={over!r}")
        weights = _of_whole_batch(log_w, zero_sum=zero_sum and of_itself, dim=dim)
    if zero_sum and log_g_over_q is not None:
        there = torch.ones_like(weights, dtype=torch.bool) if where is None else where.expand(weights.shape)
        number = there.sum(dim=dim, keepdim=True).clamp(min=1)
        weights = weights - torch.where(there, log_g_over_q.exp() / number, 0.0)
    # What g cannot draw has no weight, and a log-probability of minus infinity: 0 * -inf.
    return -(weights * torch.where(weights == 0, 0.0, log_prob)).sum(dim=dim)


def _of_whole_batch(log_w: Tensor, *, zero_sum: bool, dim: int) -> Tensor:
    """B times the weights normalized over all samples of every process, the shape of ``log_w``."""
    samples_last = log_w.movedim(dim, -1)
    own = samples_last.reshape(-1, log_w.shape[dim]).T
    everyone, num_latents = gather(own), own.shape[1]
    weights = everyone.shape[1] * normalized_weights(everyone, over="batch", zero_sum=zero_sum)
    weights = weights.narrow(1, process_rank() * num_latents, num_latents)
    return weights.T.view(samples_last.shape).movedim(-1, dim)


@dataclass(frozen=True)
class BoundarySeeking:
    """Boundary-seeking estimator: see :func:`boundary_seeking_loss`.

    Works with any discriminator whose raw output is the log-ratio, whichever divergence trained it. One call
    costs ``num_samples`` discriminator evaluations per latent, without a backward pass.

    Attributes:
        num_samples: M, samples drawn for each latent.
        over: Normalize the weights over the ``"samples"`` of each latent, or over the ``"batch"``.
        zero_sum: Subtract the mean weight.
        chunk_size: Draw and score this many samples of each latent at a time, so that memory does not grow with M; by
            default as many as a cache holds. Of any other size for factorized distributions only, whose
            log-probability is affine in the sample.

    Raises:
        ValueError: If M is below 2 (below 1 over the batch), ``over`` is unknown or ``chunk_size`` is below 1.
    """

    num_samples: int = 20
    over: Over = "samples"
    zero_sum: bool = True
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        if self.over == "union":  # as it was called before it had a name of its own
            raise ValueError("over: expected one of samples, batch, got 'union', which is boundary-seeking-union now")
        check_choice("over", self.over, ("samples", "batch"))
        if self.over == "samples":
            check_at_least("num_samples", self.num_samples, 2, ONE_SAMPLE)
        check_at_least("num_samples", self.num_samples, 1)
        if self.chunk_size is not None:
            check_at_least("chunk_size", self.chunk_size, 1)

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        if self.over == "samples":
            return Claims("reweighted", "O(1/M)", self.num_samples, "Hjelm et al. 2018, arXiv 1702.08431")
        bias = "O(1/(M B)), and latents weigh as their partition functions"
        return Claims("reweighted", bias, self.num_samples, "Che et al. 2017, arXiv 1702.07983")

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If ``chunk_size`` is set and the generator's distribution is not factorized.
        """
        g = as_factorized(generator(z))
        if isinstance(g, FACTORIZED):
            mean = drawn_mean(g, discriminator, self.num_samples, self.chunk_size)
            scale = 1.0 if self.over == "samples" else _shares_of_batch(mean.log_total)
            return loss_of_means(g, mean, scale=scale, zero_sum=self.zero_sum)
        x, log_w = drawn_at_once(g, discriminator, self.num_samples, self.chunk_size)
        return boundary_seeking_loss(log_w, g.log_prob(x), over=self.over, zero_sum=self.zero_sum)


def _shares_of_batch(log_total: Tensor) -> Tensor:
    """B times what the weights of each latent are of those of all of the batch, of every process, shape (B,)."""
    everyone = gather(log_total)
    shares = everyone.numel() * everyone.softmax(dim=0)
    return shares.narrow(0, process_rank() * len(log_total), len(log_total))


def maligan(num_samples: int = 20) -> BoundarySeeking:
    """MaliGAN's form: weights normalized over the whole batch, minus their mean.

    The paper normalizes over the minibatch and subtracts a baseline b that it raises during training; for weights
    that sum to one, b = 1/(M B) is the value that changes no expectation.

    References:
        Maximum-Likelihood Augmented Discrete Generative Adversarial Networks (Che et al., 2017),
        https://arxiv.org/abs/1702.07983
    """
    return BoundarySeeking(num_samples, over="batch", zero_sum=True)
