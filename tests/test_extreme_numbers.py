"""Raw outputs at their extremes: a sure discriminator, no preference, one weight taking all, and no numbers.

What comes out is finite, or visibly not, so that a run stops; never a finite gradient of a NaN. And what is complex, or
depends on torch's default type, is looked for in the same functions.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.errors import InputError
from discrete_gan.estimators import SEQUENCE_ESTIMATORS, Estimator, adapted
from discrete_gan.estimators.checks import checked_loss
from discrete_gan.models import RecurrentDiscriminator, RecurrentGenerator
from tests.estimators.test_estimators import BINARY_ONLY, EVERY, B, Z, awake, small
from tests.problems import ColumnGenerator, SmoothDiscriminator, seeded_normal
from tests.test_precision import CASES

Change = Callable[[Tensor], Tensor]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def but_first(raw: Tensor, value: float) -> Tensor:
    """With another first output, whose slope is what such an output has: NaN where it is."""
    first = (torch.arange(raw.numel()) == 0).view(raw.shape)
    return raw * torch.where(first, torch.nan, 1.0) if value != value else raw.masked_fill(first, value)


SATURATED: dict[str, Change] = {
    "all sure": lambda raw: raw + 1e4 * raw.detach().sign(),
    "steep": lambda raw: 1e3 * raw,
    "equal": lambda raw: 0 * raw + 3,
    "one takes all": lambda raw: but_first(raw, 1e4),
}
NOT_FINITE: dict[str, Change] = {
    "NaN": lambda raw: but_first(raw, torch.nan),
    "minus infinity": lambda raw: but_first(raw, -torch.inf),
    "all minus infinity": lambda raw: raw - torch.inf,
    "infinity": lambda raw: but_first(raw, torch.inf),
    "all infinity": lambda raw: raw + torch.inf,
}

SEQUENCES = {name: adapted(small(make)) for name, make in SEQUENCE_ESTIMATORS.items()}
EVENTS = [(e, event) for e in EVERY for event in ((4,), (2, 3)) if len(event) == 1 or not isinstance(e, BINARY_ONLY)]


class Changed(nn.Module):
    """A discriminator of changed raw outputs, of a type of their own."""

    def __init__(self, discriminator: nn.Module, change: Change, dtype: torch.dtype) -> None:
        super().__init__()
        self.discriminator, self.change, self.dtype = discriminator, change, dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.discriminator(x.double() if x.is_floating_point() else x)).to(self.dtype)

    def steps(self, x: Tensor) -> Tensor:
        return self.change(self.discriminator.steps(x)).to(self.dtype)  # type: ignore[operator]


def numbers(estimator: Estimator, event: tuple[int, ...], change: Change, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Losses and the generator's gradient."""
    torch.manual_seed(0)
    estimator, generator = awake(estimator, event), ColumnGenerator(seeded_normal(B, *event).to(dtype))
    if isinstance(estimator, nn.Module):
        estimator.to(torch.promote_types(dtype, torch.float32))
    loss = estimator(generator, Changed(SmoothDiscriminator(torch.Size(event)), change, dtype), Z)
    loss.sum().backward()
    assert generator.logits.grad is not None
    return loss.detach(), generator.logits.grad


def of_sequences(name: str, change: Change, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    generator = RecurrentGenerator(5, 4, end=4, latent_dim=2, hidden=4).double()
    inner = RecurrentDiscriminator(5, 4, end=4, hidden=4).double()
    z, real = seeded_normal(B, 2), generator(seeded_normal(B, 2, seed=1)).sample()
    loss = SEQUENCES[name](generator, Changed(inner, change, dtype), z, real=real)
    loss.sum().backward()
    return loss.detach(), torch.cat([each.grad.flatten() for each in generator.parameters() if each.grad is not None])


@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
@pytest.mark.parametrize("change", SATURATED.values(), ids=SATURATED.keys())
def test_estimators_of_a_saturated_discriminator_are_finite(change: Change, dtype: torch.dtype) -> None:
    found = {repr(e): numbers(e, event, change, dtype) for e, event in EVENTS}
    found |= {name: of_sequences(name, change, dtype) for name in SEQUENCES}
    assert [name for name, parts in found.items() if not all(part.isfinite().all() for part in parts)] == []


@pytest.mark.parametrize("change", NOT_FINITE.values(), ids=NOT_FINITE.keys())
def test_no_finite_loss_has_a_gradient_that_is_none(change: Change) -> None:
    """A run watches losses and gradients: at least one of them tells, or both mean something."""
    is_nan = change is NOT_FINITE["NaN"]
    for estimator, event in EVENTS:
        for dtype in (torch.float64, torch.bfloat16):
            loss, gradient = numbers(estimator, event, change, dtype)
            assert gradient.isfinite().all() or not loss.isfinite().all(), (estimator, event, dtype)
            assert not (is_nan and loss.isfinite().all()), (estimator, event, dtype)
    for name in SEQUENCES.keys() - {"mle", "maligan-mixed"}:  # the one asks no discriminator, the other not yet
        loss, gradient = of_sequences(name, change, torch.float64)
        assert gradient.isfinite().all() or not loss.isfinite().all(), name
        assert not (is_nan and loss.isfinite().all()), name


class Complex(SmoothDiscriminator):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).to(torch.complex128)


