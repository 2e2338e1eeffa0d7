"""The tail of the weights, against the paper and arviz."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from discrete_gan.weights import (
    _generalized_pareto,
    pareto,
    pareto_tail_index,
    psis,
    tail_index_threshold,
)
from tests.problems import assert_exact, seeded_normal


def psis_tail_index(log_w: np.ndarray) -> float:
    """k of one latent as in the PSIS paper: section 2 (Zhang and Stephens) and appendix C (prior)."""
    w = np.sort(np.exp(log_w))
    n = math.ceil(min(len(w) / 5, 3 * math.sqrt(len(w))))
    x = w[-n:] - w[-n - 1]
    m = 30 + math.floor(math.sqrt(n))
    star = x[math.floor(n / 4 + 0.5) - 1]
    theta = np.array([1 / x[-1] + (1 - math.sqrt(m / (j - 0.5))) / (3 * star) for j in range(1, m + 1)])

    def shape(t: float) -> float:
        return float(np.mean(np.log(1 - t * x)))

    profile = np.array([n * (math.log(-t / shape(t)) - shape(t) - 1) for t in theta])
    posterior = np.array([1 / np.sum(np.exp(profile - each)) for each in profile])
    return (n * shape(float(np.sum(posterior * theta))) + 10 * 0.5) / (n + 10)


@pytest.mark.parametrize("num_samples", [21, 25, 100, 1000])
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_tail_index_equals_the_paper(num_samples: int, scale: float) -> None:
    log_w = seeded_normal(num_samples, 4, seed=num_samples, scale=scale)
    expected = torch.tensor([psis_tail_index(column) for column in log_w.T.numpy()], dtype=torch.float64)
    torch.testing.assert_close(pareto_tail_index(log_w), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("index", [0.3, 0.7, 1.0])
def test_tail_index_recovers_that_of_pareto_weights(index: float) -> None:
    num_samples, num_latents = 10_000, 200
    uniform = torch.rand(num_samples, num_latents, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    log_w = torch.log((uniform.pow(-index) - 1) / index)
    num_tail = 300  # 3 sqrt(M)
    shrunk = (num_tail * index + 5) / (num_tail + 10)
    # Variance of the maximum-likelihood k is (1 + k)^2 / n, its bias of order 1/n.
    bound = 5 * (1 + index) / math.sqrt(num_tail * num_latents) + 2 / num_tail
    assert abs(pareto_tail_index(log_w).mean().item() - shrunk) < bound


def test_tail_index_where_there_is_no_tail() -> None:
    assert pareto_tail_index(seeded_normal(20, 2)).tolist() == [math.inf, math.inf]
    assert pareto_tail_index(seeded_normal(21, 2)).isfinite().all()
    assert pareto_tail_index(torch.zeros(100, 1)).tolist() == [-math.inf]
    assert pareto_tail_index(torch.full((100, 1), -math.inf)).tolist() == [-math.inf]


# k of arviz 0.23.4, psislw(log_w)[1], of the first four of 20 columns of log_w = N(0, sd), and its mean over all 20.
ARVIZ = {
    (100, 3): (0.83339200, 0.95356777, 0.92476905, 0.90257943, 0.99382542),
    (100, 5): (1.28145209, 1.21105263, 1.92458795, 0.93002285, 1.52790759),
    (100, 10): (3.18163198, 2.14235901, 3.27919174, 2.08655784, 2.72965502),
    (100, 15): (4.12516746, 3.56413441, 4.29571307, 4.03127353, 4.05588174),
    (100, 20): (5.91491446, 6.09864197, 5.23545884, 4.95843884, 5.47778399),
    (100, 30): (8.45894460, 9.27317818, 6.92243759, 6.96753240, 7.61546116),
    (300, 3): (0.96621627, 1.19923401, 1.14073150, 1.15730140, 1.11325494),
    (300, 5): (1.67620858, 1.40186824, 2.43220151, 2.49453664, 2.09361699),
    (300, 10): (3.46482694, 3.33960145, 3.64480528, 4.88718106, 3.98604547),
    (300, 15): (5.23087362, 5.10043748, 5.60142884, 5.74086466, 5.41927692),
    (300, 20): (5.57113634, 5.51966286, 7.50067572, 7.92089287, 7.27319196),
    (300, 30): (11.64248048, 11.05192610, 8.51711195, 7.87831464, 10.09560519),
    (1000, 3): (0.98049277, 1.04327861, 1.06030813, 1.06099502, 1.02359745),
    (1000, 5): (1.93093868, 2.00187454, 1.86763118, 1.90202254, 1.84795836),
    (1000, 10): (3.44919469, 3.50969494, 3.28291984, 3.84037023, 3.88998115),
    (1000, 15): (5.67584913, 5.43871991, 5.95090765, 5.54502358, 5.51781108),
    (1000, 20): (7.40397903, 7.33811717, 6.08541203, 6.68557211, 6.94236288),
    (1000, 30): (10.39094727, 10.09106530, 10.58224356, 10.97736787, 9.98237680),
    (10000, 3): (1.05251711, 0.81274894, 1.05009307, 0.90367177, 0.97616999),
    (10000, 5): (1.75234867, 1.81157146, 1.58351774, 1.99151913, 1.68873818),
    (10000, 10): (3.51744402, 3.12442430, 3.44839937, 3.62456414, 3.47621438),
    (10000, 15): (5.34326110, 5.16460163, 4.90579655, 5.01734973, 5.12617058),
    (10000, 20): (6.63684513, 6.26573731, 6.05115570, 6.47789004, 6.45769696),
    (10000, 30): (9.15237663, 8.92281728, 8.66359213, 8.26270017, 8.96425545),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("num_samples", "sd"), ARVIZ)
def test_tail_index_equals_arviz(num_samples: int, sd: int, dtype: torch.dtype) -> None:
    log_w = torch.from_numpy(np.random.RandomState(num_samples + sd).normal(0, sd, (num_samples, 20))).to(dtype)
    k = pareto_tail_index(log_w)
    found = [*k[:4].tolist(), k.mean().item()]
    # float32 rounds the largest of 10,000 log-ratios, 120 nats, by 4e-6.
    assert found == pytest.approx(ARVIZ[num_samples, sd], rel=1e-7 if dtype == torch.float64 else 1e-4)
    log_w = log_w.requires_grad_()
    (gradient,) = torch.autograd.grad(pareto_tail_index(log_w).sum(), log_w)
    assert gradient.isfinite().all()
    assert bool((k > tail_index_threshold(num_samples)).all())


def two_values(num_low: int, num_high: int) -> Tensor:
    return torch.tensor([0.0, 1.0]).double().repeat_interleave(torch.tensor([num_low, num_high]))


TIES: dict[str, tuple[Tensor, float]] = {
    "five of 100": (two_values(95, 5), -1.6363520074574287),
    "three values": (
        torch.tensor([0.0, 1.0, 2.0]).double().repeat_interleave(torch.tensor([900, 60, 40])),
        -4.746353615774588,
    ),
    "whole numbers": (torch.from_numpy(np.round(np.random.RandomState(2).normal(0, 3, 500))), 1.2191581078952105),
    "three quarters minus infinity": (
        torch.cat([torch.full((300,), -math.inf), torch.from_numpy(np.random.RandomState(1).normal(0, 1, 100))]),
        0.2575486707664297,
    ),
    "underflow": (torch.linspace(-800, 0, 400, dtype=torch.float64), 30.33848412195666),
    "too few above the others": (two_values(96, 4), math.inf),
    "one above the others": (torch.tensor([1e4, *[0.0] * 99]).double(), math.inf),
}


@pytest.mark.parametrize("name", TIES)
def test_tail_index_with_ties_and_underflow_equals_arviz(name: str) -> None:
    log_w, expected = TIES[name]
    log_w = log_w[:, None].requires_grad_()
    k = pareto_tail_index(log_w)
    assert k.item() == pytest.approx(expected, rel=1e-9)
    (gradient,) = torch.autograd.grad(k, log_w)
    assert gradient.isfinite().all()
    # Beside other columns a short tail is the same.
    both = pareto_tail_index(torch.cat([log_w, torch.randn(len(log_w), 1).double()], dim=1))
    assert both[0].item() == pytest.approx(expected, rel=1e-9)


def test_tail_index_where_the_fit_is_exponential() -> None:
    # 120 equal exceedances put a point of the grid at zero, where the profile is 0 / 0; without it k is continuous.
    log_w = two_values(3000, 120)[:, None]
    moved = log_w + torch.cat([torch.zeros(3000), torch.linspace(0, 1e-7, 120)]).double()[:, None]
    assert pareto_tail_index(log_w).item() == pytest.approx(pareto_tail_index(moved).item(), abs=1e-4)


def test_gradient_of_the_tail_index_by_finite_differences() -> None:
    assert torch.autograd.gradcheck(pareto_tail_index, seeded_normal(60, 2).requires_grad_())
    for equal in (torch.zeros(100, 2), torch.full((100, 2), -math.inf)):
        (gradient,) = torch.autograd.grad(pareto_tail_index(equal.requires_grad_()).sum(), equal)
        assert torch.equal(gradient, torch.zeros(100, 2))


def test_threshold_of_the_tail_index_depends_on_the_number_of_samples() -> None:
    assert tail_index_threshold(100) == pytest.approx(0.5)
    assert tail_index_threshold(1000) == pytest.approx(2 / 3)
    assert [tail_index_threshold(number) for number in (2155, 10_000)] == [0.7, 0.7]
    assert tail_index_threshold(2154) < 0.7
    with pytest.raises(ValueError, match=r"^num_samples: expected at least 2, got 1$"):
        tail_index_threshold(1)


def test_tail_index_is_a_number_where_weights_nearly_underflow() -> None:
    near = torch.cat(
        [torch.zeros(1), -87.3 + 1e-4 * torch.randn(14), torch.full((5,), -87.33), torch.full((80,), -200.0)]
    )
    torch.manual_seed(0)
    random = torch.randn(100, 2000) * torch.linspace(5, 120, 2000)
    log_w = torch.cat([near[:, None], random], dim=1).requires_grad_()
    k = pareto_tail_index(log_w)
    assert not k.isnan().any()
    (gradient,) = torch.autograd.grad(k[k.isfinite()].sum(), log_w)
    assert gradient.isfinite().all()


# arviz 0.23.4, psislw(log_w, normalize=False) of log_w = N(0, sd): k, and of the smoothed log-weights in descending
# order the first, the third, the last of the tail, and the sum of the tail.
SMOOTHED = {
    (50, 0.5): (0.095812371, 0.833214264, 0.791030813, 0.414193002, 6.261520882),
    (50, 1): (0.447873577, 2.262116929, 1.545695544, 0.954759180, 13.598094502),
    (50, 3): (1.134810587, 6.848094634, 4.924111780, 2.840703293, 42.581849352),
    (50, 10): (2.443534762, 19.389557743, 15.423677181, 10.170651179, 139.570422899),
    (50, 30): (5.527197921, 53.211384177, 44.315232386, 35.540243456, 417.616184037),
    (100, 0.5): (-0.062146433, 1.295960996, 1.294035034, 0.483817146, 17.445297636),
    (100, 1): (0.095722575, 1.935528602, 1.853425288, 0.928115424, 27.325682361),
    (100, 3): (1.335289884, 8.583271229, 6.395211038, 2.590800926, 91.480193289),
    (100, 10): (3.886330406, 23.480512194, 19.754007332, 10.130700447, 301.932741339),
    (100, 30): (6.733717920, 61.679935081, 50.842433341, 35.164160332, 865.089525532),
    (300, 0.5): (0.059800257, 1.595053241, 1.411209249, 0.598093978, 46.508177844),
    (300, 1): (0.463843406, 2.968056078, 2.423222110, 0.864988966, 71.925911775),
    (300, 3): (1.117353450, 8.439417545, 6.633525320, 2.953679855, 219.530604765),
    (300, 10): (3.845229659, 29.242750910, 23.054088016, 10.711140011, 783.800175429),
    (300, 30): (9.762795968, 74.374321594, 58.661707631, 26.814427187, 2006.319079695),
    (1000, 0.5): (0.036777192, 1.597506765, 1.377938585, 0.650646991, 83.475442930),
    (1000, 1): (0.187254689, 2.908834702, 2.683670080, 1.299857208, 165.721717072),
    (1000, 3): (1.214698379, 10.637023142, 8.679967943, 4.048478184, 510.835259741),
    (1000, 10): (4.396130361, 32.715290878, 28.448128468, 12.340476302, 1594.262514598),
    (1000, 30): (9.525068712, 91.927905968, 78.367445283, 40.990353886, 5038.753547660),
    (10000, 0.5): (-0.033653536, 1.774780360, 1.648944426, 0.944579073, 339.771800863),
    (10000, 1): (0.192877711, 3.741227592, 3.449235558, 1.884444806, 683.958659146),
    (10000, 3): (1.086090651, 10.905760102, 10.905760102, 5.617188230, 2035.747754076),
    (10000, 10): (3.578450564, 34.759640795, 34.759640795, 18.510560925, 6700.312843394),
    (10000, 30): (9.816507056, 121.418446039, 105.619387415, 56.249661974, 20489.916936564),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("num_samples", "sd"), SMOOTHED)
def test_smoothed_weights_equal_arviz(num_samples: int, sd: float, dtype: torch.dtype) -> None:
    log_w = torch.from_numpy(np.random.RandomState(num_samples + int(10 * sd)).normal(0, sd, num_samples)).to(dtype)
    found = psis(log_w)
    size = math.ceil(min(num_samples / 5, 3 * math.sqrt(num_samples)))
    tail = found.log_w.sort(descending=True).values[:size].double()
    got = [found.k.item(), *tail[[0, 2, size - 1]].tolist(), tail.sum().item()]
    # arviz's numbers have nine digits after the point, and float32 seven in all.
    exact = dtype == torch.float64
    assert got == pytest.approx(SMOOTHED[num_samples, sd], abs=1e-8 if exact else 1e-4, rel=1e-9 if exact else 1e-4)
    assert found.threshold.item() == pytest.approx(tail_index_threshold(num_samples))
    order, below = log_w.argsort(descending=True), log_w.sort(descending=True).values[size:]
    assert torch.equal(found.log_w[order[size:]], below)  # all others stay
    assert bool((found.log_w[order].diff() <= 0).all())  # in their order
    assert found.log_w.max() <= log_w.max()


def test_smoothed_weights_keep_their_level_and_their_places() -> None:
    log_w = seeded_normal(200, 3, scale=3)
    found, moved = psis(log_w), psis(log_w + torch.tensor([0.0, 1e3, -1e3]))
    assert_exact(moved.log_w - torch.tensor([0.0, 1e3, -1e3]), found.log_w, rtol=1e-10)
    assert_exact(moved.k, found.k, rtol=1e-10)
    assert_exact(found.k, pareto_tail_index(log_w))


def test_smoothing_leaves_what_has_no_tail() -> None:
    huge = torch.zeros(100).double()
    huge[7] = 1e4
    for log_w in (torch.zeros(100), torch.full((100,), -math.inf), huge, TIES["too few above the others"][0]):
        log_w = log_w.clone().requires_grad_()
        found = psis(log_w)
        assert torch.equal(found.log_w, log_w)
        assert not found.k.isfinite()
        (gradient,) = torch.autograd.grad(found.log_w.sum(), log_w)
        assert torch.equal(gradient, torch.ones_like(log_w))


def test_smoothing_ties_and_what_underflows() -> None:
    for name in ("whole numbers", "three quarters minus infinity", "underflow", "three values"):
        log_w = TIES[name][0].clone().requires_grad_()
        found = psis(log_w)
        assert not found.log_w.isnan().any()
        assert torch.equal(found.log_w.isneginf(), log_w.isneginf())
        (gradient,) = torch.autograd.grad(found.log_w[log_w.isfinite()].sum(), log_w)
        assert gradient.isfinite().all()


def test_smoothed_means_have_less_error() -> None:
    # Weights of index 0.7: the mean is 1 / (1 - 0.7), and has infinite variance.
    uniform = torch.rand(400, 500, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    log_w = -0.7 * uniform.log()
    error = {
        name: (each.exp().mean(dim=0) - 1 / 0.3).square().mean().sqrt().item()
        for name, each in (("plain", log_w), ("smoothed", psis(log_w).log_w))
    }
    assert error["smoothed"] < 0.9 * error["plain"]


def test_few_samples_have_no_tail_to_smooth() -> None:
    message = r"^log_w: expected at least 21 samples along axis 1, of which 5 are the tail, got 20$"
    with pytest.raises(ValueError, match=message):
        psis(torch.zeros(3, 20), dim=1)
    there = torch.arange(40)[:, None] < torch.tensor([40, 20])
    log_w = seeded_normal(40, 2)
    found = psis(log_w, where=there)
    assert found.k.isinf().tolist() == [False, True]
    assert torch.equal(found.log_w[:, 1], log_w[:, 1])
    assert_exact(found.threshold, torch.tensor([tail_index_threshold(each) for each in (40, 20)], dtype=torch.float64))


@pytest.mark.parametrize("size", [1e-14, 1e-8, 0.99e-4, 1.01e-4, 0.5])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("num_tail", [5, 95, 96, 300])
def test_products_are_as_exact_as_a_logarithm_of_each(size: float, sign: int, num_tail: int) -> None:
    x = seeded_normal(3, num_tail, scale=2).exp().sort(dim=1, descending=True).values
    theta = sign * size / x[:, :1]
    powers = (1 / x[:, :1] - theta)[..., None].pow(torch.arange(_generalized_pareto._DEGREE + 1)[:, None])
    expected = torch.log1p(-theta * x).sum(dim=1, keepdim=True)
    # Above the threshold it is off by the rounding of sums of some hundred, 1e-14, over 1e-4.
    assert_exact(_generalized_pareto.log_sums(theta, powers, x), expected, rtol=1e-9, atol=0)


def test_the_largest_are_found_by_either_way() -> None:
    log_w = seeded_normal(5, 200)
    log_w[0, :150], log_w[1, 3], log_w[2] = 1.0, math.nan, -math.inf
    mapped = torch.func.vmap(lambda row: pareto._places(row[None], 30)[0])(log_w)  # where NumPy cannot go
    found = [log_w.gather(1, places) for places in (pareto._places(log_w, 30), mapped)]
    torch.testing.assert_close(*found, rtol=0, atol=0, equal_nan=True)
    assert found[0][1, 0].isnan()
    assert torch.equal(found[0][3:], log_w[3:].sort(dim=1, descending=True).values[:, :30])
