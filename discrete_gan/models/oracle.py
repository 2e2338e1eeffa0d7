"""SeqGAN's oracle: an LSTM with large random weights, whose samples are data of a known distribution.

Reference:
    SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient (Yu et al., 2017),
    https://arxiv.org/abs/1609.05473
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from discrete_gan.models.rnn import RecurrentGenerator

_GATES = ("i", "f", "c", "og")  # in the order of torch's LSTM: input, forget, candidate, output
NAMES = ("embeddings", *(f"{kind}{gate}" for kind in "WUb" for gate in _GATES), "Wo", "bo")


def random_oracle(seed: int, *, num_categories: int = 5000, size: int = 32) -> dict[str, Tensor]:
    """Weights of a fresh oracle, standard normal as SeqGAN draws them.

    Args:
        seed: Of the weights. Global random states are neither read nor changed.
        num_categories: K.
        size: Of embedding and hidden vectors.
    """
    source = torch.Generator().manual_seed(seed)
    shapes = {"embeddings": (num_categories, size), "Wo": (size, num_categories), "bo": (num_categories,)}
    for gate in _GATES:
        shapes |= {f"W{gate}": (size, size), f"U{gate}": (size, size), f"b{gate}": (size,)}
    return {name: torch.randn(shapes[name], generator=source) for name in NAMES}


def oracle_generator(weights: Mapping[str, Tensor], num_positions: int) -> RecurrentGenerator:
    """The oracle as a generator without latents, of sequences of exactly D tokens; token 0 stands before them.

    Args:
        weights: Under SeqGAN's names: ``embeddings`` (K, E), ``Wi``, ``Wf``, ``Wog``, ``Wc`` (E, H), ``Ui`` and so on
            (H, H), ``bi`` and so on (H,), ``Wo`` (H, K), ``bo`` (K,).
        num_positions: D.

    Returns:
        Without gradients.

    Raises:
        ValueError: If a weight is missing or of another shape.
    """
    if missing := [name for name in NAMES if name not in weights]:
        raise ValueError(f"weights: expected {', '.join(NAMES)}, found no {', '.join(missing)}")
    num_categories, embedding_dim = weights["embeddings"].shape
    hidden = len(weights["bi"])
    generator = RecurrentGenerator(
        num_categories, num_positions, end=None, embedding_dim=embedding_dim, hidden=hidden
    ).requires_grad_(False)
    joined = {
        "embedding.weight": torch.cat([weights["embeddings"], weights["embeddings"][:1]]),
        "rnn.weight_ih_l0": torch.cat([weights[f"W{gate}"].T for gate in _GATES]),
        "rnn.weight_hh_l0": torch.cat([weights[f"U{gate}"].T for gate in _GATES]),
        "rnn.bias_ih_l0": torch.cat([weights[f"b{gate}"] for gate in _GATES]),
        "rnn.bias_hh_l0": torch.zeros(4 * hidden),
        "output.weight": weights["Wo"].T,
        "output.bias": weights["bo"],
    }
    try:
        generator.load_state_dict(joined)
    except RuntimeError as error:
        raise ValueError(f"weights: {str(error).splitlines()[-1].strip()}") from None
    return generator
