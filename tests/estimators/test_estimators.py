"""One battery for every estimator: what it returns, and whom its gradient reaches."""

import copy
import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.estimators import (
    ESTIMATORS,
    Arm,
    Arms,
    BoundarySeeking,
    Claims,
    ControlledBoundarySeeking,
    DisArm,
    DoubleCV,
    Estimator,
    Exact,
    GumbelRao,
    GumbelSoftmax,
    MuProp,
    Nvil,
    Rebar,
    Reinforce,
    ReinMax,
    Relax,
    SlopeAnnealedStraightThrough,
    StraightThrough,
    Vimco,
)
from tests.problems import ColumnGenerator, OwnBits, SmoothDiscriminator, assert_exact, seeded_normal

B = 3
Z = torch.arange(B)[:, None]
# Few samples and narrow layers, where an estimator has the option.
SMALL = {"num_samples": 4, "hidden": 5, "num_gumbels": 3}


def small(make: Callable[..., Estimator]) -> Estimator:
    return make(**{name: value for name, value in SMALL.items() if name in inspect.signature(make).parameters})


NAMED = {name: small(make) for name, make in ESTIMATORS.items()}
VARIANTS: list[Estimator] = [
    BoundarySeeking(4, over="batch", zero_sum=False),
    BoundarySeeking(5, chunk_size=2),
    ControlledBoundarySeeking(4, "linear"),
    Reinforce(4, baseline="none"),
    Reinforce(4, baseline="moving-average", objective="non-saturating"),
    Nvil(2, normalize=True, objective="non-saturating"),
    MuProp(1, "non-saturating"),
    DoubleCV(2, "non-saturating"),
    Arm(4, "non-saturating"),
    DisArm(4, "non-saturating"),
    Rebar(2, temperature=0.7, scale=0.6, learn=False, objective="non-saturating"),
    StraightThrough(objective="log-ratio", jacobian="identity"),
    StraightThrough(temperature=2.0, num_samples=2),
    Arms(3, "non-saturating"),
    SlopeAnnealedStraightThrough(annealing_rate=0.1, num_samples=2),
    ReinMax(1.5, annealing_rate=0.1, min_temperature=0.5, objective="log-ratio"),
    GumbelSoftmax(),
    GumbelSoftmax(hard=True, num_samples=2, objective="log-ratio", annealing_rate=0.1),
    GumbelRao(1.0, objective="log-ratio", annealing_rate=0.1),
    Exact("log-ratio"),
    Exact("non-saturating"),
]
EVERY = [*NAMED.values(), *VARIANTS]
MODULES = [estimator for estimator in EVERY if isinstance(estimator, nn.Module)]
BATTERY = pytest.mark.parametrize("estimator", EVERY, ids=repr)


def claims(estimator: Estimator) -> Claims:
    return estimator.claims  # type: ignore[attr-defined]


BINARY_ONLY: tuple[type, ...] = tuple({type(e) for e in EVERY if claims(e).accepts == (FactorizedBernoulli,)})


def remade(estimator: Estimator) -> Estimator:
    """Another one by the call that is its text."""
    return eval(repr(estimator), {type(estimator).__name__: type(estimator)})


def fresh(estimator: Estimator, dtype: torch.dtype = torch.float64) -> Estimator:
    """A copy in the same state: a call counts, moves averages, and gives lazy layers their sizes."""
    estimator = copy.deepcopy(estimator)
    return estimator.to(dtype) if isinstance(estimator, nn.Module) else estimator


def awake(estimator: Estimator, event: tuple) -> Estimator:
    """A fresh copy whose lazy layers have their sizes and whose parameters are all off zero."""
    estimator = fresh(estimator)
    if isinstance(estimator, nn.Module) and any(True for _ in estimator.parameters()):
        estimator(ColumnGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event)), Z)
        with torch.no_grad():
            for seed, parameter in enumerate(estimator.parameters()):
                parameter.add_(seeded_normal(*parameter.shape, seed=seed, scale=0.1))
    return estimator


PAIRS = pytest.mark.parametrize(
    ("estimator", "event"),
    [(e, event) for e in EVERY for event in ((4,), (2, 3)) if len(event) == 1 or not isinstance(e, BINARY_ONLY)],
    ids=lambda value: repr(value) if not isinstance(value, tuple) else {1: "binary", 2: "one-hot"}[len(value)],
)


