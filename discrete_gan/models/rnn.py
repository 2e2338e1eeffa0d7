"""Recurrent generator of token sequences."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from discrete_gan.distributions import Autoregressive
from discrete_gan.distributions.autoregressive import State
from discrete_gan.models.base import Generator
from discrete_gan.models.labels import append_labels

Cell = Literal["lstm", "gru"]


class RecurrentGenerator(Generator):
    """Latent z to a distribution over sequences of tokens: z sets the initial state and is read at every step.

    Without a latent (``latent_dim=0``) it is the plain recurrent language model, from a state of zeros.

    Args:
        num_categories: K, the end among them.
        num_positions: D.
        end: The category that ends a sequence; None for sequences of exactly D tokens.
        latent_dim: Size of z, standard normal; 0 for none.
        embedding_dim: Size of a token's vector.
        hidden: Width of each recurrent layer.
        num_layers: Recurrent layers.
        cell: ``"lstm"`` or ``"gru"``.
        num_classes: Of the labels that a conditional generator takes, which count as more of z; 0 for one without.

    Raises:
        ValueError: If the cell is unknown, or the end is not a category.
    """

    def __init__(
        self,
        num_categories: int,
        num_positions: int,
        *,
        end: int | None,
        latent_dim: int = 0,
        embedding_dim: int = 32,
        hidden: int = 32,
        num_layers: int = 1,
        cell: Cell = "lstm",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        if cell not in ("lstm", "gru"):
            raise ValueError(f"cell: expected lstm or gru, got {cell!r}")
        if end is not None and not 0 <= end < num_categories:
            raise ValueError(f"end: expected a category from 0 to {num_categories - 1}, got {end}")
        self.num_categories, self.num_positions, self.end = num_categories, num_positions, end
        self.latent_dim, self.num_classes = latent_dim, num_classes
        context = latent_dim + num_classes
        self.num_states = 2 if cell == "lstm" else 1
        self.embedding = nn.Embedding(num_categories + 1, embedding_dim)  # the last stands before the first token
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.rnn = kind(embedding_dim + context, hidden, num_layers, batch_first=True)
        if context:
            self.state = nn.Linear(context, self.num_states * num_layers * hidden)
        self.output = nn.Linear(hidden, num_categories)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Autoregressive:
        """Distribution of x given z.

        Args:
            z: Shape (B, latent_dim).
            labels: Classes, shape (B,), if it takes any.

        Returns:
            Batch shape (B,), event shape (D,). Carries gradient.
        """
        return Autoregressive(self, append_labels(z, labels, self.num_classes))

    def initial_state(self, z: Tensor) -> State:
        """State before the first token, each tensor (num_layers, N, hidden), from z (N, C), with any classes in it."""
        shape = (len(z), self.num_states, self.rnn.num_layers, self.rnn.hidden_size)
        state = torch.tanh(self.state(z)).view(shape) if z.shape[1] else self.output.weight.new_zeros(shape)
        return tuple(state.permute(1, 2, 0, 3))

    def step(self, x: Tensor, z: Tensor, state: State) -> tuple[Tensor, State]:
        """Hidden vectors (N, hidden) after tokens (N,) or relaxed tokens (N, K), and the state after them."""
        embedded = F.embedding(x, self.embedding.weight) if x.dim() == 1 else x @ self.embedding.weight[:-1]
        return cell_step(self.rnn, torch.cat([embedded, z], dim=-1) if z.shape[1] else embedded, state)

    def hidden(self, tokens: Tensor, z: Tensor) -> Tensor:
        """Hidden vectors (N, D, hidden) after each of the tokens (N, D), in one pass."""
        inputs = self.embedding(tokens)
        if z.shape[1]:
            inputs = torch.cat([inputs, z[:, None].expand(-1, tokens.shape[1], -1)], dim=-1)
        state = tuple(each.contiguous() for each in self.initial_state(z))
        return self.rnn(inputs, state if self.num_states == 2 else state[0])[0]

    def logits(self, hidden: Tensor) -> Tensor:
        """Unnormalized log-probabilities in nats, (..., K), from hidden vectors (..., hidden)."""
        return self.output(hidden)


def cell_step(rnn: nn.RNNBase, x: Tensor, state: State) -> tuple[Tensor, State]:
    """One step of a recurrent module of any number of layers.

    The cells are called by themselves, with the module's parameters: a whole module on sequences of length one repacks
    its weights at each call.

    Args:
        rnn: An LSTM or GRU.
        x: Inputs, (N, features).
        state: Two tensors of an LSTM, or one, (num_layers, N, hidden).

    Returns:
        Hidden vectors of the last layer (N, hidden), and the state after the step.
    """
    states = []
    for layer, weights in enumerate(rnn.all_weights):
        if len(state) == 2:
            states.append(torch.lstm_cell(x, [each[layer] for each in state], *weights))
        else:
            states.append((torch.gru_cell(x, state[0][layer], *weights),))
        x = states[-1][0]
    return x, tuple(torch.stack(each) for each in zip(*states, strict=True))
