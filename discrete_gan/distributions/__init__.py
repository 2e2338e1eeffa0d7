"""What a generator returns: distributions of x given z, as :class:`torch.distributions.Distribution`."""

from discrete_gan.distributions.autoregressive import Autoregressive, before_end
from discrete_gan.distributions.bernoulli import FactorizedBernoulli
from discrete_gan.distributions.blockwise import Blocks, BlockwiseBernoulli
from discrete_gan.distributions.categorical import FactorizedCategorical
from discrete_gan.distributions.frames import FrameSequence
from discrete_gan.distributions.independent import as_factorized
from discrete_gan.distributions.point_mass import PointMass
from discrete_gan.distributions.prefixes import Prefixes
from discrete_gan.distributions.ragged import RaggedCategorical
from discrete_gan.distributions.ragged_autoregressive import RaggedAutoregressive

__all__ = [
    "Autoregressive",
    "Blocks",
    "BlockwiseBernoulli",
    "FactorizedBernoulli",
    "FactorizedCategorical",
    "FrameSequence",
    "PointMass",
    "Prefixes",
    "RaggedAutoregressive",
    "RaggedCategorical",
    "as_factorized",
    "before_end",
]
