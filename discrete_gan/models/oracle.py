"""SeqGAN's oracle: an LSTM with large random weights, whose samples are data of a known distribution.

Reference:
    SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient (Yu et al., 2017),
    https://arxiv.org/abs/1609.05473
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from discrete_gan.models.rnn import RecurrentGenerator
from discrete_gan.seeds import generator_of

_GATES = ("i", "f", "c", "og")  # in the order of torch's LSTM: input, forget, candidate, output
NAMES = ("embeddings", *(f"{kind}{gate}" for kind in "WUb" for gate in _GATES), "Wo", "bo")


def random_oracle(seed: int, *, num_categories: int = 5000, size: int = 32) -> dict[str, Tensor]:
    """Weights of a fresh oracle, standard normal as SeqGAN draws them.

    Args:
        seed: Of the weights. Global random states are neither read nor changed.
        num_categories: K.
        size: Of embedding and hidden vectors.
    """
    source = generator_of(seed)
    shapes = _shapes(num_categories, size, size)
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
    num_categories, embedding_dim, *_ = (*weights["embeddings"].shape, 1, 1)  # of another rank they are refused below
    hidden = weights["bi"].numel()
    for name, shape in _shapes(num_categories, embedding_dim, hidden).items():
        if weights[name].shape != shape:
            raise ValueError(f"weights: expected {name} of shape {shape}, got {tuple(weights[name].shape)}")
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
    generator.load_state_dict(joined)
    return generator


def _shapes(num_categories: int, embedding_dim: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Of the weights, by name."""
    shapes = {"embeddings": (num_categories, embedding_dim), "Wo": (hidden, num_categories), "bo": (num_categories,)}
    for gate in _GATES:
        shapes |= {f"W{gate}": (embedding_dim, hidden), f"U{gate}": (hidden, hidden), f"b{gate}": (hidden,)}
    return shapes
