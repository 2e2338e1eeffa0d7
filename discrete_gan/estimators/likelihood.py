"""Maximum likelihood, teacher-forced: the baseline of every text GAN, and its usual start."""

from dataclasses import dataclass

from torch import Tensor

from discrete_gan.contracts import Conditional, Discriminator


@dataclass(frozen=True)
class MaximumLikelihood:
    """Descends -log g(x | z) of real samples, one for each latent; the discriminator is not looked at.

    Exact for a generator without latents. With latents drawn apart from the data it is a bound of the negative
    log-likelihood, by Jensen's inequality, whose best generator ignores z.
    """

    def __call__(
        self, generator: Conditional, discriminator: Discriminator, z: Tensor, *, real: Tensor | None = None
    ) -> Tensor:
        """One loss per latent in nats, shape (B,). Gradients reach the generator only.

        Args:
            generator: Returns a distribution with ``log_prob``.
            discriminator: Not used.
            z: Latents, shape (B, latent_dim).
            real: Real samples, shape (B, *event).

        Raises:
            ValueError: If ``real`` is not given, or is not one sample per latent.
        """
        if real is None or len(real) != len(z):
            raise ValueError(f"real: expected one real sample for each of {len(z)} latents, got {_number(real)}")
        return -generator(z).log_prob(real)


def _number(real: Tensor | None) -> str:
    return "none" if real is None else str(len(real))