class AnyGenerator(ColumnGenerator):
    """Returns torch's own distribution, which the estimators know nothing about."""

    def forward(self, z: Tensor) -> Distribution:
        return OwnBits(self.logits[z.flatten()])


def test_names_of_settings() -> None:
    assert {Arm, Arms, DisArm} <= set(BINARY_ONLY)
    assert repr(ESTIMATORS["maligan"](7)) == repr(BoundarySeeking(7, over="batch"))
    assert repr(ESTIMATORS["st-gumbel-softmax"](0.7)) == repr(GumbelSoftmax(0.7, hard=True))


@PAIRS
def test_gradient_reaches_the_generator_only(estimator: Estimator, event: tuple) -> None:
    torch.manual_seed(0)
    generator, discriminator = ColumnGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    discriminator.output.requires_grad_(False)  # what was fixed before stays fixed
    loss = fresh(estimator)(generator, discriminator, Z)
    assert loss.shape == (B,)
    assert loss.dtype == torch.float64
    assert [p.requires_grad for p in discriminator.parameters()] == [True, False]
    loss.sum().backward()
    assert [p.grad for p in discriminator.parameters()] == [None, None]
    assert generator.logits.grad is not None
    assert bool((generator.logits.grad != 0).any())
    assert bool(generator.logits.grad.isfinite().all())


@PAIRS
def test_gradient_reaches_all_parameters_of_the_estimator_itself(estimator: Estimator, event: tuple) -> None:
    estimator = awake(estimator, event)
    own = list(estimator.parameters()) if isinstance(estimator, nn.Module) else []
    torch.manual_seed(0)
    generator, discriminator = ColumnGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    estimator(generator, discriminator, Z).sum().backward()
    for parameter in own:
        assert (parameter.grad is not None and bool((parameter.grad != 0).any())) == parameter.requires_grad


def test_estimators_that_learn() -> None:
    learning = (Nvil(), Rebar(), Relax(), Rebar(learn=False))
    assert [any(p.requires_grad for p in each.parameters()) for each in learning] == [True, True, True, False]


SCORE_FUNCTION = (BoundarySeeking, Reinforce, Nvil, Vimco, Arm, Arms, DisArm, Exact)


@pytest.mark.parametrize("estimator", [e for e in EVERY if isinstance(e, SCORE_FUNCTION)], ids=repr)
def test_score_function_estimators_keep_no_graph_of_the_discriminator(estimator: Estimator) -> None:
    kept = []
    discriminator = SmoothDiscriminator(torch.Size((4,)))
    discriminator.register_forward_hook(lambda module, args, raw: kept.append(raw.requires_grad))
    fresh(estimator)(ColumnGenerator(seeded_normal(B, 4)), discriminator, Z)
    assert not any(kept)
    assert kept


@PAIRS
def test_cost_is_what_it_claims(estimator: Estimator, event: tuple) -> None:
    evaluations = []
    discriminator = SmoothDiscriminator(torch.Size(event))
    discriminator.register_forward_hook(lambda module, args, raw: evaluations.append(raw.numel()))
    fresh(estimator)(ColumnGenerator(seeded_normal(B, *event)), discriminator, Z)
    values = {1: 2**4, 2: 3**2}[len(event)]  # of the exact gradient, which cannot know them beforehand
    assert sum(evaluations) == B * (claims(estimator).evaluations or values)


@PAIRS
def test_each_loss_depends_on_its_own_latent(estimator: Estimator, event: tuple) -> None:
    torch.manual_seed(2)  # where all samples of a latent are equal, leave-one-out has no gradient
    generator, discriminator = ColumnGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    loss = fresh(estimator)(generator, discriminator, Z)
    (gradient,) = torch.autograd.grad(loss[1], generator.logits)
    assert (gradient != 0).flatten(1).any(dim=1).tolist() == [False, True, False]


@PAIRS
def test_value_is_the_same_without_gradients(estimator: Estimator, event: tuple) -> None:
    generator, discriminator = ColumnGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    first = awake(estimator, event)
    second = fresh(first)
    torch.manual_seed(0)
    loss = first(generator, discriminator, Z)
    torch.manual_seed(0)
    with torch.no_grad():
        assert_exact(second(generator, discriminator, Z), loss.detach())


