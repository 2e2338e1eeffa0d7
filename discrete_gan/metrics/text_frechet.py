r"""Frechet distance between texts in the features of a sentence encoder.

References:
    On Accurate Evaluation of GANs for Language Generation (Semeniuta et al., 2018), https://arxiv.org/abs/1806.04936
"""

from itertools import chain

import torch
from torch import Tensor, nn

from discrete_gan._arguments import check_at_least
from discrete_gan.metrics.frechet import frechet_distance, gaussian_statistics


def text_frechet(encoder: nn.Module, samples: Tensor, reference: Tensor, *, batch_size: int = 256) -> Tensor:
    """Squared Frechet distance of the encoder's features, in batches and in evaluation mode.

    What it can see is what the encoder's features hold. It is biased upwards at rate 1/N, so only distances of the
    same encoder at equal N compare.

    Args:
        encoder: From tokens, int64 of shape (N, D), to features, shape (N, F). Left in the mode it was in, and on its
            own device.
        samples: int64, shape (N, D), N at least 2, any device.
        reference: int64, shape (N', D'), N' at least 2, any device.
        batch_size: Rows at a time.

    Returns:
        A float64 scalar in squared units of the features, on the encoder's device.

    Raises:
        ValueError: If a side has fewer than 2 rows, or the features are not of shape (N, F).
    """
    check_at_least("samples", len(samples), 2, "rows, for a covariance")
    check_at_least("reference", len(reference), 2, "rows, for a covariance")
    tensor = next(chain(encoder.parameters(), encoder.buffers()), None)
    device = samples.device if tensor is None else tensor.device

    def features(tokens: Tensor) -> Tensor:
        return torch.cat([encoder(part.to(device)) for part in tokens.split(batch_size)])

    training = [module for module in encoder.modules() if module.training]
    encoder.eval()
    try:
        with torch.no_grad():
            real, fake = features(reference), features(samples)
    finally:
        for module in training:
            module.training = True
    return frechet_distance(*gaussian_statistics(real), *gaussian_statistics(fake))
