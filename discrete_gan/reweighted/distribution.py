"""What the forward of a reweighted model returns."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.types import _size as Shape

if TYPE_CHECKING:
    from discrete_gan.reweighted.model import Reweighted


class ReweightedDistribution(Distribution):
    """Samples that were chosen among candidates.

    There is no ``log_prob``: of finitely many candidates the density of what is chosen has no simple form. That of the
    limit is :meth:`Reweighted.log_prob`.

    Attributes:
        base: The generator's distribution of the same latents.
    """

    arg_constraints = {}  # pyright: ignore

    def __init__(self, model: "Reweighted", base: Distribution, z: Tensor, labels: Tensor | None) -> None:
        self.model, self.base, self.z, self.labels = model, base, z, labels
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    def sample(self, sample_shape: Shape = (), **options: Any) -> Tensor:
        """Draws of the reweighted model.

        Args:
            sample_shape: Usually () or (M,).
            options: Passed on to the ``sample`` that draws the candidates.

        Returns:
            Shape ``sample_shape`` + (B, *event). No gradient.

        Raises:
            InputError: If log-weights are NaN, or no candidate has any weight: on a CPU at once, elsewhere when the
                diagnosis is read.
        """
        sample_shape = torch.Size(sample_shape)
        drawn = self.model.draw(self.base, self.z, self.labels, sample_shape.numel(), options)
        return drawn.view(*sample_shape, *self.batch_shape, *self.event_shape)

    def log_prob(self, value: Tensor, **options: Any) -> Tensor:
        """Refused: see the class."""
        raise NotImplementedError("log_prob: samples chosen among candidates have no simple density")


class ReweightedSequences(ReweightedDistribution):
    """Of a generator of sequences."""

    def sample(
        self, sample_shape: Shape = (), *, temperature: float = 1.0, prefix: Tensor | None = None, **options: Any
    ) -> Tensor:
        """Draws of the reweighted model.

        Args:
            sample_shape: Usually () or (M,).
            temperature: Of the candidates, as of ``Autoregressive``; no weight changes.
            prefix: Tokens that sequences begin with, shape (P,), or (B, P) for those of each latent.
            options: As above.

        Returns:
            int64 of shape ``sample_shape`` + (B, D). No gradient.
        """
        return super().sample(sample_shape, temperature=temperature, prefix=prefix, **options)
