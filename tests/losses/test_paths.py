"""Paths from data (t = 0) to noise (t = 1), and what a network is to predict."""

import math

import pytest
import torch

from skfm_lib.losses import ddpm, otfm
from skfm_lib.utils.errors import SkfmError

X_0, EPS = torch.randn(2, 5, 2, 3, 3, 3, generator=torch.Generator().manual_seed(1))
X_0, EPS = X_0.double(), EPS.double()


def at(t):
    return torch.full((5,), t, dtype=torch.float64)


def test_flow_goes_from_data_to_noise():
    assert torch.equal(otfm.path(X_0, EPS, at(0.0))[0], X_0)
    assert torch.equal(otfm.path(X_0, EPS, at(1.0))[0], EPS)


def test_velocity_is_the_derivative_of_the_path():
    for t in (0.1, 0.5, 0.9):
        after, before = (otfm.path(X_0, EPS, at(t + h))[0] for h in (1e-4, -1e-4))
        assert torch.allclose((after - before) / 2e-4, otfm.path(X_0, EPS, at(t))[1])


@pytest.mark.parametrize("objective", [otfm, ddpm])
def test_every_sample_has_its_own_time(objective):
    times = torch.tensor([1, 75, 150, 299, 300]) / 300
    z_t, target = objective.path(X_0.float(), EPS.float(), times)
    assert z_t.dtype == torch.float32 and z_t.shape == target.shape == X_0.shape
    for i in range(5):
        one = objective.path(X_0[i, None], EPS[i, None], times[i, None])[0]
        assert torch.allclose(z_t[i, None].double(), one, atol=1e-6)


def test_alpha_bar_falls_from_one_to_nearly_nothing():
    kept = ddpm.alpha_bar()
    assert kept.shape == (301,) and kept.dtype == torch.float64
    assert kept[0] == 1 and (kept.diff() < 0).all() and 0 < kept[-1] < 1e-6


def test_alpha_bar_is_the_cosine_of_nichol_and_dhariwal():
    for steps in (50, 300, 1000):
        kept = ddpm.alpha_bar(steps).tolist()
        f = [
            math.cos((tau / steps + 0.008) / 1.008 * math.pi / 2) ** 2
            for tau in range(steps + 1)
        ]
        for tau in range(steps):
            assert kept[tau] == pytest.approx(f[tau] / f[0], rel=1e-9)
        # The last β would be 1 and is held at 0.9999.
        assert kept[-1] == pytest.approx(kept[-2] * 1e-4, rel=1e-9)


def test_diffusion_path_mixes_by_alpha_bar_and_preserves_variance():
    kept = ddpm.alpha_bar()
    tau = torch.arange(301)
    one, none = torch.ones(301, 1).double(), torch.zeros(301, 1).double()
    signal = ddpm.path(one, none, tau / 300)[0].squeeze()
    noise = ddpm.path(none, one, tau / 300)[0].squeeze()
    assert torch.allclose(signal.square(), kept)
    assert torch.allclose(signal.square() + noise.square(), one.squeeze())


def test_diffusion_starts_at_data_and_asks_for_the_noise():
    z_0, target = ddpm.path(X_0, EPS, at(0.0))
    assert torch.equal(z_0, X_0) and torch.equal(target, EPS)
    z_1, _ = ddpm.path(X_0, EPS, at(1.0))
    assert (z_1 - EPS).abs().max() < 1e-2


def test_diffusion_can_ask_for_a_velocity():
    kept = ddpm.alpha_bar()[120].item()
    z_t, v = ddpm.path(X_0, EPS, at(0.4), prediction="v")
    assert torch.equal(z_t, ddpm.path(X_0, EPS, at(0.4))[0])  # on the same path
    assert torch.allclose(v, kept**0.5 * EPS - (1 - kept) ** 0.5 * X_0)
    # It is the derivative of the path by its angle, √ᾱ = cos φ.
    turned = math.acos(kept**0.5) + 1e-6
    after = math.cos(turned) * X_0 + math.sin(turned) * EPS
    assert torch.allclose((after - z_t) / 1e-6, v, atol=1e-4)
    assert torch.equal(ddpm.path(X_0, EPS, at(0.0), prediction="v")[1], EPS)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize("timesteps", [50, 300, 1000])
def test_a_perfect_prediction_gives_back_data_and_noise(prediction, timesteps):
    kept = ddpm.alpha_bar(timesteps)
    for tau in (0, 1, timesteps // 2, timesteps - 1, timesteps):
        t = at(tau / timesteps)
        z_t, target = ddpm.path(X_0, EPS, t, timesteps, prediction)
        found = ddpm.data_and_noise(z_t, target, kept[tau].item(), prediction)
        for one, truth in zip(found, (X_0, EPS)):
            assert torch.allclose(one, truth, atol=1e-9)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_an_error_is_amplified_by_the_division_only(prediction):
    for tau in (30, 150, 299, 300):
        kept = ddpm.alpha_bar()[tau].item()
        z_t, target = ddpm.path(X_0, EPS, at(tau / 300), prediction=prediction)
        x_0, _ = ddpm.data_and_noise(z_t, target + 0.1, kept, prediction)
        factor = (1 - kept) ** 0.5 / (kept**0.5 if prediction == "epsilon" else 1)
        assert torch.allclose(X_0 - x_0, torch.tensor(0.1 * factor).double())


@pytest.mark.parametrize("timesteps", [1, 50, 1000])
def test_the_path_has_as_many_times_as_it_is_given(timesteps):
    kept = ddpm.alpha_bar(timesteps)
    tau = torch.arange(timesteps + 1)
    one, none = torch.ones(timesteps + 1, 1).double(), torch.zeros(timesteps + 1, 1)
    given = one, none.double(), tau.double() / timesteps, timesteps
    signal = ddpm.path(*given)[0].squeeze()
    assert torch.allclose(signal.square(), kept)
    assert signal[0] == 1 and 0 < signal[-1] < 0.02 and (signal.diff() < 0).all()
    assert len(signal.unique()) == timesteps + 1


def test_other_predictions_are_refused():
    with pytest.raises(SkfmError, match="prediction 'x'; expected epsilon or v"):
        ddpm.path(X_0, EPS, at(0.5), prediction="x")
    with pytest.raises(SkfmError, match="prediction 'x'"):
        ddpm.data_and_noise(X_0, EPS, 0.5, "x")
