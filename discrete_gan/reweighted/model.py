r"""A generator with its discriminator as one model, :math:`\tilde p(x) = p_g(x)\, w(x) / Z`.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), equation 6, https://arxiv.org/abs/1702.08431
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution

from discrete_gan._arguments import check_at_least, check_choice
from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.distributions import Autoregressive, PointMass, Prefixes
from discrete_gan.errors import InputError
from discrete_gan.reweighted import choice
from discrete_gan.reweighted.choice import Choice
from discrete_gan.reweighted.density import Density, LogPartition, log_partition_of, log_prob_of
from discrete_gan.reweighted.diagnosis import Diagnosis, Tally, hashes_of
from discrete_gan.reweighted.distribution import ReweightedDistribution, ReweightedSequences
from discrete_gan.reweighted.gibbs import moves_along, tuned_step
from discrete_gan.reweighted.networks import Networks, options_of_group, options_of_rows
from discrete_gan.reweighted.particles import filtered
from discrete_gan.sampling import evaluating, generate
from discrete_gan.seeds import seeded
from discrete_gan.weights import take

Method = Literal["resample", "independence-mh", "per-latent", "rejection", "gibbs", "smc"]
METHODS: tuple[Method, ...] = get_args(Method)
# Candidates at a time, and numbers of them: a token counts as the vector that a network makes of it.
_MOST_CANDIDATES, _MOST_NUMBERS, _OF_TOKEN = 2**15, 2**22, 64
_PILOT, _PILOT_CHAINS = 1000, 64  # draws that a bound is the largest weight of, and chains that tune a step size


class Draws(NamedTuple):
    """What :meth:`Reweighted.sample` returns: samples, or what ``convert`` makes of them, and what they say."""

    samples: Tensor
    diagnosis: Diagnosis


class Reweighted(Networks):
    r"""A generator whose samples are chosen by a discriminator, itself a generator: draw from it, score it, show it.

    .. math:: \tilde p(x) = p_g(x)\, w(x) / Z, \qquad \log w(x) = a F(x) + c, \qquad Z = E_{p_g}[w(x)]

    With the exact log-ratio :math:`\tilde p` is the data's distribution. Methods, each with N candidates for every
    output:

    - ``"resample"``: sampling-importance-resampling. N draws of p_g for each output, each of a latent of its own, and
      one of them by its normalized weight. Outputs are independent; their law nears :math:`\tilde p` at rate 1/N.
    - ``"independence-mh"``: for each output a chain of its own, started at a draw of p_g and offered N - 1 others.
    - ``"per-latent"``: N draws of g(x | z) of the latent that is given, and one of them by its weight: the law nears
      :math:`g(x \mid z) w(x) / Z(z)`, and latents, and what they decide, such as classes, are as often as before.
    - ``"rejection"``: of N draws of p_g the first that is accepted with w over a bound, an exact draw of
      :math:`\tilde p`; where none is, one of them by weights that allow for it: see ``choice.rejected``.
    - ``"gibbs"``: of independent bits or categories; N informed moves from a draw of g(x | z) that leave
      :math:`g(x \mid z) w(x)` invariant: latents are as often as before. Its step size is tuned once, by a pilot.
    - ``"smc"``: of sequences and a discriminator with ``steps``, from any number of tokens the log-ratio of every
      prefix: for each output a particle filter of N particles over the positions, one of which is chosen in the end.
      It asks the discriminator at every position.

    Its networks are in evaluation mode while it draws and keep their own modes otherwise; nothing carries gradient.

    Args:
        generator: With ``latents``, ``decode``, ``latent_dim`` and a forward that returns a distribution; its labels,
            if any, become those of all candidates of an output.
        discriminator: One raw output for each sample; one with a parameter ``labels`` is given those, if there are any.
        method: One of :data:`METHODS`.
        candidates: N, for each output.
        scale: a, the slope of the calibration: see ``metrics.fit_calibration``.
        offset: c in nats, which changes Z and no sample.
        bound: Log of the largest weight in nats, for ``"rejection"``; by default that of 1,000 draws. Candidates above
            it are counted.

    Attributes:
        log_bound: As given, or what the pilot found, in nats.
        step_size: Of moves, once the pilot has found it.

    Raises:
        ValueError: If the method is unknown, N below 1, or a network is none.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        method: Method = "resample",
        candidates: int = 5,
        scale: float = 1.0,
        offset: float = 0.0,
        bound: float | None = None,
    ) -> None:
        super().__init__(generator, discriminator, scale, offset)
        check_choice("method", method, METHODS)
        check_at_least("candidates", candidates, 1)
        if bound is not None and not math.isfinite(bound):
            raise ValueError(f"bound: expected a finite number, got {bound}")
        self.method, self.candidates = method, candidates
        self.log_bound, self.step_size = bound, None
        self._tally = self._new_tally()

    def forward(self, z: Tensor, *labels: Tensor) -> "ReweightedDistribution":
        """Latents (B, latent_dim), and classes (B,) if any, to a distribution of reweighted samples, batch shape (B,).

        Raises:
            ValueError: If the generator returns no distribution of batch shape (B,), or one that the method cannot
                work with.
        """
        with torch.no_grad(), evaluating(self.generator):
            base = self.generator(z, *labels)
        self._check(base, z)
        kind = ReweightedSequences if isinstance(base, Autoregressive) else ReweightedDistribution
        return kind(self, base, z, labels[0] if labels else None)

    def sample(
        self,
        num: int,
        *,
        seed: int = 0,
        label: int | Sequence[int] | None = None,
        convert: Callable[[Tensor], Tensor] = lambda samples: samples,
        **options: Any,
    ) -> Draws:
        """Samples, drawn as ``sampling.generate`` draws them, and their diagnosis alone.

        Args:
            num: Number of samples.
            seed: Of latents and samples.
            label: Class of all samples, of a conditional generator; or several, which take turns.
            convert: Applied to each batch.
            options: As ``batch_size``; the others go on to the ``sample`` of the generator's distribution.
                A ``temperature`` changes what the candidates are drawn from, and no weight.

        Returns:
            :class:`Draws`.

        Raises:
            InputError: If log-weights are NaN, or no candidate has any weight.
        """
        check_at_least("num", num, 1)
        before, self._tally = self._tally, self._new_tally()
        try:
            samples = generate(self, num, seed=seed, label=label, convert=convert, **options)
            return Draws(samples, self._tally.diagnosis(self.log_bound))
        finally:
            before.merge(self._tally)
            self._tally = before

    def diagnosis(self) -> Diagnosis:
        """Of everything that was drawn since this model was made.

        Raises:
            InputError: If nothing was, log-weights were NaN, or no candidate has any weight.
        """
        return self._tally.diagnosis(self.log_bound)

    def log_partition(self, num: int, *, seed: int = 0, label: int | Sequence[int] | None = None) -> LogPartition:
        """Log Z from draws of the generator: see ``density.log_partition_of``.

        Args:
            num: Number of draws, at least 8.
            seed: Of latents and samples.
            label: Class of all draws, of a conditional generator; or several, which take turns. Z of one class is
                another than that of all.
        """
        return log_partition_of(self, num, seed=seed, label=label)

    def log_prob(
        self,
        x: Tensor,
        labels: Tensor | None = None,
        *,
        log_partition: LogPartition | float,
        log_prob_of_generator: Tensor | None = None,
    ) -> Density:
        r"""Log-density of data, :math:`\log p_g(x) + \log w(x) - \log Z`: see ``density.log_prob_of``.

        Args:
            x: Shape (N, *event), as the generator draws them.
            labels: Their classes, shape (N,), where generator or discriminator takes them.
            log_partition: Log Z, of :meth:`log_partition` or known.
            log_prob_of_generator: Log p_g(x) in nats, shape (N,), or a bound or an estimate of it; for a generator
                without latents, or with ``enumerate_latents``, it is computed.
        """
        return log_prob_of(self, x, labels, log_partition, log_prob_of_generator)

    def draw(self, base: Distribution, z: Tensor, labels: Tensor | None, num: int, options: dict[str, Any]) -> Tensor:
        """Reweighted samples of latents (B, latent_dim), shape (num, B, *event): of ``ReweightedDistribution``."""
        event = base.event_shape
        z, labels = z.repeat(num, 1), None if labels is None else labels.repeat(num)
        size = event.numel() * (_OF_TOKEN if isinstance(base, Autoregressive) else 1)
        at_once = min(_MOST_CANDIDATES, _MOST_NUMBERS // max(1, size)) // (
            1 if self.method == "gibbs" else self.candidates
        )
        chosen = self._moved if self.method == "gibbs" else self._chosen
        with torch.no_grad(), evaluating(self.generator, self.discriminator):
            parts = [
                chosen(z[rows], None if labels is None else labels[rows], options_of_rows(options, rows, num), event)
                for rows in torch.arange(len(z), device=z.device).split(max(1, at_once))
            ]
        return torch.cat(parts).view(num, -1, *event)

    def _chosen(self, z: Tensor, labels: Tensor | None, options: dict[str, Any], event: torch.Size) -> Tensor:
        """One sample for each latent, shape (R, *event), chosen among candidates."""
        x, log_w, log_ratio = self._weighted(z, labels, options, event)
        chosen = self._choice(log_w)
        hashes = hashes_of(x, len(event))
        self._tally.add(log_w, log_ratio, hashes, take(hashes, chosen.candidate[None])[0], chosen)
        return take(x, chosen.candidate[None])[0]

    def _weighted(
        self, z: Tensor, labels: Tensor | None, options: dict[str, Any], event: torch.Size
    ) -> tuple[Tensor, Tensor, Tensor]:
        """N candidates of each of R outputs, (N, R, *event), their log-weights and log w(x), (N, R)."""
        group = self.candidates
        if self.method == "per-latent":
            x = self.given(z, labels).sample((group,), **options)
        else:
            z = torch.cat([z, self.generator.latents((group - 1) * len(z))]) if group > 1 else z
            g, options = (
                self.given(z, None if labels is None else labels.repeat(group)),
                options_of_group(options, group),
            )
            if self.method == "smc":
                return filtered(
                    Prefixes(g, 1, **options),
                    group,
                    lambda tokens: self.prefix_ratios(tokens, labels),
                    lambda x: self.log_ratio_of(x, labels, 1),
                )
            x = g.sample(**options).view(group, -1, *event)
        log_w = self.log_ratio_of(x, labels, len(event))
        return x, log_w, log_w

    def _choice(self, log_w: Tensor) -> Choice:
        if self.method == "independence-mh":
            return choice.independence_metropolis(log_w)
        if self.method == "rejection":
            self.log_bound = self._largest() if self.log_bound is None else self.log_bound
            return choice.rejected(log_w, self.log_bound)
        return choice.resampled(log_w)

    def _moved(self, z: Tensor, labels: Tensor | None, options: dict[str, Any], event: torch.Size) -> Tensor:
        """One sample for each latent, shape (R, *event), where a chain from a draw of it has come to."""
        if self.step_size is None:
            self.step_size = float(self._tuned(event))
        g = self.given(z, labels)
        x = g.sample(**options)
        moves, log_w = moves_along(g), self._of_flat(labels, event)
        start = moves.start(log_w, x.flatten(1)[None])
        end, accepted = moves.move(log_w, start, 1.0, x.new_full((), self.step_size), self.candidates)
        moved, value = end.z[0].view_as(x), start.log_likelihood
        hashes = hashes_of(x, len(event))[None]
        here = Choice(torch.zeros_like(hashes[0]), accepted)
        self._tally.add(value, value, hashes, hashes_of(moved, len(event)), here)
        return moved

    def _of_flat(self, labels: Tensor | None, event: torch.Size) -> Callable[[Tensor], Tensor]:
        """Log w of samples whose events are flat, (1, R, -1)."""
        return lambda flat: self.log_ratio_of(flat.view(*flat.shape[:-1], *event), labels, len(event))

    def _tuned(self, event: torch.Size) -> Tensor:
        """The step size of moves, by a pilot."""
        with seeded("pilot"):
            z, labels = self.pilot(_PILOT_CHAINS)
            g = self.given(z, labels)
            return tuned_step(moves_along(g), self._of_flat(labels, event), g.sample().flatten(1)[None])

    def _largest(self) -> float:
        """Log of the largest weight of a pilot."""
        with seeded("pilot"):
            z, labels = self.pilot(_PILOT)
            g = self.given(z, labels)
            largest = float(self.log_ratio_of(g.sample(), labels, len(g.event_shape)).max())
        if not math.isfinite(largest):
            raise InputError(f"discriminator: expected finite log-ratios for a bound, got {largest}: give a bound")
        return largest

    def _check(self, base: Any, z: Tensor) -> None:
        name = type(base).__name__
        if not (hasattr(base, "sample") and hasattr(base, "event_shape")):
            raise InputError(f"generator: expected a forward that returns a distribution with sample, got {name}")
        if tuple(base.batch_shape) != (len(z),):
            raise InputError(f"generator: expected batch shape {(len(z),)}, got {tuple(base.batch_shape)}")
        if self.method == "per-latent" and isinstance(base, PointMass):
            raise InputError("method per-latent: expected a generator with several x for one z, got one: use resample")
        if self.method == "gibbs":
            moves_along(base)
        if self.method == "smc" and not isinstance(base, Autoregressive):
            raise InputError(f"method smc: expected a generator of sequences, Autoregressive, got {name}")
        if self.method == "smc" and not hasattr(self.discriminator, "steps"):
            kind = type(self.discriminator).__name__
            raise InputError(f"method smc: expected a discriminator with steps, log-ratios of every prefix, got {kind}")

    def _new_tally(self) -> Tally:
        return Tally(self.method, self.candidates)
