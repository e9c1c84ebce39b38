"""Shortcut targets, against fields whose two half-steps are known."""

from collections import Counter

import pytest
import torch

from skfm_lib.losses import otfm, shortcut
from skfm_lib.samplers import euler

X_0, EPS = torch.randn(2, 6, 2, 3, 3, 3, generator=torch.Generator().manual_seed(1))
X_0, EPS = X_0.double(), EPS.double()
D = torch.tensor([1, 1 / 2, 1 / 4, 1 / 8, 1 / 32, 1 / 64]).double()
T = torch.tensor([1, 1 / 2, 3 / 4, 1, 5 / 32, 1 / 64]).double()


def per_sample(x):
    return x.view(-1, 1, 1, 1, 1)


def test_on_straight_lines_the_target_is_the_velocity():
    z_t, u = otfm.path(X_0, EPS, T)
    for velocity in (
        lambda z, t, d: u,
        # Of one skull: every z moves straight on to it, v = (z − x_0)/t.
        lambda z, t, d: (z - X_0) / per_sample(t),
    ):
        assert torch.allclose(shortcut.target(velocity, z_t, T, D), u, atol=1e-12)


def test_of_a_linear_field_the_target_is_the_mean_of_two_steps():
    # v = a z: z goes to (1 − a d/2) z, so the mean is a (1 − a d/4) z.
    a = 0.7
    found = shortcut.target(lambda z, t, d: a * z, EPS, T, D)
    assert torch.allclose(found, a * (1 - a * per_sample(D) / 4) * EPS, atol=1e-12)


def test_half_steps_are_taken_at_their_own_times_towards_the_data():
    # v = t: at t and t − d/2, hence t − d/4 on average.
    asked = []

    def velocity(z, t, d):
        asked.append((z, t, d))
        return per_sample(t).expand_as(z)

    found = shortcut.target(velocity, EPS, T, D)
    assert torch.allclose(found, per_sample(T - D / 4).expand_as(EPS), atol=1e-12)
    (start, first, half), (middle, second, other) = asked
    assert torch.equal(start, EPS) and torch.equal(first, T)
    assert torch.equal(second, T - D / 2) and torch.equal(half, D / 2)
    assert torch.equal(other, half)
    assert torch.allclose(middle, EPS - per_sample(D / 2 * T), atol=1e-12)


@pytest.mark.parametrize("start", [1, 0.8, 0.3])
def test_the_exact_steps_of_a_gaussian_are_their_own_target(start):
    # Data N(m, σ²): z_t has the mean (1 − t) m and the variance (1 − t)² σ² + t², and
    # the flow keeps a skull's distance from the mean in standard deviations.
    mean, spread = 0.7, 1.6

    def moved(z, t, after):
        of = [((1 - t) * spread) ** 2 + t**2 for t in (t, after)]
        return (1 - after) * mean + (of[1] / of[0]) ** 0.5 * (z - (1 - t) * mean)

    def velocity(z, t, d):
        t, d = per_sample(t), per_sample(d)
        return (z - moved(z, t, t - d)) / d

    t, d = start * T, start * D
    found = shortcut.target(velocity, EPS, t, d)
    assert torch.allclose(found, velocity(EPS, t, d), atol=1e-12)
    half = velocity(EPS, t, d / 2)
    assert (found - half).abs().amax(dim=(1, 2, 3, 4)).min() > 1e-5


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_one_leap_ends_where_two_euler_steps_do(steps):
    def field(z, t):
        return z.sin() + t**2

    def velocity(z, t, d):
        return field(z, per_sample(t))

    two = euler(field, EPS, 2 * steps)
    z, d = EPS, torch.full((6,), 1 / steps).double()
    for i in range(steps):
        z = z - shortcut.target(velocity, z, 1 - i * d, d) / steps
    assert torch.allclose(z, two, atol=1e-12)


def test_no_gradient_flows_into_a_target():
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    assert not shortcut.target(lambda z, t, d: weight * z, EPS, T, D).requires_grad


@pytest.mark.parametrize(("batch", "often"), [(8, 2.0), (1, 0.25), (6, 1.5)])
def test_a_quarter_of_the_samples_leap(batch, often):
    rng = torch.Generator().manual_seed(0)
    drawn = [shortcut.times_and_steps(batch, rng)[1] for _ in range(2000)]
    leaping = torch.stack(drawn).gt(shortcut.SMALLEST).sum(dim=1).double()
    assert leaping.mean().item() == pytest.approx(often, abs=0.05)
    assert leaping.max() - leaping.min() <= 1


@pytest.mark.parametrize("start", [1, 0.8, 0.3])
def test_times_are_on_the_grid_of_their_step(start):
    rng = torch.Generator().manual_seed(0)
    t, d = shortcut.times_and_steps(60_000, rng, start)
    assert t.dtype == torch.float32
    assert torch.allclose(t / d, (t / d).round(), rtol=1e-6)
    assert (t >= d).all() and t.max() == torch.tensor(float(start))
    counts = Counter((d / start).tolist())
    assert list(sorted(counts)) == pytest.approx([2.0**-k for k in range(7, -1, -1)])
    leaps = [n for size, n in counts.items() if size > 1.1 * shortcut.SMALLEST]
    assert sum(leaps) == 15_000 and min(leaps) > 0.9 * 15_000 / 7
    assert shortcut.is_larger(d, start).sum() == 15_000
    for size in (1 / 4, 1 / 128):  # t is uniform on the multiples of d
        own = torch.isclose(d, torch.tensor(start * size))
        found = torch.bincount((t[own] / d[own]).round().long())[1:].double()
        assert len(found) == 1 / size
        expected = found.mean()
        assert ((found - expected).abs() < 5 * expected.sqrt()).all()
