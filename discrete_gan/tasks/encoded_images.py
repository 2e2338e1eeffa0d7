"""Images as bits, under a model of bits with an encoder: the importance-weighted bound is what tells."""

import math

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.tasks.base import Depth
from discrete_gan.tasks.binary_images import BinaryImages
from discrete_gan.tasks.likelihood import LikelihoodOptions, encoder_of, held_out_log_likelihood
from discrete_gan.tasks.options import BinaryImageOptions
from discrete_gan.tasks.score import Score

_QUICK_LATENTS, _QUICK_NUM = 100, 500  # of the bound in a line of the log


class EncodedImages(BinaryImages):
    """Images as bits, whose first score is the importance-weighted bound of held-out ones.

    The latents are the encoder's draws, which takes the discriminator's place beside the generator; without one they
    are the prior's.

    Args:
        options: Names data and reading.
        num_latents: S, draws for each image.
        num: Held-out images that the score is the mean of; all if not given.
    """

    def __init__(self, options: BinaryImageOptions, *, num_latents: int = 5000, num: int | None = None) -> None:
        super().__init__(options)
        self._num_latents, self._num = num_latents, num

    def scores(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        *,
        num: int | None = None,
        depth: Depth = "run",
        seed: int = 0,
    ) -> list[Score]:
        """The bound, in a line of the log a cheaper one, and the scores of all images."""
        quick = depth == "line"
        latents, most = (_QUICK_LATENTS, _QUICK_NUM) if quick else (self._num_latents, self._num)
        bound = self._bound(generator, discriminator, latents, most, seed)
        return [bound, *super().scores(generator, discriminator, num=num, depth=depth, seed=seed)]

    def _bound(
        self, generator: Generator, discriminator: Discriminator | None, latents: int, most: int | None, seed: int
    ) -> Score:
        options = LikelihoodOptions(method="bound", num_latents=latents, seed=seed)
        x, encoder = self.held_out().x[:most], encoder_of(discriminator)
        found = held_out_log_likelihood(generator, x, options=options, encoder=encoder)
        if found is None or found.gap is None:
            return Score("bound", math.nan, note="expected a generator with latents, whose samples have probabilities")
        score = Score("bound", found.mean.value, "importance-weighted bound", "nats, held-out data", "more")
        note = f"it lacks {found.gap.value:.2g} more, by the jackknife"
        protocol = f"{found.signature}|data:{self.data.fingerprint()}"
        return score.within(found.mean)._replace(protocol=protocol, note=note)
