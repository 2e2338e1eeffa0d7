"""REINFORCE, enumerated over every tuple of samples: unbiased to rounding."""

import pytest
import torch

from discrete_gan.estimators import Reinforce, leave_one_out_loss, reinforce_loss
from discrete_gan.estimators.reinforce import Baseline
from tests.problems import PROBLEMS, Problem, Replay, TableGenerator, assert_exact, sample_gradient, seeded_normal

ALL = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


@ALL
@pytest.mark.parametrize("num_samples", [1, 2, 3])
@pytest.mark.parametrize("average", [0.0, 0.7, -3.0])
def test_unbiased_with_any_fixed_baseline(problem: Problem, num_samples: int, average: float) -> None:
    estimator = Reinforce(num_samples, baseline="moving-average").double()
    estimator.average.fill_(average)
    tuples = problem.all_tuples(estimator, num_samples)
    assert_exact(tuples.mean, problem.reverse_kl_gradient())


@ALL
@pytest.mark.parametrize("num_samples", [2, 3])
def test_leave_one_out_is_unbiased_and_none_too(problem: Problem, num_samples: int) -> None:
    for baseline in ("none", "leave-one-out"):
        tuples = problem.all_tuples(Reinforce(num_samples, baseline=baseline), num_samples)
        assert_exact(tuples.mean, problem.reverse_kl_gradient())


@ALL
@pytest.mark.parametrize("baseline", ["none", "moving-average", "leave-one-out"])
def test_unbiased_for_the_non_saturating_objective(problem: Problem, baseline: Baseline) -> None:
    estimator = Reinforce(2, baseline=baseline, objective="non-saturating").double()
    estimator.average.fill_(0.7)
    assert_exact(problem.all_tuples(estimator, 2).mean, sample_gradient(problem, "non-saturating"))


@ALL
def test_variance_of_the_mean_falls_with_the_number_of_samples(problem: Problem) -> None:
    variance = [problem.all_tuples(Reinforce(m, baseline="none"), m).variance for m in (1, 2, 3)]
    assert_exact(variance[1], variance[0] / 2)
    assert_exact(variance[2], variance[0] / 3)


def test_leave_one_out_of_two_samples_by_hand() -> None:
    reward, log_prob = seeded_normal(2, 3), seeded_normal(2, 3, seed=1)
    difference = reward[0] - reward[1]
    expected = -0.5 * difference * (log_prob[0] - log_prob[1])
    assert_exact(leave_one_out_loss(reward, log_prob), expected)


def test_leave_one_out_equals_its_definition() -> None:
    reward, log_prob = seeded_normal(5, 3), seeded_normal(5, 3, seed=1)
    others = torch.stack([torch.cat([reward[:m], reward[m + 1 :]]).mean(dim=0) for m in range(5)])
    expected = -((reward - others) * log_prob).mean(dim=0)
    assert_exact(leave_one_out_loss(reward, log_prob), expected)
    assert_exact(leave_one_out_loss(reward + 9, log_prob), expected)


def test_gradients_reach_the_log_probability_only() -> None:
    reward, baseline = seeded_normal(4, 3).requires_grad_(), seeded_normal(3, seed=2).requires_grad_()
    log_prob = seeded_normal(4, 3, seed=1).requires_grad_()
    (reinforce_loss(reward, log_prob, baseline=baseline) + leave_one_out_loss(reward, log_prob)).sum().backward()
    assert reward.grad is None
    assert baseline.grad is None
    assert log_prob.grad is not None


def test_moving_average_is_used_as_it_was_and_updated_after() -> None:
    decay = 0.8
    estimator = Reinforce(4, baseline="moving-average", decay=decay).double()
    problem = PROBLEMS["binary D=4"]
    generator, discriminator = TableGenerator(seeded_normal(3, 4)), problem.discriminator()
    z, average = torch.arange(3), 0.0
    for _ in range(3):
        g = generator(z)
        x = g.sample((4,))
        reward = discriminator(x).detach()
        loss = estimator(Replay(generator, x), discriminator, z)
        assert_exact(loss, -((reward - average) * g.log_prob(x)).mean(dim=0))
        average = decay * average + (1 - decay) * reward.mean().item()
        assert estimator.average.item() == pytest.approx(average, rel=1e-12)
    assert estimator.state_dict().keys() == {"average"}


def test_losses_before_the_backward_pass_survive_the_update() -> None:
    estimator = Reinforce(4, baseline="moving-average")
    problem = PROBLEMS["binary D=4"]
    generator, discriminator = TableGenerator(seeded_normal(3, 4)), problem.discriminator()
    losses = [estimator(generator, discriminator, torch.arange(3)) for _ in range(2)]
    torch.stack(losses).sum().backward()  # an average updated in place would make autograd refuse


def test_errors_name_the_argument() -> None:
    for loss in (reinforce_loss, leave_one_out_loss):
        with pytest.raises(ValueError, match=r"^log_prob: expected the shape of reward, \(4, 3\), got \(4, 1\)"):
            loss(torch.zeros(4, 3), torch.zeros(4, 1))
        with pytest.raises(ValueError, match=r"^reward: expected shape \(M, B\)"):
            loss(torch.zeros(4), torch.zeros(4))
    with pytest.raises(ValueError, match=r"^reward.*at least 2, got 1: leave-one-out needs another sample"):
        leave_one_out_loss(torch.zeros(1, 3), torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"^num_samples: expected at least 2, got 1: leave-one-out needs"):
        Reinforce(1)
    with pytest.raises(ValueError, match=r"^num_samples: expected at least 1, got 0"):
        Reinforce(0, baseline="none")
    with pytest.raises(ValueError, match=r"^baseline: expected one of none, moving-average, leave-one-out"):
        Reinforce(baseline="mean")  # type: ignore[arg-type]
    for decay in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"^decay: expected a number from 0 to below 1"):
            Reinforce(decay=decay)
