"""One battery for the discriminators of tokens, and what each promises by itself."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from discrete_gan.distributions import before_end
from discrete_gan.labels import labeled as bound
from discrete_gan.models import RecurrentDiscriminator, TextCNN, TransformerDiscriminator
from discrete_gan.models.token_discriminators import SEQGAN_CHANNELS, SEQGAN_WIDTHS
from tests.problems import assert_exact, seeded_normal

D, K, END = 6, 5, 4
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "cnn": (TextCNN, {"widths": (1, 2, 4), "channels": 5}),
    "recurrent": (RecurrentDiscriminator, {"hidden": 7}),
    "two recurrent layers": (RecurrentDiscriminator, {"hidden": 7, "num_layers": 2}),
    "transformer": (TransformerDiscriminator, {"num_heads": 2}),
}
ALL = pytest.mark.parametrize("kind", KINDS)
ENDS = pytest.mark.parametrize("end", [END, None], ids=lambda end: f"end={end}")


def discriminator_of(kind: str, end: int | None = END, **options: float) -> Any:
    torch.manual_seed(0)
    make, own = KINDS[kind]
    return make(K, D, end=end, embedding_dim=8, **own, **options).double()


def sequences(*leading: int, end: int | None = END) -> Tensor:
    """Random tokens, (*leading, D), padded after the first end."""
    x = torch.randint(K, (*leading, D), generator=torch.Generator().manual_seed(1))
    return x if end is None else torch.where(before_end(x, end), x, end)


@ALL
@ENDS
@pytest.mark.parametrize("leading", [(), (5,), (2, 3), (2, 1, 3)], ids=str)
def test_leading_axes_and_one_hot_tokens(kind: str, end: int | None, leading: tuple) -> None:
    discriminator = discriminator_of(kind, end)
    x = sequences(*leading, end=end)
    for shaped in (x, nn.functional.one_hot(x, K).double(), torch.softmax(seeded_normal(*leading, D, K), dim=-1)):
        raw, features = discriminator(shaped), discriminator.features(shaped)
        assert raw.shape == features.shape[:-1] == leading
        assert_exact(discriminator.output(features).squeeze(-1), raw)
        flat = shaped.reshape(-1, *shaped.shape[len(leading) :])
        assert_exact(torch.stack([discriminator(each) for each in flat]), raw.flatten())
    assert_exact(discriminator(nn.functional.one_hot(x, K).double()), discriminator(x))


@ALL
def test_each_sequence_by_itself_and_gradient_to_relaxed_tokens(kind: str) -> None:
    x = torch.softmax(seeded_normal(4, 2, D, K), dim=-1).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator_of(kind, None)(x)[2, 1], x)
    assert (gradient != 0).any(dim=-1).flatten(2).any(dim=2).nonzero().tolist() == [[2, 1]]
    if kind != "cnn":  # of which the largest response alone has a gradient
        assert bool((gradient[2, 1] != 0).any(dim=-1).all())


@ALL
def test_the_order_of_tokens_matters(kind: str) -> None:
    discriminator, x = discriminator_of(kind, None), torch.arange(D) % K
    assert (discriminator(x) - discriminator(x.flip(0))).abs() > 1e-6


@ALL
def test_a_shorter_sequence_is_another(kind: str) -> None:
    discriminator = discriminator_of(kind)
    assert (discriminator(torch.tensor([0, 1, END, END, END, END])) - discriminator(torch.tensor([0, 1] * 3))).abs() > 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cnn"])
@pytest.mark.parametrize("training", [False, True])
def test_nothing_after_the_end_matters(kind: str, training: bool) -> None:
    discriminator = discriminator_of(kind).train(training)
    x = sequences(40)
    other = torch.where(before_end(x, END), x, torch.randint(K, x.shape, generator=torch.Generator().manual_seed(2)))
    assert not torch.equal(other, x)
    for a, b in ((x, other), (nn.functional.one_hot(x, K).double(), nn.functional.one_hot(other, K).double())):
        assert_exact(discriminator(b), discriminator(a))
    with torch.no_grad():  # where torch may take a faster path
        assert_exact(discriminator(other), discriminator(x))
    # The end itself is seen: it tells a sequence that stops from one that is cut.
    last = torch.full((D,), 1).index_fill(0, torch.tensor([D - 1]), END)
    assert (discriminator(last) - discriminator(torch.ones(D).long())).abs() > 1e-6


@ALL
@ENDS
def test_saved_models_load_with_equal_outputs(kind: str, end: int | None, tmp_path: Path) -> None:
    discriminator = discriminator_of(kind, end).float()
    discriminator.save_pretrained(tmp_path)
    x = sequences(9, end=end)
    again = type(discriminator).from_pretrained(tmp_path)
    assert torch.equal(again(x), discriminator(x))
    assert again.end == end


@ALL
def test_dropout_is_for_training(kind: str) -> None:
    discriminator, x = discriminator_of(kind, dropout=0.5), sequences(20)
    assert not torch.equal(discriminator(x), discriminator(x))
    assert_exact(discriminator.eval()(x), discriminator_of(kind)(x))


@pytest.mark.parametrize("kind", ["recurrent", "two recurrent layers"])
@ENDS
def test_steps_are_causal_and_end_with_the_raw_output(kind: str, end: int | None) -> None:
    discriminator, x = discriminator_of(kind, end), sequences(30, end=end)
    steps = discriminator.steps(x)
    assert steps.shape == (30, D)
    assert_exact(steps[:, -1], discriminator(x))
    assert_exact(discriminator.steps(x.view(5, 6, D)), steps.view(5, 6, D))
    assert_exact(discriminator.steps(nn.functional.one_hot(x, K).double()), steps)
    for length in range(1, D):
        changed = x.clone()
        changed[:, length:] = sequences(30, end=end).flip(0)[:, length:]
        assert_exact(discriminator.steps(changed)[:, :length], steps[:, :length])
    inside = before_end(x, end)
    assert (torch.diff(steps)[inside[:, 1:]].abs() > 1e-9).all()  # and each token is seen


def test_steps_after_the_end_are_those_of_the_whole_sequence() -> None:
    x = sequences(30)
    lengths = before_end(x, END).sum(dim=1)
    assert set(lengths.tolist()) == set(range(1, D + 1))
    for discriminator in (discriminator_of("recurrent"), discriminator_of("recurrent", dropout=0.5)):
        for row, length in zip(discriminator.steps(x), lengths.tolist(), strict=True):
            assert_exact(row[length:], row[length - 1].expand(D - length))
    lstm, discriminator = nn.LSTM(8, 7, batch_first=True).double(), discriminator_of("recurrent")
    lstm.load_state_dict(discriminator.rnn.state_dict())
    raw = discriminator.output(lstm(discriminator.embedding.weight[x])[0])[..., 0]
    assert_exact(discriminator.steps(x)[before_end(x, END)], raw[before_end(x, END)])


def test_cnn_by_hand() -> None:
    discriminator, x = discriminator_of("cnn"), sequences(9)
    vectors, pooled = discriminator.embedding.weight[x], []
    for layer in discriminator.convolutions:
        (width,) = layer.kernel_size
        windows = vectors.unfold(1, width, 1)  # (9, D - width + 1, E, width)
        pooled.append((torch.einsum("nwek,cek->nwc", windows, layer.weight) + layer.bias).amax(dim=1))
    features = torch.cat(pooled, dim=1)
    assert features.shape == (9, 15)
    weight, bias = discriminator.highway.weight, discriminator.highway.bias
    assert_exact(bias[15:], torch.full((15,), -2.0).double())
    gate = torch.sigmoid(features @ weight[15:].T + bias[15:])
    features = gate * (features @ weight[:15].T + bias[:15]).clamp(min=0) + (1 - gate) * features
    assert_exact(discriminator.features(x), features)
    assert_exact(discriminator(x), discriminator.output(features)[:, 0])


@ALL
@ENDS
def test_penalty_is_the_squared_gradient_in_one_hot_tokens(kind: str, end: int | None) -> None:
    discriminator, x = discriminator_of(kind, end), sequences(9, end=end)
    raw, penalty = discriminator.penalized(x)
    one_hot = nn.functional.one_hot(x, K).double().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):  # which differentiates twice
        every = discriminator.steps(one_hot) if "recurrent" in kind else discriminator(one_hot)
        mean = every.mean(dim=1) if "recurrent" in kind else every
        (slope,) = torch.autograd.grad(mean.sum(), one_hot, create_graph=True)
    expected = slope.square().sum(dim=(1, 2)) / (2 * K)
    assert_exact(raw, every)
    assert_exact(penalty, expected)
    assert penalty.min() > 1e-6
    weights = [each for name, each in discriminator.named_parameters() if name != "output.bias"]
    found, by_hand = (
        torch.autograd.grad((seeded_normal(9) * each).sum(), weights, allow_unused=True, materialize_grads=True)
        for each in (penalty, expected)
    )
    assert_exact(found, by_hand, rtol=1e-9)


# Fails: the weights of the mean are a quotient of integers, which is float32 whatever the precision of the vectors.
def test_transformer_averages_the_encoding_over_the_tokens() -> None:
    discriminator, x = discriminator_of("transformer"), sequences(9)
    for row in x:
        length = int(before_end(row, END).sum())
        vectors = discriminator.embedding.weight[row[:length]] + discriminator.positions[:length]
        assert_exact(discriminator.features(row), discriminator.encoder(vectors[None])[0].mean(dim=0))


@pytest.mark.parametrize(("num_positions", "used"), [(20, 12), (19, 11), (6, 6)])
def test_widths_of_seqgan(num_positions: int, used: int) -> None:
    assert (len(SEQGAN_WIDTHS), sum(SEQGAN_CHANNELS)) == (12, 1720)
    discriminator = TextCNN(K, num_positions, end=None, widths=SEQGAN_WIDTHS, channels=SEQGAN_CHANNELS)
    shapes = [(layer.kernel_size, layer.out_channels) for layer in discriminator.convolutions]
    assert shapes == [((width,), n) for width, n in zip(SEQGAN_WIDTHS, SEQGAN_CHANNELS, strict=True)][:used]
    x = torch.zeros(2, num_positions).long()
    assert discriminator(x).shape == (2,)
    assert discriminator.features(x).shape == (2, sum(SEQGAN_CHANNELS[:used]))


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"^channels: expected one number per width, 2, got 3"):
        TextCNN(K, D, end=END, widths=(1, 2), channels=(1, 2, 3))
    with pytest.raises(ValueError, match=r"^widths: expected one of at most 6 tokens, got \[7, 9\]"):
        TextCNN(K, D, end=END, widths=(7, 9))
    with pytest.raises(ValueError, match=r"^embedding_dim: expected a multiple of 3 heads, got 64"):
        TransformerDiscriminator(K, D, end=END, num_heads=3)


@ALL
def test_classes_add_a_product_with_the_features(kind: str) -> None:
    x, labels = sequences(3, 4), torch.tensor([2, 0, 1, 2])
    plain, labeled = discriminator_of(kind), discriminator_of(kind, num_classes=3)
    assert_exact(labeled(x, labels), plain(x))  # they begin at nothing
    directions = seeded_normal(3, labeled.output.in_features, seed=2)
    labeled.classes.directions.data.copy_(directions)
    added = (directions[labels] * labeled.features(x)).sum(dim=-1)
    assert_exact(labeled(x, labels), plain(x) + added)
    for batch in range(4):  # each sequence has its own
        assert_exact(labeled(x[:, batch : batch + 1], labels[batch : batch + 1]), labeled(x, labels)[:, batch, None])
    if "recurrent" in kind:
        every = labeled._encoded(x)
        expected = plain.steps(x) + torch.einsum("bf,mbdf->mbd", directions[labels], every)
        assert_exact(labeled.steps(x, labels), expected)
        of_class: Any = bound(labeled, labels)
        assert_exact(of_class.steps(x), expected)
    raw, penalty = labeled.penalized(x[0], labels)
    assert_exact(raw, labeled.outputs(x[0], labels))
    assert (penalty != plain.penalized(x[0])[1]).all()
    with pytest.raises(ValueError, match="labels: expected classes of 0 to 2"):
        labeled(x)
    with pytest.raises(ValueError, match="labels: expected none"):
        plain(x, labels)
