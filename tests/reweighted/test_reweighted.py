"""Reweighted models on problems whose every sample is known: laws for finitely many candidates, exact or counted."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.distributions import PointMass
from discrete_gan.lab.problems import ProductMixture
from discrete_gan.models import (
    MLPDiscriminator,
    MLPGenerator,
    MLPImageGenerator,
    RecurrentDiscriminator,
    RecurrentGenerator,
)
from discrete_gan.reweighted import METHODS, Method, Reweighted, choice
from discrete_gan.reweighted.choice import log_acceptance
from discrete_gan.reweighted.diagnosis import hashes_of
from discrete_gan.sampling import generate
from discrete_gan.weights import diagnose
from tests.problems import TableDiscriminator, assert_exact, seeded_normal

NUM, BOUND = 60_000, 1.8


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class Mixture(ProductMixture):
    """Two latents, two bits each."""

    latent_dim = 2

    def decode(self, x: Tensor) -> Tensor:
        return x


def problem(scale: float = 1.5) -> tuple[Mixture, TableDiscriminator, Tensor, Tensor]:
    """A generator, a discriminator, g(x | z) of shape (2, 4), and w of shape (4,)."""
    generator = Mixture(seeded_normal(2, 2))
    discriminator = TableDiscriminator(seeded_normal(4, seed=3, scale=scale), torch.Size([2]))
    g = generator(generator.all_latents())
    return (
        generator,
        discriminator,
        g.log_prob(g.enumerate_support()).exp().T.detach(),
        discriminator.log_w.exp().detach(),
    )


def law(p: Tensor, w: Tensor, group: int, choose: Callable[[list[float]], list[float]]) -> Tensor:
    """Of the output, where each tuple of candidates of p is chosen from with the probabilities of ``choose``."""
    total = torch.zeros_like(p)
    for states in itertools.product(range(len(p)), repeat=group):
        probability = math.prod(float(p[state]) for state in states)
        for state, share in zip(states, choose([float(w[state]) for state in states]), strict=True):
            total[state] += probability * share
    return total


def by_weight(weights: list[float]) -> list[float]:
    return [weight / sum(weights) for weight in weights]


def by_chain(weights: list[float]) -> list[float]:
    """Of each candidate, that it is the last state."""
    share = [1.0] + [0.0] * (len(weights) - 1)
    for new in range(1, len(weights)):
        for old in range(new):
            moved = share[old] * min(1, weights[new] / weights[old])
            share[old], share[new] = share[old] - moved, share[new] + moved
    return share


def by_rejection(weights: list[float]) -> list[float]:
    """The first that is accepted, of a bound that one of the four states is above; else by weights of what is left."""
    accepted = [min(1.0, weight / BOUND) for weight in weights]
    left = [math.prod(1 - each for each in accepted[:number]) for number in range(len(weights) + 1)]
    share = [before * each for before, each in zip(left[:-1], accepted, strict=True)]
    if left[-1] == 0:
        return share
    odds = [weight / (1 - each) for weight, each in zip(weights, accepted, strict=True)]
    return [each + left[-1] * odd / sum(odds) for each, odd in zip(share, odds, strict=True)]


def counts(x: Tensor) -> Tensor:
    return torch.bincount((2 * x[..., 0] + x[..., 1]).long().flatten(), minlength=4) / x.shape[:-1].numel()


def assert_law(frequencies: Tensor, expected: Tensor, num: int = NUM) -> None:
    assert ((frequencies - expected).abs() <= 5 * (expected * (1 - expected) / num).sqrt()).all()


@pytest.mark.parametrize(
    ("method", "choose"), [("resample", by_weight), ("independence-mh", by_chain), ("rejection", by_rejection)]
)
@pytest.mark.parametrize("group", [1, 3])
def test_outputs_have_the_law_of_finitely_many_candidates(method: Any, choose: Any, group: int) -> None:
    generator, discriminator, given, w = problem()
    model = Reweighted(generator, discriminator, method=method, candidates=group, bound=math.log(BOUND))
    expected = law(given.mean(0), w, group, choose)
    assert_law(counts(model.sample(NUM, batch_size=NUM).samples), expected)
    if group > 1:  # and no other law would pass
        for other in (given.mean(0), given.mean(0) * w / (given.mean(0) * w).sum()):
            assert (expected - other).abs().max() > 0.02


@pytest.mark.parametrize(
    ("choose", "share"),
    [
        (choice.resampled, by_weight),
        (choice.independence_metropolis, by_chain),
        (lambda log_w: choice.rejected(log_w, math.log(BOUND)), by_rejection),
    ],
)
@pytest.mark.parametrize("weights", [[1.7, 0.5], [0.2, 1.6, 0.9], [0.4]])
def test_candidates_are_chosen_as_often_as_they_should(choose: Any, share: Any, weights: list[float]) -> None:
    log_w = torch.tensor(weights).log()[:, None].expand(-1, NUM)
    frequencies = torch.bincount(choose(log_w).candidate, minlength=len(weights)) / NUM
    assert_law(frequencies, torch.tensor(share(weights)))


def test_what_is_accepted_is_counted() -> None:
    generator, discriminator, given, w = problem()
    p, accepted = given.mean(0), (w / BOUND).clamp(max=1)
    model = Reweighted(generator, discriminator, method="rejection", candidates=2, bound=math.log(BOUND))
    found = model.sample(NUM // 2, batch_size=NUM).diagnosis
    several = torch.tensor([found.acceptance, found.above_bound / NUM, found.none_accepted / (NUM // 2)])
    probability = torch.stack([(p * accepted).sum(), p[w > BOUND].sum(), (p * (1 - accepted)).sum() ** 2])
    assert_law(several, probability, NUM // 2)
    assert "above the bound" in found.verdict and "none of the 2 candidates" in found.verdict
    assert found.log_bound == pytest.approx(math.log(BOUND))


def test_a_bound_that_is_not_known_is_the_largest_weight_of_a_pilot() -> None:
    generator, discriminator, given, w = problem()
    model = Reweighted(generator, discriminator, method="rejection", candidates=100, offset=1.0)
    draws = model.sample(2000)
    assert draws.diagnosis.log_bound == pytest.approx(float(w.log().max()) + 1)
    assert draws.diagnosis.above_bound == draws.diagnosis.none_accepted == 0
    assert_law(counts(draws.samples), given.mean(0) * w / (given.mean(0) * w).sum(), 2000)


def test_per_latent_choice_keeps_the_latents() -> None:
    generator, discriminator, given, w = problem()
    model = Reweighted(generator, discriminator, method="per-latent", candidates=3)
    drawn = model(generator.all_latents()).sample((NUM,))
    assert drawn.shape == (NUM, 2, 2)
    for latent in range(2):
        assert_law(counts(drawn[:, latent]), law(given[latent], w, 3, by_weight))


def test_many_candidates_are_draws_of_the_reweighted_model() -> None:
    generator, discriminator, given, w = problem()
    num = 1500
    cases: list[tuple[Any, Tensor]] = [("resample", given.mean(0))]
    cases += [("independence-mh", given.mean(0)), ("per-latent", given[1])]
    for method, p in cases:
        model = Reweighted(generator, discriminator, method=method, candidates=100)
        z = generator.latents(num) if method != "per-latent" else generator.all_latents()[1:].expand(num, 2)
        assert_law(counts(model(z).sample()), p * w / (p * w).sum(), num // 2)


def test_the_exact_log_ratio_gives_the_data() -> None:
    generator, _, given, _ = problem()
    p_data = seeded_normal(4, seed=5).softmax(0)
    discriminator = TableDiscriminator(p_data.log() - given.mean(0).log() + 3, torch.Size([2]))
    model = Reweighted(generator, discriminator, candidates=300, offset=-3)
    draws = model.sample(2000)
    assert_law(counts(draws.samples), p_data, 1000)
    assert abs(draws.diagnosis.log_partition) < 5 * draws.diagnosis.log_partition_error < 0.05


def test_metropolis_leaves_the_reweighted_law_as_it_is() -> None:
    _, discriminator, given, w = problem()
    p, log_w = given.mean(0), discriminator.log_w.detach()
    moved = p * log_acceptance(log_w[:, None], log_w).exp()  # from x to y, each drawn from p
    transition = moved + torch.diag(1 - moved.sum(1))
    target = p * w / (p * w).sum()
    assert_exact(target @ transition, target, atol=1e-10)
    assert (p @ transition - p).abs().max() > 0.01


def test_a_chain_leaves_where_there_is_no_weight() -> None:
    nothing, some = torch.tensor(-math.inf), torch.tensor(0.3)
    assert [float(log_acceptance(*pair)) for pair in ((nothing, some), (nothing, nothing))] == [0, 0]
    assert float(log_acceptance(some, nothing)) == -math.inf


def test_it_is_a_generator_as_others_are() -> None:
    generator, discriminator = MLPGenerator(4, 6, hidden=(8,)), MLPDiscriminator(6, hidden=(8,)).eval()
    model = Reweighted(generator, discriminator, candidates=4, scale=2.0)
    assert (model.latent_dim, model.num_classes) == (4, 0)
    samples = generate(model, 25, seed=3)
    assert torch.equal(samples, generate(model, 25, seed=3)) and not samples.requires_grad
    assert samples.shape == (25, 6) and torch.equal(model.decode(samples), samples)
    assert generator.training and not discriminator.training
    assert model(model.latents(3)).sample((2, 5)).shape == (2, 5, 3, 6)
    with pytest.raises(NotImplementedError):
        model(model.latents(3)).log_prob(samples[:3])
    assert torch.equal(model.sample(25, seed=3).samples, samples)
    assert model.diagnosis().outputs == 25 + 25 + 2 * 5 * 3 + 25


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_gives_the_same_samples_again(method: Method) -> None:
    generator: Any = RecurrentGenerator(3, 4, end=1) if method == "smc" else MLPGenerator(4, 6, hidden=(8,))
    discriminator: Any = RecurrentDiscriminator(3, 4, end=1) if method == "smc" else MLPDiscriminator(6, hidden=(8,))
    models = [Reweighted(generator, discriminator, method=method, bound=bound) for bound in (0.5, None)]
    first = [model.sample(20, seed=1).samples for model in models]
    assert all(torch.equal(model.sample(20, seed=1).samples, x) for model, x in zip(models, first, strict=True))
    assert not torch.equal(models[0].sample(20, seed=2).samples, first[0])


def test_log_ratios_are_calibrated_and_carry_gradient() -> None:
    generator, discriminator, _, _ = problem()
    states = generator(generator.all_latents()).enumerate_support()[:, 0]
    model = Reweighted(generator, discriminator, scale=2.0, offset=0.5)
    assert_exact(model.log_ratio(states), 2 * discriminator.log_w + 0.5)
    assert model.log_ratio(states[None, :, None]).shape == (1, 4, 1)
    assert model.log_ratio(states).requires_grad


class ClassBits(nn.Module):
    """Bit 0 is the class; raw outputs are 3 where the discriminator is told the class that x shows, else minus 3."""

    num_classes, latent_dim = 2, 1

    def decode(self, x: Tensor) -> Tensor:
        return x

    def latents(self, num: int) -> Tensor:
        return torch.rand(num, 1)

    def forward(self, z: Tensor, labels: Tensor) -> PointMass:
        return PointMass(torch.cat([labels[:, None].float(), z], dim=1))


class TellsClasses(nn.Module):
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        assert x.shape[-2] == len(labels)
        return 6 * (x[..., 0] == labels).float() - 3 + 50 * x[..., 1]


@pytest.mark.parametrize("method", ["resample", "independence-mh"])
def test_labels_go_to_both_networks_and_points_are_chosen_too(method: Any) -> None:
    model = Reweighted(ClassBits(), TellsClasses(), method=method, candidates=200)
    draws = model.sample(6, label=[1, 0, 0])
    assert draws.samples[:, 0].tolist() == [1, 0, 0, 1, 0, 0]
    assert draws.samples[:, 1].min() > 0.8  # of 200 candidates the largest
    pairs = Reweighted(ClassBits(), TellsClasses(), method=method, candidates=2).sample(60, label=[1, 0, 0])
    assert pairs.samples[:, 0].tolist() == [1, 0, 0] * 20  # every candidate was of the class that was told
    assert pairs.diagnosis.spread < 25  # by 50 times a uniform number, and by no class


def test_groups_that_are_split_are_as_whole_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = RecurrentGenerator(4, 3, end=None, latent_dim=2)
    seen: list[tuple[int, ...]] = []

    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(tuple(x.shape))
            return x.float().sum(-1)

    model = Reweighted(generator, Counts(), candidates=3)
    monkeypatch.setattr("discrete_gan.reweighted.model._MOST_CANDIDATES", 12)
    prefix = torch.arange(10)[:, None] % 4
    drawn = model(model.latents(10)).sample((2,), prefix=prefix)
    assert drawn.shape == (2, 10, 3) and drawn.dtype == torch.int64
    assert torch.equal(drawn[..., :1], prefix.expand(2, 10, 1))
    assert seen == [(3, 4, 3)] * 5
    per_latent = Reweighted(generator, Counts(), candidates=3, method="per-latent")
    assert torch.equal(per_latent(model.latents(10)).sample(prefix=prefix)[:, :1], prefix)
    cold = per_latent(model.latents(10)).sample((5,), temperature=1e-6)
    assert torch.equal(cold, cold[:1].expand(5, 10, 3)) and per_latent.diagnosis().outputs == 10 + 50


def test_the_diagnosis_is_that_of_all_weights_at_once() -> None:
    generator, discriminator, _, _ = problem()
    model = Reweighted(generator, discriminator, candidates=5)
    kept: list[Tensor] = []
    discriminator.register_forward_hook(lambda *of: kept.append(of[2]))
    found = model.sample(400, batch_size=150).diagnosis
    log_w = torch.cat(kept, dim=1)
    whole, groups = diagnose(log_w.flatten()), diagnose(log_w)
    assert (found.outputs, found.group, found.looked_at) == (400, 5, 2000)
    numbers = torch.tensor([found.effective, found.effective_in_group, found.spread, found.tail_index])
    expected = [whole.effective_sample_size / 2000, groups.effective_sample_size.mean(), log_w.std()]
    assert_exact(numbers.double(), torch.stack([*expected, whole.pareto_tail_index]).detach().double(), rtol=1e-5)
    assert found.log_partition == pytest.approx(float(whole.log_partition))
    spread_of_means = log_w.exp().mean(0)
    error = float(spread_of_means.std() / spread_of_means.mean() / math.sqrt(400))
    assert found.log_partition_error == pytest.approx(error)
    assert (found.distinct_candidates, found.distinct_outputs) == (4, 4)
    assert found.none_accepted == found.above_bound == 0 and math.isnan(found.acceptance)


def test_distinct_samples_are_counted_of_every_type() -> None:
    generators: list[Any] = [MLPGenerator(3, 50, hidden=(4,)), MLPGenerator(3, 8, 3, hidden=(4,))]
    generators += [MLPImageGenerator(3, 5, hidden=(4,)), RecurrentGenerator(5, 4, end=1)]
    for generator in generators:
        discriminator = Flat()
        model = Reweighted(generator, discriminator, candidates=2)
        x: list[Tensor] = []
        discriminator.register_forward_hook(lambda *of, x=x: x.append(of[1][0]))
        draws = model.sample(300, batch_size=70)
        every = torch.cat([each.flatten(0, 1) for each in x])
        assert draws.diagnosis.distinct_candidates == len(every.unique(dim=0))
        assert draws.diagnosis.distinct_outputs == len(draws.samples.unique(dim=0))


def test_hashes_use_all_their_bits() -> None:
    """Floats of 0 and 1 have zeros in all low bits, so that products with them would have."""
    bits = (torch.rand(200, 30) < 0.5).float()
    for x in (bits, bits.double(), bits.long(), bits.half(), torch.rand(200, 3)):
        assert len((hashes_of(x, 1) % 2**16).unique()) > 190
    assert torch.equal(hashes_of(bits, 1), hashes_of(bits.view(4, 50, 30), 1).flatten())


class Flat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.03 * x.flatten(2)[..., 0].float()


def test_warnings_say_what_is_wrong() -> None:
    generator = MLPGenerator(4, 20, hidden=(8,))
    flat = Reweighted(generator, Flat()).sample(200).diagnosis
    assert "hardly differ" in flat.verdict and len(flat.warnings) == 1 and "refine" in flat.lines()[-1]
    sharp = Reweighted(generator, MLPDiscriminator(20, hidden=(4,)), scale=100).sample(1000).diagnosis
    assert "few effective" in sharp.verdict and "tail index" in sharp.verdict
    well = Reweighted(generator, MLPDiscriminator(20, hidden=(4,)), scale=3).sample(500).diagnosis
    assert well.warnings == [] and well.verdict == "nothing speaks against these samples"


def test_few_effective_candidates_are_told_of_groups_and_of_all() -> None:
    generator, discriminator, _, _ = problem()
    well = Reweighted(generator, discriminator).sample(500).diagnosis._replace(effective=0.5, effective_in_group=3.0)
    assert well.warnings == []
    of_all, of_group = well._replace(effective=0.38), well._replace(effective_in_group=1.9)
    assert "(1.9 of 5 for an output)" in of_all.verdict and "(1.9 of 5 for an output)" in of_group.verdict
    assert of_all._replace(method="per-latent").warnings == of_group._replace(method="gibbs").warnings == []
    assert len(of_group._replace(method="per-latent").warnings) == 1
    pairs = well._replace(group=2, effective=0.9, effective_in_group=1.8)
    assert pairs.warnings == [] and len(pairs._replace(effective=0.7).warnings) == 1
    heavy = well._replace(tail_index=well.tail_threshold + 0.1)
    assert "heavy tail" in heavy.verdict and heavy._replace(tail_index=math.inf).warnings == []
    assert "heavy tail" not in heavy._replace(spread=0.15).verdict


def test_choosing_with_a_small_spread_changes_as_many_samples_as_it_says() -> None:
    log_w = 0.1 * torch.randn(100_000, dtype=torch.float64)
    changed = (log_w.exp() / log_w.exp().mean() - 1).abs().mean() / 2
    assert float(changed) == pytest.approx(0.04, rel=0.02)


class Raw(nn.Module):
    """What comes out, whatever goes in."""

    def __init__(self, output: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: Tensor) -> Any:
        return self.output(x)


class NoSample(Mixture):
    def forward(self, z: Tensor) -> Any:
        return z


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"method": "mcmc"}, "method: expected one of resample, "),
        ({"candidates": 0}, "candidates: expected at least 1, got 0"),
        (
            {"method": "rejection", "discriminator": Raw(lambda x: x[..., 0] - math.inf)},
            "finite log-ratios for a bound",
        ),
        ({"bound": math.inf}, "bound: expected a finite number"),
        ({"method": "smc"}, "method smc: expected a generator of sequences, Autoregressive, got FactorizedBernoulli"),
        ({"method": "gibbs"}, "method gibbs: expected a discriminator with a gradient in x"),
        ({"method": "gibbs", "generator": MLPImageGenerator(2, 2, hidden=(3,))}, "independent bits or cat.*PointMass"),
        ({"method": "smc", "generator": RecurrentGenerator(2, 2, end=None)}, "with steps, .*, got TableDiscriminator"),
        ({"scale": math.nan}, "scale, offset: expected finite numbers"),
        ({"generator": Flat()}, "generator: expected one with latents, latent_dim, decode, got Flat"),
        ({"discriminator": 3}, "discriminator: expected a module, got int"),
        ({"generator": NoSample(seeded_normal(2, 2))}, "returns a distribution with sample, got Tensor"),
        ({"discriminator": Raw(lambda x: x)}, r"one output per sample, shape \(5, 3\), got \(5, 3, 2\)"),
        ({"discriminator": Raw(lambda x: None)}, "one output per sample, .* got NoneType"),
        ({"discriminator": Raw(lambda x: x[..., 0] * math.nan)}, "log-ratios that are numbers, got NaN"),
        ({"discriminator": Raw(lambda x: x[..., 0] - math.inf)}, "expected a candidate with a weight"),
        ({"generator": MLPImageGenerator(2, 2, hidden=(3,)), "method": "per-latent"}, "several x for one z"),
    ],
)
def test_bad_input_is_refused_in_one_line(change: dict[str, Any], told: str) -> None:
    generator, discriminator, _, _ = problem()
    with pytest.raises(ValueError, match=told) as caught:
        Reweighted(**({"generator": generator, "discriminator": discriminator} | change)).sample(3)
    assert "\n" not in str(caught.value)


def test_a_group_without_weights_is_counted() -> None:
    generator, _, _, _ = problem()
    only_ones = Raw(lambda x: torch.where(x.sum(-1) == 2, 0.0, -math.inf))
    draws = Reweighted(generator, only_ones, candidates=2).sample(200)
    assert draws.diagnosis.none_accepted == int((draws.samples.sum(-1) < 2).sum()) > 0
    assert "none of the 2 candidates was accepted" in draws.diagnosis.verdict
    with pytest.raises(ValueError, match="draw some first"):
        Reweighted(generator, only_ones).diagnosis()


def test_probabilities_that_are_no_numbers_are_refused() -> None:
    for generator in (MLPGenerator(2, 3, hidden=(4,)), RecurrentGenerator(4, 3, end=None)):
        with torch.no_grad():
            [*generator.parameters()][-1].fill_(math.nan)
        with pytest.raises(ValueError, match="not numbers"):
            Reweighted(generator, Flat()).sample(3)
