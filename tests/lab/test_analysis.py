"""The lab's figures against an enumeration of their own, and what it finds out about an estimator."""

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.errors import InputError
from discrete_gan.estimators import (
    ESTIMATORS,
    BoundarySeeking,
    Estimator,
    Exact,
    Nvil,
    Reinforce,
    parse_estimator,
)
from discrete_gan.lab import DISCRIMINATORS, PROBLEMS, Oracle, Problem, analyze, with_num_samples
from discrete_gan.lab.discriminators import NetworkDiscriminator
from tests import problems
from tests.problems import assert_exact, seeded_normal

TABLE = PROBLEMS["table"](0)
WRONG = DISCRIMINATORS["wrong"](TABLE, TABLE.generator())


def two_bits(scale: float = 0.3) -> Problem:
    """Log-ratios of moderate size, so that few samples show how the bias falls."""
    log_p = seeded_normal(4, seed=5, scale=scale).log_softmax(dim=0)
    return Problem("two bits", log_p, seeded_normal(1, 2, seed=6, scale=scale), torch.full((4,), -1), ())


def two_latents() -> Problem:
    return Problem(
        "two latents", seeded_normal(4, seed=7).log_softmax(dim=0), seeded_normal(2, 2), torch.full((4,), -1), ()
    )


@pytest.mark.parametrize("spec", ["boundary-seeking", "boundary-seeking:zero_sum=false", "reinforce", "vimco"])
@pytest.mark.parametrize("num_samples", [2, 3])
def test_agrees_with_the_enumeration_of_ordered_tuples(spec: str, num_samples: int) -> None:
    found = analyze(spec, TABLE, num_samples=num_samples, discriminator=WRONG)
    log_w = WRONG(TABLE.states).detach()
    reference = problems.Problem(TABLE.logits[0], TABLE.states, log_w)
    tuples = reference.all_tuples(with_num_samples(parse_estimator(spec), num_samples), num_samples)
    assert found.method == "enumerated"
    assert found.num_outcomes == math.comb(16 + num_samples - 1, num_samples)
    assert_exact(found.gradient[0], tuples.mean, rtol=1e-10)
    length = {
        "boundary-seeking": reference.forward_kl_gradient(),
        "reinforce": reference.reverse_kl_gradient(),
        "vimco": tuples.mean,
    }[spec.partition(":")[0]].norm()
    assert found.variance == pytest.approx(float(tuples.variance / length**2), rel=1e-9)
    assert found.mse == pytest.approx(found.bias**2 + found.variance, rel=1e-12)
    if spec.startswith("boundary"):
        exact = reference.forward_kl_gradient()
        assert found.bias == pytest.approx(float((tuples.mean - exact).norm() / length), rel=1e-9)
        cosine = nn.functional.cosine_similarity(tuples.mean, exact, dim=0)
        assert found.cosine == pytest.approx(float(cosine), rel=1e-12)


def test_latents_share_the_loss() -> None:
    # The mean over two latents halves each one's gradient and quarters its variance.
    problem = two_latents()
    oracle = Oracle(problem, problem.generator())
    found = analyze("reinforce:num_samples=2", problem, discriminator=oracle)
    log_w = oracle(problem.states).detach()
    parts = [problems.Problem(logits, problem.states, log_w).all_tuples(Reinforce(2), 2) for logits in problem.logits]
    assert found.num_outcomes == 10  # multisets of 2 of the 4 states, for each latent
    assert_exact(found.gradient, torch.stack([part.mean / 2 for part in parts]), rtol=1e-10)
    variance = sum(float(part.variance) / 4 for part in parts)
    assert found.variance == pytest.approx(variance / float(found.gradient.norm()) ** 2, rel=1e-9)