@PAIRS
def test_float32_stays_float32(estimator: Estimator, event: tuple) -> None:
    torch.manual_seed(0)
    generator, discriminator = ColumnGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    loss = fresh(estimator, torch.float32)(generator.float(), discriminator.float(), Z)
    assert loss.dtype == torch.float32
    loss.sum().backward()
    assert generator.logits.grad is not None
    assert bool(generator.logits.grad.isfinite().all())


@pytest.mark.parametrize("estimator", [e for e in EVERY if not isinstance(e, BINARY_ONLY)], ids=repr)
def test_a_category_ruled_out_gets_no_gradient_and_spoils_none(estimator: Estimator) -> None:
    torch.manual_seed(0)
    logits = seeded_normal(B, 2, 3)
    logits[0, 0, 1] = -torch.inf
    generator = ColumnGenerator(logits)
    loss = fresh(estimator)(generator, SmoothDiscriminator(torch.Size((2, 3))), Z)
    loss.sum().backward()
    assert generator.logits.grad is not None
    assert bool(loss.isfinite().all())
    assert bool(generator.logits.grad.isfinite().all())
    assert generator.logits.grad[0, 0, 1] == 0


RESHAPED: dict[str, Callable[[Tensor], Tensor]] = {
    "one for all": lambda raw: raw.mean(),
    "an axis too many": lambda raw: raw[..., None],
    "one for each latent": lambda raw: raw[:1],
    "one for each sample": lambda raw: raw[:, :1],
}


@pytest.mark.parametrize("reshape", RESHAPED.values(), ids=RESHAPED.keys())
@PAIRS
def test_raw_outputs_that_would_broadcast_are_refused(
    estimator: Estimator, event: tuple, reshape: Callable[[Tensor], Tensor]
) -> None:
    class Reshaped(SmoothDiscriminator):
        def forward(self, x: Tensor) -> Tensor:
            return reshape(super().forward(x))

    wanted = Reshaped(torch.Size(event))
    generator = ColumnGenerator(seeded_normal(B, *event))
    if reshape is RESHAPED["one for each latent"] and getattr(estimator, "num_samples", 0) == 1:
        pytest.skip("with one sample it is what is wanted")
    with pytest.raises(
        ValueError, match=r"^discriminator: expected one raw output per sample, shape \(\d+, 3\), got \("
    ):
        fresh(estimator)(generator, wanted, Z)


@BATTERY
def test_discriminator_trains_again_after_an_error(estimator: Estimator) -> None:
    class Failing(SmoothDiscriminator):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("out of memory")

    discriminator = Failing(torch.Size((4,)))
    with pytest.raises(RuntimeError, match="out of memory"):
        fresh(estimator)(ColumnGenerator(seeded_normal(B, 4)), discriminator, Z)
    assert all(parameter.requires_grad for parameter in discriminator.parameters())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("estimator", [e for e in EVERY if claims(e).accepts], ids=repr)
def test_distributions_it_does_not_accept_are_refused_by_name(estimator: Estimator) -> None:
    accepted = " or ".join(kind.__name__ for kind in claims(estimator).accepts)
    message = f"^{type(estimator).__name__}: expected a generator that returns {accepted}, got OwnBits$"
    with pytest.raises(TypeError, match=message):
        fresh(estimator)(AnyGenerator(seeded_normal(B, 4)), SmoothDiscriminator(torch.Size((4,))), Z)


class TorchGenerator(ColumnGenerator):
    """The same laws by torch's own classes."""

    def forward(self, z: Tensor) -> Distribution:
        logits = self.logits[z.flatten()]
        kind = Bernoulli if logits.dim() == 2 else OneHotCategorical
        return Independent(kind(logits=logits), 1)


OF_FACTORIZED = [e for e in EVERY if claims(e).accepts or isinstance(e, BoundarySeeking)]


@pytest.mark.parametrize("event", [(4,), (2, 3)], ids=["bits", "categories"])
@pytest.mark.parametrize("estimator", OF_FACTORIZED, ids=repr)
def test_torchs_own_bits_and_categories_are_as_the_packages(estimator: Estimator, event: tuple[int, ...]) -> None:
    if len(event) == 2 and isinstance(estimator, BINARY_ONLY):
        pytest.skip("of bits alone")
    results = []
    for kind in (ColumnGenerator, TorchGenerator):
        torch.manual_seed(0)
        generator = kind(seeded_normal(B, *event))
        loss = awake(estimator, event)(generator, SmoothDiscriminator(torch.Size(event)), Z)
        results.append((loss, *torch.autograd.grad(loss.sum(), generator.logits)))
    assert_exact(results[1], results[0])
    assert bool((results[0][1] != 0).any())


