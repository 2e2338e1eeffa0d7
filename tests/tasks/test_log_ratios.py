"""What log-ratios add to a log-likelihood, against enumeration."""

import math

import pytest
import torch

from discrete_gan.tasks.log_ratios import gain_scores


def test_the_gain_of_the_exact_log_ratio_is_the_divergence_to_the_data() -> None:
    """With log w = log p_data / p_g, Z is 1 and the gain is KL(p_data || p_g), here of samples in exact proportion."""
    p_data, p_g = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    log_w = (p_data / p_g).double().log()
    real = log_w.repeat_interleave((100 * p_data).round().long())
    # Every quarter of the generated samples in the same proportion.
    fake = log_w.repeat_interleave((100 * p_g).round().long()).repeat(4)
    gain, log_z, spread, effective, _ = gain_scores(real, fake, "p")
    assert gain.value == pytest.approx(float((p_data * log_w).sum()), abs=1e-6)
    assert log_z.value == pytest.approx(0, abs=1e-6)
    assert log_z.parts == pytest.approx([0] * 4, abs=1e-6)
    assert effective.value == pytest.approx(1 / float((p_g * log_w.exp().square()).sum()), rel=1e-6)
    assert spread.value == pytest.approx(float(fake.std()))
    weights = fake.exp()
    of_z = float(weights.std() / math.sqrt(len(weights)))
    of_data = float(real.std() / math.sqrt(len(real)))
    # 95 % of a normal law; the bootstrap of the data's mean is within a tenth of its standard error.
    assert gain.high - gain.value == pytest.approx(1.96 * math.hypot(of_z, of_data), rel=0.1)
    assert log_z.high - log_z.value == pytest.approx(1.96 * of_z, rel=0.01)


def test_an_offset_changes_no_gain() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(100), torch.randn(400)
    before, after = gain_scores(real, fake, "p"), gain_scores(real + 3, fake + 3, "p")
    assert after[0].value == pytest.approx(before[0].value, abs=1e-6)
    assert after[1].value == pytest.approx(before[1].value + 3, abs=1e-6)


def test_flat_and_heavy_log_ratios_are_told() -> None:
    torch.manual_seed(0)
    flat = gain_scores(0.01 * torch.randn(100), 0.01 * torch.randn(1000), "p")
    assert "flat" in flat[2].note
    assert "trusted" not in flat[0].note
    heavy = gain_scores(torch.zeros(100), 3 * -torch.rand(1000).log(), "p")  # Pareto weights of index 3
    assert "not to be trusted" in heavy[0].note
    assert "cannot be trusted" in heavy[4].note