def test_exact_gradients_of_both_kls_under_the_oracle() -> None:
    for problem in (TABLE, two_latents()):
        reverse = analyze(Exact("log-ratio"), problem)
        assert reverse.cosine_reverse_kl == pytest.approx(1, abs=1e-12)
        assert reverse.bias < 1e-12
        assert (reverse.method, reverse.num_outcomes, reverse.variance) == ("enumerated", 1, 0)
    # With one latent g(x | z) is p_g, and the reweighted target is the data.
    forward = analyze(Exact("reweighted"), TABLE)
    assert forward.cosine_kl == pytest.approx(1, abs=1e-12)
    assert forward.cosine_reverse_kl < 0.99


@pytest.mark.parametrize("spec", ["boundary-seeking:num_samples=3", "disarm:num_samples=1"])
def test_sampled_figures_agree_with_enumerated_ones(spec: str) -> None:
    exact = analyze(spec, TABLE, discriminator=WRONG)
    sampled = analyze(spec, TABLE, discriminator=WRONG, most_tuples=1, num_draws=100_000)
    assert (exact.method, sampled.method, sampled.num_outcomes) == ("enumerated", "sampled", 100_000)
    distance = float((sampled.gradient - exact.gradient).norm())
    length = float(analyze(Exact(exact.target), TABLE, discriminator=WRONG).gradient.norm())  # type: ignore[arg-type]
    assert distance < 5 * sampled.bias_error * length
    assert sampled.bias_error == pytest.approx(math.sqrt(exact.variance / 100_000), rel=0.05)
    assert sampled.variance == pytest.approx(exact.variance, rel=0.05)
    assert sampled.bias == pytest.approx(exact.bias, abs=5 * sampled.bias_error)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_evaluations_are_what_is_claimed(name: str) -> None:
    claims = parse_estimator(name).claims  # type: ignore[attr-defined]
    found = analyze(name, TABLE, num_draws=100, adapt=1, most_tuples=10_000)
    assert found.evaluations == (claims.evaluations or 16)  # the exact one asks for every state
    assert found.target == claims.target
    assert found.seconds > 0


def claiming(unbiased: bool) -> list[str]:
    """Every named estimator that claims a bias, or none, in every baseline and for both objectives."""
    specs = [*ESTIMATORS, "reinforce:baseline=none", "reinforce:baseline=moving-average", "rebar:learn=false"]
    specs += [f"{name}:objective=non-saturating" for name in ("reinforce", "nvil", "muprop", "double-cv", "disarm")]
    return [spec for spec in specs if parse_estimator(spec).claims.unbiased == unbiased]  # type: ignore[attr-defined]


@pytest.mark.parametrize("spec", claiming(unbiased=True))
def test_what_claims_no_bias_has_none(spec: str) -> None:
    name = spec.partition(":")[0]
    sampled = name in ("arm", "arms", "rebar", "relax")
    for problem_name in ("table", "categories") if sampled else ("table", "table3", "categories", "parity"):
        problem = PROBLEMS[problem_name](1)
        if len(problem.event_shape) == 2 and "arm" in name:
            continue
        discriminator = DISCRIMINATORS["wrong"](problem, problem.generator())
        num_samples = None if name == "exact" else 1 if sampled and name != "arms" else 2
        found = analyze(spec, problem, num_samples=num_samples, discriminator=discriminator, num_draws=20_000)
        if sampled:
            # 24 components at most: 4.5 standard errors in none of them but once in 6,000 seeds
            assert (found.method, found.num_outcomes) == ("sampled", 20_000)
            assert found.z_score < 4.5
            assert found.bias_error < 0.1
        else:
            assert found.method == "enumerated"
            assert found.bias < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["arm", "rebar", "relax"])
def test_no_bias_in_a_million_draws(name: str) -> None:
    found = analyze(f"{name}:num_samples=1", TABLE, discriminator=WRONG, num_draws=10**6)
    assert found.z_score < 4
    assert found.bias_error < 0.005


@pytest.mark.parametrize("spec", claiming(unbiased=False))
def test_what_claims_a_bias_has_one(spec: str) -> None:
    found = analyze(spec, TABLE, num_samples=2, discriminator=WRONG, num_draws=20_000)
    assert found.bias > max(0.02, 5 * found.bias_error)


