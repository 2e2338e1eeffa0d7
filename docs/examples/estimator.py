"""A gradient estimator of your own: REINFORCE whose baseline is the median reward of a latent's samples.

discrete-gan train digits --estimator docs/examples/estimator.py:median_reinforce:num_samples=8
"""

import torch
from torch import Tensor


def median_reinforce(generator, discriminator, z: Tensor, *, num_samples: int = 5) -> Tensor:
    """One loss per latent, shape (B,), whose gradient with respect to the generator is the estimate."""
    g = generator(z)
    x = g.sample((num_samples,))
    with torch.no_grad():
        reward = discriminator(x)  # log-ratios in nats, shape (M, B)
        advantage = reward - reward.median(dim=0).values
    return -(advantage * g.log_prob(x)).mean(dim=0)
