"""Diffusion samplers, against Bayes and against data whose noise is known."""

import pytest
import torch

from skfm_lib.losses.ddpm import TIMESTEPS, alpha_bar
from skfm_lib.samplers import ancestral, ddim
from skfm_lib.samplers.diffusion import posterior, schedule
from skfm_lib.utils.errors import SkfmError

KEPT = alpha_bar()
MEAN, SPREAD = 0.4, 0.3


def normals(count, seed=3):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, generator=rng, dtype=torch.float64)


def noise_of_gaussian(mean, spread, timesteps=TIMESTEPS):
    """The exact E[ε | z_τ] when the data are N(mean, spread²)."""
    levels = alpha_bar(timesteps)

    def noise(z, t):
        kept = levels[round(t * timesteps)].item()
        total = spread**2 * kept + 1 - kept
        x_0 = mean + spread**2 * kept**0.5 / total * (z - kept**0.5 * mean)
        return (z - kept**0.5 * x_0) / (1 - kept) ** 0.5

    return noise


@pytest.mark.parametrize(("now", "after"), [(300, 299), (300, 150), (100, 40), (7, 2)])
def test_posterior_is_the_product_of_two_gaussians(now, after):
    x_0, z = normals(2 * 50).view(2, 50)
    kept, kept_next = KEPT[now].item(), KEPT[after].item()
    alpha = kept / kept_next
    # q(z' | x_0) = N(√ᾱ' x_0, 1 − ᾱ'), times q(z | z') = N(√α z', 1 − α) in z'.
    precision = 1 / (1 - kept_next) + alpha / (1 - alpha)
    weighted = kept_next**0.5 / (1 - kept_next) * x_0 + alpha**0.5 / (1 - alpha) * z
    mean, variance = posterior(x_0, z, kept, kept_next)
    assert variance == pytest.approx(1 / precision, rel=1e-10)
    assert torch.allclose(mean, weighted / precision, rtol=1e-10)


def test_posterior_at_the_end_is_the_data():
    x_0, z = normals(2 * 50).view(2, 50)
    mean, variance = posterior(x_0, z, KEPT[1].item(), 1.0)
    assert variance == 0 and torch.allclose(mean, x_0)


def test_all_steps_are_the_textbook_loop():
    fresh = normals(TIMESTEPS * 8).view(TIMESTEPS, 8)

    def noise(z, t):
        return torch.sin(3 * z) * 0.5 + t

    z = start = normals(8, seed=4)
    for i, tau in enumerate(range(TIMESTEPS, 0, -1)):  # Ho et al. 2020, algorithm 2
        kept, kept_next = KEPT[tau], KEPT[tau - 1]
        beta = 1 - kept / kept_next
        mean = z - beta / (1 - kept).sqrt() * noise(z, tau / TIMESTEPS)
        z = mean / (1 - beta).sqrt()
        if tau > 1:
            z = z + (beta * (1 - kept_next) / (1 - kept)).sqrt() * fresh[i]
    got = ancestral(noise, start, TIMESTEPS, fresh=lambda i: fresh[i])
    assert torch.allclose(got, z, rtol=1e-6)


def test_the_schedule_reaches_from_noise_to_data_in_any_number_of_steps():
    for steps in (1, 2, 7, 50, 299, 300):
        visited = list(schedule(steps))
        assert len(visited) == steps
        assert visited[0][:2] == (1, KEPT[-1].item()) and visited[-1][2] == 1
        for (_, _, after), (t, now, _) in zip(visited, visited[1:]):
            assert now == after == KEPT[round(t * TIMESTEPS)].item()
        assert all(now < after for _, now, after in visited)


@pytest.mark.parametrize("steps", [1, 3, 50, 300])
@pytest.mark.parametrize("sampler", [ancestral, ddim])
def test_a_point_mass_is_recovered(sampler, steps):
    got = sampler(noise_of_gaussian(MEAN, 0.0), normals(20), steps)
    assert torch.allclose(got, torch.full_like(got, MEAN), atol=1e-6)


@pytest.mark.parametrize("sampler", [ancestral, ddim])
def test_a_gaussian_is_recovered(sampler):
    torch.manual_seed(0)
    got = sampler(noise_of_gaussian(MEAN, SPREAD), normals(20_000), TIMESTEPS)
    assert got.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert got.std().item() == pytest.approx(SPREAD, rel=0.03)


def test_ddim_follows_the_probability_flow():
    z = normals(100)
    got = ddim(noise_of_gaussian(MEAN, SPREAD), z, TIMESTEPS)
    assert torch.allclose(got, MEAN + SPREAD * z, atol=0.02)
    assert torch.equal(got, ddim(noise_of_gaussian(MEAN, SPREAD), z, TIMESTEPS))


@pytest.mark.parametrize("sampler", [ancestral, ddim])
def test_clipped_data_stay_within_the_bounds(sampler):
    def wild(z, t):
        return -5 * z

    z = normals(50)
    assert sampler(wild, z, 30).abs().max() > 1
    assert sampler(wild, z, 30, clip=(-1.0, 0.5)).aminmax() == (-1.0, 0.5)