@pytest.mark.parametrize("estimator", [e for e in EVERY if isinstance(e, BINARY_ONLY)], ids=repr)
def test_binary_estimators_refuse_categories(estimator: Estimator) -> None:
    assert len(claims(estimator).accepts) == 1
    message = rf"^{type(estimator).__name__}: .* returns FactorizedBernoulli, got FactorizedCategorical$"
    with pytest.raises(TypeError, match=message):
        estimator(ColumnGenerator(seeded_normal(B, 2, 3)), SmoothDiscriminator(torch.Size((2, 3))), Z)


ANY_DISTRIBUTION = [e for e in EVERY if not claims(e).accepts and getattr(e, "chunk_size", None) is None]


@pytest.mark.parametrize("estimator", ANY_DISTRIBUTION, ids=repr)
def test_the_others_take_any_distribution(estimator: Estimator) -> None:
    torch.manual_seed(0)
    generator = AnyGenerator(seeded_normal(B, 4))
    fresh(estimator)(generator, SmoothDiscriminator(torch.Size((4,))), Z).sum().backward()
    assert generator.logits.grad is not None
    assert bool((generator.logits.grad != 0).any())


@BATTERY
def test_the_call_that_makes_it_is_its_text(estimator: Estimator) -> None:
    assert repr(remade(estimator)) == repr(estimator)


@pytest.mark.parametrize("estimator", MODULES, ids=repr)
def test_state_resumes(estimator: Estimator) -> None:
    generator, discriminator = ColumnGenerator(seeded_normal(B, 4)), SmoothDiscriminator(torch.Size((4,)))
    first = awake(estimator, (4,))
    second = fresh(remade(estimator))
    for _ in range(3):
        first(generator, discriminator, Z)
    second.load_state_dict(first.state_dict())  # type: ignore[attr-defined]
    losses = []
    for each in (first, second):
        torch.manual_seed(0)
        losses.append(each(generator, discriminator, Z).detach())
    assert torch.equal(*losses)


@pytest.mark.parametrize("estimator", EVERY, ids=repr)
def test_mistaken_arguments_are_named(estimator: Estimator) -> None:
    kind: Callable[..., Estimator] = type(estimator)  # type: ignore[assignment]
    if hasattr(estimator, "num_samples"):
        with pytest.raises(ValueError, match=r"^num_samples: expected at least [12], got 0"):
            kind(num_samples=0)
    if hasattr(estimator, "objective"):
        with pytest.raises(ValueError, match=r"^objective: expected one of .*non-saturating.*, got 'kl'"):
            kind(objective="kl")
    if hasattr(estimator, "temperature"):
        for temperature in (0.0, -1.0, float("nan")):
            with pytest.raises(ValueError, match=r"^temperature: expected a number above 0"):
                kind(temperature=temperature)
    if hasattr(estimator, "annealing_rate"):
        with pytest.raises(ValueError, match=r"^annealing_rate: expected at least 0, got -1"):
            kind(annealing_rate=-1.0)
        with pytest.raises(ValueError, match=r"^min_temperature: expected a number above 0, got 0"):
            kind(min_temperature=0.0)
        with pytest.raises(ValueError, match=r"^temperature: expected at least 3.*falls to min_temperature"):
            kind(annealing_rate=0.1, min_temperature=3.0)
    for name in ("hidden", "num_gumbels"):
        if hasattr(estimator, name):
            with pytest.raises(ValueError, match=rf"^{name}: expected at least 1, got 0"):
                kind(**{name: 0})
    if hasattr(estimator, "decay"):
        with pytest.raises(ValueError, match=r"^decay: expected a number from 0 to (below )?1, got 1.5"):
            kind(decay=1.5)
    if isinstance(estimator, Vimco | DoubleCV | ControlledBoundarySeeking):
        with pytest.raises(ValueError, match=r"^num_samples: expected at least 2, got 1"):
            kind(num_samples=1)
    for name in ("control", "jacobian"):
        if hasattr(estimator, name) and not callable(getattr(estimator, name)):
            with pytest.raises(ValueError, match=rf"^{name}: expected one of .*, got 'none'"):
                kind(**{name: "none"})
