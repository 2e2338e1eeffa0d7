r"""Boundary-seeking gradient: the generator descends the importance-weighted log-likelihood of its samples.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    Maximum-Likelihood Augmented Discrete Generative Adversarial Networks (Che et al., 2017),
    https://arxiv.org/abs/1702.07983
    Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from discrete_gan._arguments import check_at_least, check_choice, check_same_shape, check_samples
from discrete_gan._precision import at_least_float32, weighted_sum
from discrete_gan.distributed import gather, process_rank
from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.estimators._common import log_ratios
from discrete_gan.estimators.claims import Claims
from discrete_gan.weights import Over, normalized_weights, union_weights

_ONE_SAMPLE = "a single normalized weight is always 1 and its expected gradient zero"


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
        check_at_least("log_w: number of samples M", log_w.shape[0], 2, _ONE_SAMPLE)
        weights = normalized_weights(log_w.detach(), over=over, zero_sum=zero_sum)
    else:
        everyone = gather(log_w)
        num_latents = log_w.shape[1]
        weights = everyone.shape[1] * normalized_weights(everyone, over=over, zero_sum=zero_sum)
        weights = weights.narrow(1, process_rank() * num_latents, num_latents)
    return -(weights * log_prob).sum(dim=0)


def softmax_boundary_seeking_loss(
    log_w: Tensor, log_prob: Tensor, real_log_w: Tensor, *, zero_sum: bool = True
) -> Tensor:
    r"""Boundary-seeking surrogate with the weights of a softmax over generated and real samples together.

    .. math::
        \ell_b = -\sum_{m=1}^{M} \Big(\tilde w_{m,b} - \tfrac{1}{M + R}\Big) \log g_\theta(x_{m,b} \mid z_b), \qquad
        \tilde w_{m,b} = \frac{e^{s_{m,b}}}{\sum_{m'} e^{s_{m',b}} + \sum_{r=1}^{R} e^{s_r}}

    What it descends: with many samples of both kinds, :math:`R = \rho M`, sums become means, and the expected gradient
    is that of :math:`\lambda_z KL(\tilde p_z \| g(\cdot \mid z))`, where
    :math:`\tilde p_z \propto g(x \mid z)\, e^{s(x)}` and

    .. math:: \lambda_z = \frac{Z_z}{Z_z + \rho\, E_{data}[e^s]}, \qquad Z_z = E_{g(\cdot \mid z)}[e^s]

    are held fixed: the target of :func:`boundary_seeking_loss`, but a latent counts by its share of the softmax. One
    whose samples all look unlikely beside the data moves little, instead of as much as any other. For finite M the bias
    is of rate 1/M. With M = 1 the gradient does not vanish: it is REINFORCE's, without bias, with the bounded reward
    :math:`\sigma(s - \log \sum_r e^{s_r})`.

    Scores of a GAN's discriminator are log-ratios. Those of ``losses.softmax_gan`` are :math:`\log D` up to a constant,
    so that the target is :math:`g(x \mid z)\, D(x)` normalized: weights are bounded, the fixed point is the same.

    Args:
        log_w: Scores of the generated samples in nats, larger for more real, shape (M, B). Not differentiated.
        log_prob: log g(x_m | z) in nats of the same samples, shape (M, B).
        real_log_w: Scores of real samples in nats, shape (R,). Those of every process of a distributed run are taken
            together, equally many on each. Not differentiated.
        zero_sum: Subtract 1/(M + R), the target that Softmax GAN sets the generator: no expectation changes, as the
            samples are its own.

    Returns:
        One loss per latent, shape (B,). Gradients reach ``log_prob`` only.

    Raises:
        ValueError: If the shapes of ``log_w`` and ``log_prob`` differ, or ``real_log_w`` is not (R,).
    """
    check_samples("log_w", log_w)
    check_same_shape("log_prob", log_prob, "log_w", log_w)
    weights = union_weights(log_w.detach(), gather(real_log_w), zero_sum=zero_sum)
    return -(weights * at_least_float32(log_prob)).sum(dim=0)


@dataclass(frozen=True)
class BoundarySeeking:
    """Boundary-seeking estimator: see :func:`boundary_seeking_loss` and :func:`softmax_boundary_seeking_loss`.

    Works with any discriminator whose raw output is the log-ratio, whichever divergence trained it. One call
    costs ``num_samples`` discriminator evaluations a latent, and over the union one a real sample, all without a
    backward pass.

    Attributes:
        num_samples: M, samples drawn for each latent.
        over: Normalize the weights over the ``"samples"`` of each latent, over the ``"batch"``, or over the
            ``"union"`` of a latent's samples and real ones (Softmax GAN).
        zero_sum: Subtract the mean weight.
        chunk_size: Draw and score this many samples of each latent at a time, so that memory does not grow
            with M. For factorized distributions only, whose log-probability is affine in the sample.

    Raises:
        ValueError: If M is below 2 (below 1 over the batch or the union), ``over`` is unknown or ``chunk_size`` is
            below 1.
    """

    num_samples: int = 20
    over: Over | Literal["union"] = "samples"
    zero_sum: bool = True
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        check_choice("over", self.over, ("samples", "batch", "union"))
        if self.over == "samples":
            check_at_least("num_samples", self.num_samples, 2, _ONE_SAMPLE)
        check_at_least("num_samples", self.num_samples, 1)
        if self.chunk_size is not None:
            check_at_least("chunk_size", self.chunk_size, 1)

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        if self.over == "samples":
            return Claims("reweighted", "O(1/M)", self.num_samples, "Hjelm et al. 2018, arXiv 1702.08431")
        if self.over == "union":
            bias = "O(1/M), and latents weigh as their shares of the softmax"
            return Claims("reweighted", bias, self.num_samples, "Lin 2017, arXiv 1704.06191")
        bias = "O(1/(M B)), and latents weigh as their partition functions"
        return Claims("reweighted", bias, self.num_samples, "Che et al. 2017, arXiv 1702.07983")

    def __call__(
        self, generator: nn.Module, discriminator: nn.Module, z: Tensor, *, real: Tensor | None = None
    ) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Args:
            generator: Returns a distribution.
            discriminator: Returns scores in nats.
            z: Latents, shape (B, latent_dim).
            real: Real samples, shape (R, *event), for weights over the union; not looked at otherwise. Not
                differentiated.

        Raises:
            TypeError: If ``chunk_size`` is set and the generator's distribution is not factorized.
            ValueError: If the weights are normalized over the union and ``real`` is not given, or is not a batch.
        """
        real_log_w = _scores_of_real(discriminator, real) if self.over == "union" else torch.empty(0)
        g = generator(z)
        if isinstance(g, FactorizedBernoulli | FactorizedCategorical):
            return self._factorized(g, discriminator, real_log_w)
        if self.chunk_size is not None:
            raise TypeError(
                f"chunk_size: expected a FactorizedBernoulli or FactorizedCategorical generator, got {type(g).__name__}"
            )
        x = g.sample((self.num_samples,))
        with torch.no_grad():
            log_w = log_ratios(discriminator, x)
        if self.over == "union":
            return softmax_boundary_seeking_loss(log_w, g.log_prob(x), real_log_w, zero_sum=self.zero_sum)
        return boundary_seeking_loss(log_w, g.log_prob(x), over=self.over, zero_sum=self.zero_sum)

    def _factorized(
        self, g: FactorizedBernoulli | FactorizedCategorical, discriminator: nn.Module, real_log_w: Tensor
    ) -> Tensor:
        """The same loss from two means over samples, summed chunk by chunk.

        log g(x | z) is affine in x, so the weighted sum of log-probabilities over samples is the
        log-probability of the weighted mean sample: the graph never sees anything of the size of x.
        """
        with torch.no_grad():
            # Weights are kept relative to exp(highest), the largest so far: no sum overflows or underflows.
            highest = torch.full_like(g.logits.flatten(len(g.batch_shape))[..., 0], -torch.inf)
            total = weighted = plain_sum = torch.zeros_like(highest.flatten()[0])  # broadcast at first
            done = 0
            while done < self.num_samples:
                x = g.sample((min(self.chunk_size or self.num_samples, self.num_samples - done),))
                log_w = log_ratios(discriminator, x).to(x.dtype)
                bounds = torch.finfo(log_w.dtype)
                log_w = log_w.clamp(bounds.min, bounds.max)  # as normalized_weights does
                previous, highest = highest, torch.maximum(highest, log_w.amax(dim=0))
                shrink, weights = (previous - highest).exp(), (log_w - highest).exp()
                total = shrink * total + weights.sum(dim=0)
                weighted = _per_latent(shrink, g) * weighted + weighted_sum(weights, x)
                plain_sum = plain_sum + x.sum(dim=0)
                done += len(x)
                del x  # or the next chunk would be drawn beside it
            weighted_mean, plain_mean = weighted / _per_latent(total, g), plain_sum / self.num_samples
            # Where all samples agree so do both means, to the last digit: what is ruled out has an infinite logit.
            agree = (plain_mean == 0) | (plain_mean == 1)
            weighted_mean = torch.where(agree, plain_mean, weighted_mean)
            scale, mean_scale = torch.ones_like(total), 1.0
            if self.over == "batch":
                everyone = gather(highest + total.log())
                scale = everyone.numel() * everyone.softmax(dim=0)
                scale = scale.narrow(0, process_rank() * len(total), len(total))
            elif self.over == "union":
                scores, bounds = gather(real_log_w).to(total.dtype), torch.finfo(total.dtype)
                scores = scores.clamp(bounds.min, bounds.max)
                mean_scale = self.num_samples / (self.num_samples + len(scores))
                # Real scores far above all others overflow to infinity, and the scale is zero, as it should be.
                scale = total / (total + (scores[:, None] - highest).exp().sum(dim=0))
        loss = -scale * g.log_prob(weighted_mean)
        return loss + mean_scale * g.log_prob(plain_mean) if self.zero_sum else loss


