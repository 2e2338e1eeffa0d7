"""Drawing from a trained generator."""

import torch
from torch import Tensor, nn

from discrete_gan.training.seeds import seeded


def generate(generator: nn.Module, num: int, *, seed: int = 0, batch_size: int = 1000) -> Tensor:
    """Samples of x, one for each fresh latent, in evaluation mode.

    Neither the caller's random state nor the generator's mode is changed.

    Args:
        generator: With a method ``latents(num)`` and a forward that returns a distribution.
        num: Number of samples.
        seed: Of latents and samples.
        batch_size: Samples drawn at a time. Part of the random stream: another size gives other samples.

    Returns:
        Shape (num, *event), on the generator's device. No gradient.
    """
    was_training = generator.training
    generator.eval()
    with torch.no_grad(), seeded(seed, "generate"):
        parts = [
            generator(generator.latents(min(batch_size, num - start))).sample()
            for start in range(0, num, batch_size)
        ]
    generator.train(was_training)
    return torch.cat(parts)
