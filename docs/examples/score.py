"""A score of your own: how far the amount of ink of the samples is from that of real images.

discrete-gan train digits --scores docs/examples/score.py:ink
discrete-gan evaluate runs/digits --scores docs/examples/score.py:ink
"""

from torch import Tensor

from discrete_gan.tasks import Score


def ink(samples: Tensor, real: Tensor) -> Score:
    """Mean of all pixels of images (N, C, H, W), as people look at them; a plain number would do as well."""
    of_samples, of_real = samples.float().mean().item(), real.float().mean().item()
    return Score("ink", abs(of_samples - of_real), "ink", "difference of mean pixels", "less", perfect=0.0)
