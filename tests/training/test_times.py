"""The distribution of training times against SciPy's; the matching sampler shift."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from skfm_lib.samplers import euler
from skfm_lib.training.times import logit_normal
from skfm_lib.utils.seeding import generator

FINE = 10**6  # T so large that rounding to the grid does not show


@pytest.mark.parametrize("mean", [-0.5, 0.0, 0.59, 2.0])
def test_every_stratum_has_one_time(mean):
    t = logit_normal(64, mean, FINE, generator(mean)).double()
    quantiles = stats.norm.cdf(torch.logit(t).numpy(), loc=mean)
    middles = np.arange(64) + 0.5
    assert abs(64 * np.sort(quantiles) - middles).max() < 0.501  # 0.001: float32
    assert not torch.equal(t, t.sort().values)  # shuffled


@pytest.mark.parametrize("count", [1, 3])
def test_a_single_time_of_a_batch_is_logit_normal(count):
    rng = generator("single", count)
    first = [logit_normal(count, 0.59, FINE, rng)[0].item() for _ in range(2000)]
    logits = torch.logit(torch.tensor(first, dtype=torch.float64))
    assert stats.kstest(logits.numpy(), stats.norm(0.59).cdf).pvalue > 0.01


def test_stratified_times_have_a_smaller_variance_of_the_mean():
    rng = generator("variance")
    strata = torch.stack([logit_normal(8, 0.0, FINE, rng) for _ in range(500)])
    alone = torch.stack([logit_normal(1, 0.0, FINE, rng) for _ in range(4000)])
    assert strata.mean(1).var() < 0.2 * alone.view(500, 8).mean(1).var()


@pytest.mark.parametrize("mean", [-8.0, 0.0, 8.0])
def test_times_lie_on_the_grid(mean):
    t = logit_normal(500, mean, 20, generator("grid"))
    tau = t.double() * 20
    assert torch.allclose(tau, tau.round(), atol=1e-5)
    assert 1 <= tau.round().min() and tau.round().max() <= 20
    assert (t == (1.0 if mean > 0 else 0.05)).float().mean() > 0.9 or mean == 0


@pytest.mark.parametrize("start", [0.3, 0.8])
def test_times_beyond_the_start_are_left_out_and_the_others_keep_their_law(start):
    t = logit_normal(4000, 0.6, FINE, generator("start"), start).double()
    assert t.max() <= start + 1e-6
    law = stats.truncnorm(-np.inf, np.log(start / (1 - start)) - 0.6, loc=0.6)
    assert stats.kstest(torch.logit(t).numpy(), law.cdf).pvalue > 0.01


def test_a_shift_of_a_sampler_adds_its_logarithm_to_the_logit():
    def times(shift):
        seen = []
        euler(lambda z, t: seen.append(t) or z, torch.zeros(1), 10, shift=shift)
        return torch.logit(torch.tensor(seen[1:], dtype=torch.float64))

    moved = times(math.exp(0.59)) - times(1.0)
    assert torch.allclose(moved, torch.full_like(moved, 0.59))