NUMERIC = [name for name in CASES if name.startswith(("weights", "estimators", "losses", "divergences"))]
# Of probabilities or points, not of raw outputs; what a half-precision gradient of a penalty's square cannot hold.
ELSEWHERE = {"losses.unlabeled.reference_loss", "losses.penalties.gradient_penalty", "estimators.reinmax_gradient"}
# Exponentials of the log-ratio, or of that of model and proposal, are their definition; a tail of equal weights has no
# index.
UNBOUNDED = {"kl", "reverse_kl", "hellinger", "pearson", "neyman", "estimators.boundary_seeking_loss, proposal"}
NO_TAIL = {"weights.pareto_tail_index", "weights.diagnose", "weights.psis"}


def is_bounded(name: str) -> bool:
    divergence = name.removeprefix("divergences.").removesuffix(", terms")
    return divergence not in UNBOUNDED and name not in NO_TAIL | ELSEWHERE


@pytest.mark.parametrize("change", SATURATED.values(), ids=SATURATED.keys())
def test_functions_of_saturated_raw_outputs_are_finite(change: Change) -> None:
    bad = []
    for name in filter(is_bounded, NUMERIC):
        for dtype in DTYPES[1 : 3 if change is SATURATED["steep"] else 4]:  # a thousand log-probabilities of 200 nats
            results, gradients = CASES[name](lambda value, dtype=dtype: change(value).detach().to(dtype))
            # A gradient of half precision may be larger than what its type holds.
            checked = results + (gradients if dtype == torch.float32 else [])
            bad += [(name, dtype)] if not all(part.isfinite().all() for part in checked) else []
    assert bad == []


@pytest.mark.parametrize("name", [name for name in NUMERIC if name not in ELSEWHERE])
def test_a_nan_shows(name: str) -> None:
    results, _ = CASES[name](lambda value: but_first(value, torch.nan).float())
    assert not all(result.isfinite().all() for result in results)


@pytest.mark.parametrize(
    "name", [n for n in NUMERIC if not n.endswith((", log_weight", "interpolates", "_through", ".take"))]
)
def test_complex_numbers_are_refused(name: str) -> None:
    case = CASES[name]
    inputs = [
        value.to(torch.complex64) if isinstance(value, Tensor) and value.is_floating_point() else value
        for value in case.inputs
    ]
    with pytest.raises((ValueError, RuntimeError)):
        case.function(*inputs)


def test_a_complex_discriminator_and_a_complex_loss_are_named() -> None:
    message = r"^discriminator: expected raw outputs of a floating-point type, got torch\.complex128$"
    for estimator, event in EVENTS:
        with pytest.raises(ValueError, match=message):
            estimator = awake(estimator, event)
            estimator(ColumnGenerator(seeded_normal(B, *event)), Complex(torch.Size(event)), Z)
    with pytest.raises(
        InputError, match=r"^estimator mine: returned torch\.complex64, expected a floating-point type$"
    ):
        checked_loss(torch.ones(3, dtype=torch.complex64, requires_grad=True), 3, "mine")


@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16], ids=str)
def test_functions_do_not_depend_on_the_default_type(default: torch.dtype) -> None:
    for name, case in CASES.items():
        if name == "metrics.intra_class_ms_ssim":  # torchmetrics keeps its exponents in the default type
            continue
        expected = case(lambda value: value.float())
        before = torch.get_default_dtype()
        torch.set_default_dtype(default)
        try:
            found = case(lambda value: value.float())
        finally:
            torch.set_default_dtype(before)
        for wanted, given in zip(expected, found, strict=True):
            torch.testing.assert_close(given, wanted, rtol=0, atol=0, equal_nan=True, msg=f"{name} under {default}")


RESHAPED: dict[str, Change] = {
    "one for all": lambda raw: raw.mean(),
    "an axis too many": lambda raw: raw[..., None],
    "one for each latent": lambda raw: raw[:1],
    "one for each sample": lambda raw: raw[..., :1],
}


@pytest.mark.parametrize("reshape", RESHAPED.values(), ids=RESHAPED.keys())
@pytest.mark.parametrize("name", sorted(SEQUENCE_ESTIMATORS.keys() - {"mle"}))
def test_raw_outputs_of_sequences_that_would_broadcast_are_refused(
    name: str, reshape: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "maligan-mixed":  # with whole sequences given it asks no discriminator
        monkeypatch.setitem(SEQUENCES, name, adapted(SEQUENCE_ESTIMATORS[name](num_samples=4, prefix=1)))
    with pytest.raises(ValueError, match=r"^discriminator: expected one raw output per sample, shape \(.+\), got \("):
        of_sequences(name, reshape, torch.float64)
