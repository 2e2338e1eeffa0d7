r"""Boundary-seeking gradient: the generator descends the importance-weighted log-likelihood of its samples.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    Maximum-Likelihood Augmented Discrete Generative Adversarial Networks (Che et al., 2017),
    https://arxiv.org/abs/1702.07983
"""

from dataclasses import dataclass

from torch import Tensor

from discrete_gan._arguments import check_at_least, check_choice, check_same_shape, check_samples
from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributed import gather, process_rank
from discrete_gan.estimators._common import FACTORIZED, ONE_SAMPLE
from discrete_gan.estimators._mean_samples import drawn_at_once, drawn_mean, loss_of_means
from discrete_gan.estimators.claims import Claims
from discrete_gan.weights import Over, normalized_weights


def boundary_seeking_loss(log_w: Tensor, log_prob: Tensor, *, over: Over = "samples", zero_sum: bool = True) -> Tensor:
    r"""Surrogate whose gradient, not its value, is the boundary-seeking update.

    .. math:: \ell_b = -\sum_{m=1}^{M} (\tilde w_{m,b} - \tfrac{1}{M}) \log g_\theta(x_{m,b} \mid z_b)

    Descends :math:`KL(\tilde p_z \| g(\cdot \mid z))`, where :math:`\tilde p_z \propto g(x \mid z)\, w(x)` is held
    fixed. Self-normalized, so biased at rate 1/M; with M = 1 there is no signal at all. Subtracting 1/M changes
    no expectation and lowers the variance, because the samples are the generator's own. For samples of another
    distribution, a proposal, it is wrong: take ``weights.importance_loss``.

    Args:
        log_w: log p_data(x_m) / p_g(x_m) in nats, the discriminator's raw output, shape (M, B). Not differentiated.
        log_prob: log g(x_m | z) in nats of the same samples, drawn from g itself, shape (M, B).
        over: ``"samples"`` normalizes the weights over the M samples of each latent (equations 8 to 10),
            ``"batch"`` over all M * B samples (equation 7), those of every process of a distributed run among
            them; the loss is then scaled by B, so that its mean over latents is the paper's sum.
        zero_sum: Subtract the mean weight.

    Returns:
        One loss per latent, shape (B,). Gradients reach ``log_prob`` only.

    Raises:
        ValueError: If the shapes differ, or M is 1 and the weights are normalized over samples.
    """
    check_samples("log_w", log_w)
    check_same_shape("log_prob", log_prob, "log_w", log_w)
    log_prob = at_least_float32(log_prob)
    if over == "samples":
        check_at_least("log_w: number of samples M", log_w.shape[0], 2, ONE_SAMPLE)
        weights = normalized_weights(log_w.detach(), over=over, zero_sum=zero_sum)
    else:
        everyone = gather(log_w)
        num_latents = log_w.shape[1]
        weights = everyone.shape[1] * normalized_weights(everyone, over=over, zero_sum=zero_sum)
        weights = weights.narrow(1, process_rank() * num_latents, num_latents)
    return -(weights * log_prob).sum(dim=0)


@dataclass(frozen=True)
class BoundarySeeking:
    """Boundary-seeking estimator: see :func:`boundary_seeking_loss`.

    Works with any discriminator whose raw output is the log-ratio, whichever divergence trained it. One call
    costs ``num_samples`` discriminator evaluations per latent, without a backward pass.

    Attributes:
        num_samples: M, samples drawn for each latent.
        over: Normalize the weights over the ``"samples"`` of each latent, or over the ``"batch"``.
        zero_sum: Subtract the mean weight.
        chunk_size: Draw and score this many samples of each latent at a time, so that memory does not grow
            with M. For factorized distributions only, whose log-probability is affine in the sample.

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
        g = generator(z)
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
