"""One signature for every estimator, whatever it takes of real samples and of labels."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.labels import labeled


@dataclass(frozen=True, repr=False)
class Estimate:
    """An estimator that may be given real samples and labels; what :func:`adapted` returns. Prints as the estimator.

    Attributes:
        __wrapped__: The estimator itself, which ``inspect.unwrap`` finds too: its options, claims and state are there.
        takes: Which of ``real`` and ``labels`` it has a parameter for.
    """

    __wrapped__: Callable[..., Tensor]
    takes: frozenset[str]

    def __call__(
        self,
        generator: Conditional,
        discriminator: Discriminator,
        z: Tensor,
        *,
        real: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach what the estimator says.

        Args:
            generator: Returns a distribution; of given labels if there are any.
            discriminator: Returns log-ratios in nats; of given labels if there are any.
            z: Latents, shape (B, latent_dim).
            real: Real samples, shape (R, *event); an estimator that takes none does not see them. Detached.
            labels: Classes, int64, shape (B,), of the latents and the samples from them; where there are real samples
                too, of these. An estimator that does not take them sees networks that have them already.
        """
        options = {}
        if real is not None and "real" in self.takes:
            options["real"] = real.detach()
        if labels is not None and "labels" in self.takes:
            options["labels"] = labels
        elif labels is not None:
            generator, discriminator = labeled(generator, labels), labeled(discriminator, labels)
        return self.__wrapped__(generator, discriminator, z, **options)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)


def adapted(estimator: Callable[..., Tensor]) -> Estimate:
    """The estimator as a callable ``(generator, discriminator, z, *, real=None, labels=None)``: once, before training.

    It is given real samples if its call, ``forward`` of a module, has a parameter named ``real``: as
    ``UnionBoundarySeeking`` does, or a function ``(generator, discriminator, z, *, real)``. With a parameter named
    ``labels`` it is given those, and generator and discriminator as they are; without one, both with the labels bound.

    Args:
        estimator: Any estimator, or what this function returned.

    Returns:
        :class:`Estimate`.
    """
    if isinstance(estimator, Estimate):
        return estimator
    call = estimator.forward if isinstance(estimator, nn.Module) else estimator
    return Estimate(estimator, frozenset({"real", "labels"} & inspect.signature(call).parameters.keys()))
