"""What an estimator states about itself, for the lab to hold it to and for tables to show."""

from dataclasses import dataclass
from typing import Literal

from torch.distributions import Distribution

Target = Literal["log-ratio", "non-saturating", "reweighted", "multi-sample"]

TARGETS: dict[Target, str] = {
    "log-ratio": "E_g[-log w], the reverse KL",
    "non-saturating": "E_g[-log D]",
    "reweighted": "KL of the reweighted samples to g(x|z)",
    "multi-sample": "-E[log of the mean of M weights]",
}


@dataclass(frozen=True)
class Claims:
    """What an estimator descends, and at what price.

    Attributes:
        target: Name in :data:`TARGETS`; log w is held fixed in each.
        bias: ``"none"``, or how the bias behaves, with a discriminator that scores each sample by itself.
        evaluations: Discriminator evaluations per latent in one call, those of real samples aside; None where the
            generator decides.
        paper: Who proposed it, and where to read it.
        accepts: Distributions the generator may return; empty for any with ``sample`` and ``log_prob``.
    """

    target: Target
    bias: str
    evaluations: int | None
    paper: str
    accepts: tuple[type[Distribution], ...] = ()

    @property
    def unbiased(self) -> bool:
        """Whether the expected gradient is exactly the target's.

        So it is for a discriminator that scores each sample by itself: with batch norm in training mode, or minibatch
        discrimination, the log-ratio of a sample depends on the others, and nothing here holds it fixed.
        """
        return self.bias == "none"