@pytest.mark.parametrize("sampler", [ancestral, ddim])
def test_clipping_changes_nothing_within_the_bounds(sampler):
    fresh = normals(30 * 50).view(30, 50)
    more = {"fresh": lambda i: fresh[i]} if sampler is ancestral else {}
    noise = noise_of_gaussian(0.0, 0.1)
    free, held = (
        sampler(noise, normals(50), 30, clip=clip, **more) for clip in (None, (-9, 9))
    )
    assert torch.allclose(free, held)


@pytest.mark.parametrize("sampler", [ancestral, ddim])
@pytest.mark.parametrize("steps", [-1, 0, 301])
def test_impossible_numbers_of_steps_raise(sampler, steps):
    with pytest.raises(SkfmError, match="1 to 300"):
        sampler(noise_of_gaussian(0.0, 1.0), normals(3), steps)


def test_the_noise_follows_clipped_data():
    states = []

    def wild(z, t):
        states.append(z)
        return torch.full_like(z, -1e6)  # so that x̂_0 is clipped to 0.5 throughout

    ddim(wild, normals(50), 3, clip=(-1.0, 0.5))
    kept = [KEPT[tau].item() for tau in (300, 200, 100)]
    for z, after, a, b in zip(states, states[1:], kept, kept[1:]):
        eps = (z - a**0.5 * 0.5) / (1 - a) ** 0.5
        assert torch.allclose(after, b**0.5 * 0.5 + (1 - b) ** 0.5 * eps)


def velocity_of_gaussian(mean, spread, states=None, timesteps=TIMESTEPS):
    """The exact E[v | z_τ] of the same data; `states` collects where it is asked."""
    levels, states = alpha_bar(timesteps), [] if states is None else states

    def velocity(z, t):
        states.append(z)
        kept = levels[round(t * timesteps)].item()
        total = spread**2 * kept + 1 - kept
        x_0 = mean + spread**2 * kept**0.5 / total * (z - kept**0.5 * mean)
        eps = (1 - kept) ** 0.5 / total * (z - kept**0.5 * mean)  # E[ε | z]
        return kept**0.5 * eps - (1 - kept) ** 0.5 * x_0

    return velocity


@pytest.mark.parametrize("clip", [None, (-0.2, 0.9)])
@pytest.mark.parametrize("steps", [1, 20, 300])
@pytest.mark.parametrize("sampler", [ancestral, ddim])
def test_both_predictions_of_a_known_model_sample_the_same(sampler, steps, clip):
    fresh = normals(steps * 50).view(steps, 50)
    more = {"fresh": lambda i: fresh[i]} if sampler is ancestral else {}
    by_noise, by_velocity = [], []
    exact = noise_of_gaussian(MEAN, SPREAD)

    def noise(z, t):
        by_noise.append(z)
        return exact(z, t)

    velocity = velocity_of_gaussian(MEAN, SPREAD, by_velocity)
    a = sampler(noise, normals(50, 7), steps, clip, **more)
    b = sampler(velocity, normals(50, 7), steps, clip, prediction="v", **more)
    assert torch.allclose(a, b, atol=1e-8) and (steps == 1 or a.std() > 0.1)
    assert len(by_noise) == len(by_velocity) == steps
    for one, other in zip(by_noise, by_velocity):  # the same posterior at every step
        assert torch.allclose(one, other, atol=1e-8)


def test_a_prediction_taken_for_the_other_samples_something_else():
    noise = noise_of_gaussian(MEAN, SPREAD)
    wrong = ddim(noise, normals(200), 30, prediction="v")
    assert abs(wrong.mean().item() - MEAN) > 0.1


@pytest.mark.parametrize("timesteps", [1, 50, 1000])
def test_the_schedule_covers_every_time_of_another_number(timesteps):
    kept = alpha_bar(timesteps)
    visited = list(schedule(timesteps, timesteps))
    tau = [round(t * timesteps) for t, _, _ in visited]
    assert tau == list(range(timesteps, 0, -1))
    assert [now for _, now, _ in visited] == kept[1:].flip(0).tolist()
    assert [after for _, _, after in visited] == kept[:-1].flip(0).tolist()
    with pytest.raises(SkfmError, match=f"1 to {timesteps}"):
        list(schedule(timesteps + 1, timesteps))


@pytest.mark.parametrize("timesteps", [50, 1000])
def test_a_gaussian_is_recovered_over_another_number_of_times(timesteps):
    exact = velocity_of_gaussian(MEAN, SPREAD, timesteps=timesteps)
    given = {"prediction": "v", "timesteps": timesteps}
    got = ddim(exact, normals(100), timesteps, **given)
    assert torch.allclose(got, MEAN + SPREAD * normals(100), atol=0.05)
    short = ddim(exact, normals(100), 10, **given)
    assert torch.allclose(short, MEAN + SPREAD * normals(100), atol=0.2)


def test_a_lower_start_leaves_out_the_first_times():
    visited = list(schedule(3, start=0.5))
    assert [round(300 * t) for t, _, _ in visited] == [150, 100, 50]
    assert visited[-1][2] == 1
    for given in ((151, 300, 0.5), (1, 300, 1.1), (1, 300, 0.0)):
        with pytest.raises(SkfmError, match="diffusion steps from"):
            list(schedule(*given))
    seen = []

    def noise(z, t):
        seen.append(t)
        return z

    ancestral(noise, normals(3), 2, start=0.5)
    assert seen == [0.5, 0.25]