def _scores_of_real(discriminator: nn.Module, real: Tensor | None) -> Tensor:
    """The discriminator's raw output on real samples (R, *event), shape (R,). No gradient."""
    if real is None:
        raise ValueError("real: expected real samples with over=union (recipes give them, the lab has none), got None")
    with torch.no_grad():
        scores = discriminator(real)
    if scores.shape != real.shape[:1] or len(real) == 0:
        raise ValueError(f"real: expected shape (R, *event), got {tuple(real.shape)}, of scores {tuple(scores.shape)}")
    return scores


def _per_latent(value: Tensor, g: FactorizedBernoulli | FactorizedCategorical) -> Tensor:
    """(B,) shaped to multiply one sample of each latent, (B, *event)."""
    return value.view(-1, *[1] * len(g.event_shape))


def maligan(num_samples: int = 20) -> BoundarySeeking:
    """MaliGAN's form: weights normalized over the whole batch, minus their mean.

    The paper normalizes over the minibatch and subtracts a baseline b that it raises during training; for weights
    that sum to one, b = 1/(M B) is the value that changes no expectation.

    References:
        Maximum-Likelihood Augmented Discrete Generative Adversarial Networks (Che et al., 2017),
        https://arxiv.org/abs/1702.07983
    """
    return BoundarySeeking(num_samples, over="batch", zero_sum=True)
