"""Frechet distance in features of a sentence encoder."""

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.metrics import frechet_distance, gaussian_statistics, text_frechet


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.embedding = nn.Embedding(6, 3)
        self.dropout = nn.Dropout(0.5)
        self.frozen = nn.Dropout(0.5).eval()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.frozen(self.dropout(self.embedding(tokens))).mean(1)


def tokens(seed: int, count: int, size: int = 4) -> Tensor:
    return torch.randint(6, (count, size), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("batch_size", [7, 256])
def test_distance_is_that_of_the_features_in_evaluation_mode(batch_size: int) -> None:
    encoder = Encoder().train()
    encoder.frozen.eval()
    samples, reference = tokens(1, 60) // 2, tokens(2, 45, size=5)
    gradients: list[bool] = []
    hook = encoder.register_forward_hook(lambda *_: gradients.append(torch.is_grad_enabled()))
    distance = text_frechet(encoder, samples, reference, batch_size=batch_size)
    hook.remove()
    assert gradients == [False] * (-(-60 // batch_size) + -(-45 // batch_size))
    assert [encoder.training, encoder.dropout.training, encoder.frozen.training] == [True, True, False]
    encoder.eval()
    features = [gaussian_statistics(encoder(side)) for side in (samples, reference)]
    assert distance.item() == pytest.approx(frechet_distance(*features[0], *features[1]).item(), rel=1e-10)
    assert text_frechet(encoder, samples, samples.flip(0)).item() == pytest.approx(0, abs=1e-8)


def test_encoder_without_parameters() -> None:
    def counts(given: Tensor) -> Tensor:
        return nn.functional.one_hot(given, 6).sum(1).float()

    class Counts(nn.Module):
        def forward(self, given: Tensor) -> Tensor:
            return counts(given)

    samples, reference = tokens(1, 60), tokens(2, 45)
    a, b = (gaussian_statistics(counts(side)) for side in (samples, reference))
    assert text_frechet(Counts(), samples, reference).item() == pytest.approx(frechet_distance(*a, *b).item())


def test_mode_is_restored_after_an_error() -> None:
    encoder = Encoder().train()
    with pytest.raises(IndexError):
        text_frechet(encoder, tokens(1, 5) + 6, tokens(2, 5))
    assert encoder.dropout.training


def test_too_few_samples_and_wrong_features_are_errors() -> None:
    with pytest.raises(ValueError, match="samples: expected at least 2, got 1"):
        text_frechet(Encoder(), tokens(1, 1), tokens(2, 5))
    with pytest.raises(ValueError, match=r"features: expected shape \(N, F\)"):
        text_frechet(nn.Embedding(6, 3), tokens(1, 5), tokens(2, 5))
