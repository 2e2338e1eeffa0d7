"""A fully connected classifier with noise before every layer, for learning from few labels.

Reference:
    Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from discrete_gan.models.base import HubModel


class NoisyMLPClassifier(HubModel):
    """Logits of a sample: weight-normalized linear layers with ReLU, and normal noise on the input of each in training.

    Args:
        num_positions: D.
        num_outputs: Logits: K classes, or K + 1 with that of generated samples.
        hidden: Widths of the hidden layers; these are those of the authors' code.
        input_noise: Standard deviation of the noise on the sample.
        noise: Standard deviation of the noise on the input of the other layers.
    """

    def __init__(
        self,
        num_positions: int = 784,
        num_outputs: int = 10,
        hidden: Sequence[int] = (1000, 500, 250, 250, 250),
        input_noise: float = 0.3,
        noise: float = 0.5,
    ) -> None:
        super().__init__()
        self.input_noise = input_noise
        self.noise = noise
        widths = [num_positions, *hidden]
        self.hidden = nn.ModuleList(weight_norm(nn.Linear(*pair)) for pair in itertools.pairwise(widths))
        self.num_outputs = num_outputs
        self.output = weight_norm(nn.Linear(widths[-1], num_outputs))

    def features(self, x: Tensor) -> Tensor:
        """Activations of the last hidden layer, shape (..., width), of samples (..., D)."""
        for index, layer in enumerate(self.hidden):
            x = layer(self._noisy(x, self.noise if index else self.input_noise)).relu()
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape (..., num_outputs), of samples (..., D)."""
        features = self._noisy(self.features(x), self.noise)
        with torch.autocast(x.device.type, enabled=False):  # losses are exponentials of these logits
            return self.output(features.to(next(self.output.parameters()).dtype))

    def _noisy(self, x: Tensor, deviation: float) -> Tensor:
        return x + deviation * torch.randn_like(x) if self.training else x