@pytest.mark.parametrize("spec", ["boundary-seeking", "boundary-seeking-cv", "boundary-seeking-cv:control=linear"])
def test_self_normalized_bias_falls_as_one_over_m(spec: str) -> None:
    problem = two_bits()
    network = NetworkDiscriminator(problem.event_shape)
    bias = {num: analyze(spec, problem, num_samples=num, discriminator=network).bias for num in (2, 4, 8, 16)}
    assert bias[2] > bias[4] > bias[8] > bias[16]
    # The next order, 1/M^2, still shows at 16.
    assert math.log2(bias[16] / bias[8]) == pytest.approx(-1, abs=0.05)


def test_zero_sum_and_plain_weights_are_equal_in_bias() -> None:
    for num in (2, 4):
        plain = analyze(BoundarySeeking(num, zero_sum=False), TABLE)
        zero_sum = analyze(BoundarySeeking(num), TABLE)
        assert_exact(zero_sum.gradient, plain.gradient, atol=1e-12)
        assert zero_sum.variance < plain.variance


def unbiased_of_two(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
    """The first sample is the baseline of the second: their order matters."""
    g = generator(z)
    baseline, x = g.sample((1,)), g.sample((1,))
    with torch.no_grad():
        reward = discriminator(x) - discriminator(baseline)
    return -(reward * g.log_prob(x))[0]


def test_order_of_draws_and_several_draws_are_found_out() -> None:
    found = analyze(unbiased_of_two, TABLE, discriminator=WRONG)
    assert (found.method, found.num_outcomes, found.evaluations) == ("enumerated", 16**2, 2)
    assert found.estimator == "unbiased_of_two"
    # It claims nothing: the nearest target is taken, and said to be a guess.
    assert found.target == "log-ratio?"
    assert found.bias < 1e-12
    told = analyze(unbiased_of_two, TABLE, discriminator=WRONG, target="reweighted")
    assert told.target == "reweighted"
    assert told.bias > 0.1


def last_is_the_baseline(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
    """The first two samples of three may change places, no others."""
    g = generator(z)
    x, baseline = g.sample((2,)), g.sample((1,))
    with torch.no_grad():
        reward = discriminator(x) - discriminator(baseline)
    return -(reward * g.log_prob(x)).mean(dim=0)


def next_is_the_baseline(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
    """Three samples in a circle, which may be turned but not turned over."""
    g = generator(z)
    x = g.sample((3,))
    with torch.no_grad():
        reward = discriminator(x)
    return -((reward - reward.roll(1, 0)) * g.log_prob(x)).mean(dim=0)


@pytest.mark.parametrize("estimator", [last_is_the_baseline, next_is_the_baseline])
def test_order_that_matters_to_some_permutations_only(estimator: Estimator) -> None:
    problem = PROBLEMS["table3"](0)
    found = analyze(estimator, problem, discriminator=DISCRIMINATORS["wrong"](problem, problem.generator()))
    assert (found.method, found.num_outcomes) == ("enumerated", 8**3)
    assert found.bias < 1e-12


def test_enumerates_up_to_the_limit() -> None:
    found = [analyze("reinforce:num_samples=2", TABLE, most_tuples=most, num_draws=100) for most in (136, 135)]
    assert [(each.method, each.num_outcomes) for each in found] == [("enumerated", 136), ("sampled", 100)]


def batch_baseline(generator: Conditional, discriminator: Discriminator, z: Tensor, *, num_samples: int = 2) -> Tensor:
    """The mean of the whole batch is the baseline."""
    g = generator(z)
    x = g.sample((num_samples,))
    reward = discriminator(x).detach()
    return -((reward - reward.mean()) * g.log_prob(x)).mean(dim=0)


def test_coupled_latents_are_drawn_call_by_call() -> None:
    problem = two_latents()
    found = analyze(batch_baseline, problem, num_draws=20_000)
    assert (found.method, found.num_outcomes, found.num_samples) == ("sampled", 1000, 2)
    # With 2 samples of 2 latents the baseline takes a quarter of the signal away.
    exact = analyze(Exact("log-ratio"), problem).gradient
    distance = (found.gradient - 0.75 * exact).norm() / exact.norm()
    assert float(distance) < 5 * found.bias_error
    # One latent couples nothing but itself: every outcome is one call.
    alone = analyze(batch_baseline, TABLE)
    assert alone.method == "enumerated"
    assert_exact(alone.gradient, analyze(Exact("log-ratio"), TABLE).gradient / 2, rtol=1e-9)


def test_coupled_outcomes_beyond_a_thousand_calls_are_drawn() -> None:
    problem = PROBLEMS["table3"](0)
    found = analyze(batch_baseline, problem, num_samples=6, num_draws=400)  # 1,716 multisets
    assert (found.method, found.num_outcomes) == ("sampled", 100)


def test_latents_coupled_by_their_logits_alone() -> None:
    def shared_factor(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        logits = generator(z).logits
        return logits.sum(dim=1) * logits.detach().mean()

    assert analyze(shared_factor, two_latents(), num_draws=2000).method == "sampled"


def test_figures_of_known_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = []

    def noisy(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        noise.append(torch.rand(len(z)).double())
        return generator(z).logits.sum(dim=1) * noise[-1]

    # Every reading of the clock is a second after the one before.
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)
    monkeypatch.setattr("discrete_gan.lab.subject.time", clock)
    problem = two_latents()
    exact = analyze(Exact("log-ratio"), problem).gradient
    noise.clear()
    found = analyze(noisy, problem, target="log-ratio", num_draws=3)
    (drawn,) = (each.view(3, 2, 1).expand(3, 2, 2) / 2 for each in noise if len(each) == 6)
    mean, variance, length = drawn.mean(dim=0), drawn.var(dim=0), exact.norm()
    assert (found.method, found.num_outcomes, found.seconds) == ("sampled", 3, 1)
    assert_exact(found.gradient, mean)
    square = (mean - exact).square().sum() - variance.sum() / 3
    expected = {
        "bias": square.sqrt() / length,
        "bias_error": (variance.sum() / 3).sqrt() / length,
        "z_score": ((mean - exact).abs() / (variance / 3).sqrt()).max(),
        "variance": variance.sum() / length**2,
        "mse": (square + variance.sum()) / length**2,
        "cosine": nn.functional.cosine_similarity(mean.flatten(), exact.flatten(), dim=0),
    }
    assert_exact(
        {name: getattr(found, name) for name in expected}, {k: float(v) for k, v in expected.items()}, rtol=1e-9
    )


class Counting(nn.Module):
    """Its gradient is the number of its calls."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        self.calls += 1
        return self.calls.clone() * generator(z).logits.sum(dim=1)


def test_every_call_starts_from_the_adapted_state() -> None:
    found = analyze(Counting(), two_latents(), adapt=3)
    assert (found.method, found.num_outcomes, found.variance) == ("enumerated", 1, 0)
    assert_exact(found.gradient, torch.full((2, 2), 4 / 2).double())


class Learning(nn.Module):
    """Its gradient is its parameter, which should be 3."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        return self.factor.detach() * generator(z).logits.sum(dim=1) + (self.factor - 3).square()


def test_parameters_adapt_by_adam() -> None:
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([factor], lr=0.02)
    for _ in range(50):
        adam.zero_grad()
        (factor - 3).square().backward()
        adam.step()
    estimator = Learning()
    assert_exact(analyze(estimator, TABLE, adapt=50).gradient[0], factor.detach().expand(4), rtol=1e-10)
    assert estimator.factor.item() == 1


def test_seed_is_that_of_the_draws() -> None:
    first, again, other = (analyze("arm", TABLE, num_draws=50, seed=seed).gradient for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_target_that_is_asked_for_comes_before_what_is_claimed() -> None:
    found = analyze(Exact("log-ratio"), TABLE, target="reweighted")
    assert found.target == "reweighted"
    assert found.bias > 0.1


def test_other_noise_is_drawn() -> None:
    def noisy(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        g = generator(z)
        x = g.sample((2,))
        return -(discriminator(x).detach() * g.log_prob(x)).mean(dim=0) * 2 * torch.rand(len(z))

    found = analyze(noisy, TABLE, discriminator=WRONG, num_draws=50_000)
    assert found.method == "sampled"
    assert found.z_score < 4.5


def test_own_state_and_random_state_are_left_alone() -> None:
    estimator = Nvil(2)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = analyze(estimator, TABLE)
    assert torch.equal(torch.get_rng_state(), state)
    assert float(estimator.average) == 0
    assert first.gradient.equal(analyze(estimator, TABLE).gradient)
    moved = analyze(Reinforce(2, baseline="moving-average"), TABLE)
    fresh = analyze(Reinforce(2, baseline="moving-average"), TABLE, adapt=1)
    assert moved.variance != fresh.variance


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda g, d, z: 3.0, r"returned a float, expected a tensor"),
        (
            lambda g, d, z: g(z).log_prob(g(z).sample((2,))),
            r"returned shape \(2, \d+\), expected one loss per latent, \(\d+,\)",
        ),
        (lambda g, d, z: g(z).log_prob(g(z).sample()).detach(), "its loss carries no gradient, expected one that"),
        (lambda g, d, z: torch.ones(len(z), requires_grad=True), "its loss carries no gradient"),
        (lambda g, d, z: g(z).log_prob(g(z).sample()) / 0, "its loss is not finite, expected finite numbers"),
        (lambda g, d, z: (g(z).logits * 0).sum(dim=1).sqrt(), "its gradient is not finite"),
    ],
)
def test_bad_estimator_is_named_with_what_was_expected(function: object, message: str) -> None:
    with pytest.raises(InputError, match=f"^estimator <lambda>: {message}"):
        analyze(function, TABLE)  # type: ignore[arg-type]


def test_number_of_samples_of_any_estimator() -> None:
    assert repr(with_num_samples(BoundarySeeking(5, zero_sum=False), 7)) == repr(BoundarySeeking(7, zero_sum=False))
    assert repr(with_num_samples(Reinforce(5, decay=0.5), 7)) == repr(Reinforce(7, decay=0.5))
    found = analyze(batch_baseline, TABLE, num_samples=3)
    assert (found.evaluations, found.num_samples, found.estimator) == (3, 3, "batch_baseline:num_samples=3")
    with pytest.raises(InputError, match=r"^estimator unbiased_of_two: it takes no num_samples"):
        analyze(unbiased_of_two, TABLE, num_samples=3)
    with pytest.raises(InputError, match=r"^estimator BoundarySeeking\(.*num_samples: expected at least 2, got 1"):
        analyze("boundary-seeking", TABLE, num_samples=1)


def test_bound_beyond_enumeration_has_no_bias_to_show() -> None:
    found = analyze("vimco", TABLE, num_samples=4, most_tuples=100, num_draws=100)
    assert math.isnan(found.bias)
    assert found.variance != found.variance or found.variance > 0


def test_too_many_pairs_or_draws_are_not_enumerated() -> None:
    # 3^16 pairs would not fit in memory; 5,000 draws are more than are ever handed out.
    many = PROBLEMS["ising4"](0)
    generator = many.generator()
    assert analyze("disarm:num_samples=1", many, discriminator=Oracle(many, generator), num_draws=2).method == "sampled"
    found = analyze("boundary-seeking:num_samples=5000", TABLE, discriminator=WRONG, num_draws=2)
    assert (found.method, found.evaluations) == ("sampled", 5000)


def test_guess_is_by_direction() -> None:
    """A wrong scale is a bias, not another target."""

    def twice(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        return 2 * Reinforce(2)(generator, discriminator, z)

    found = analyze(twice, "table", discriminator=WRONG)
    assert found.target == "log-ratio?"
    assert found.bias == pytest.approx(1, abs=1e-12)
    assert found.cosine == pytest.approx(1, abs=1e-12)
