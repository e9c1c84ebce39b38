"""Solvers of the flow, against fields whose flow is known."""

import math

import pytest
import torch

from skfm_lib.losses import otfm
from skfm_lib.samplers import euler, heun, midpoint, shortcut
from skfm_lib.utils.errors import SkfmError

SOLVERS = (euler, midpoint, heun)
STEPS = (1, 2, 3, 7, 50, 300)
X_0, EPS = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2)).double()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", STEPS)
def test_a_constant_field_is_followed_from_noise_to_data(solver, steps):
    velocity = otfm.path(X_0, EPS, torch.ones(4).double())[1]
    end = solver(lambda z, t: velocity, EPS, steps)
    assert torch.allclose(end, X_0, atol=1e-12)


@pytest.mark.parametrize("steps", STEPS)
def test_euler_lands_on_the_data_of_straight_lines(steps):
    end = euler(lambda z, t: (z - X_0) / t, EPS, steps)
    assert torch.allclose(end, X_0, atol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", STEPS)
def test_the_time_steps_sum_to_one(solver, steps):
    end = solver(lambda z, t: torch.ones(1).double(), torch.zeros(1).double(), steps)
    assert end.item() == pytest.approx(-1, abs=1e-12)


@pytest.mark.parametrize(
    ("solver", "times"),
    [
        (euler, [1, 0.75, 0.5, 0.25]),
        (midpoint, [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        (heun, [1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0]),
    ],
)
def test_where_the_network_is_asked(solver, times):
    asked = []

    def velocity(z, t):
        asked.append(t)
        return torch.zeros_like(z)

    solver(velocity, EPS, 4)
    assert asked == pytest.approx(times)


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (midpoint, 2), (heun, 2)])
def test_order_of_convergence(solver, order):
    # dz/dt = −t z² has 1/z = t²/2 + 3/2 through z(1) = 1/2; so z(0) = 2/3.
    start = torch.tensor([0.5]).double()
    errors = [
        abs(solver(lambda z, t: -t * z**2, start, steps).item() - 2 / 3)
        for steps in (40, 80, 160)
    ]
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:])]
    assert orders == pytest.approx([order, order], abs=0.1)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_start_is_left_as_it_was(solver):
    start = EPS.clone()
    solver(lambda z, t: z, start, 3)
    assert torch.equal(start, EPS)


@pytest.mark.parametrize("shift", [0.3, 1.0, 2.8])
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_a_shifted_grid_still_goes_from_noise_to_data(steps, shift):
    for solver in SOLVERS:
        velocity = otfm.path(X_0, EPS, torch.ones(4).double())[1]
        end = solver(lambda z, t, v=velocity: v, EPS, steps, shift=shift)
        assert torch.allclose(end, X_0, atol=1e-12)
    straight = euler(lambda z, t: (z - X_0) / t, EPS, steps, shift=shift)
    assert torch.allclose(straight, X_0, atol=1e-12)


def test_a_shift_moves_the_grid_towards_the_noise():
    def asked(solver, shift):
        times = []
        solver(lambda z, t: times.append(t) or z, EPS, 4, shift=shift)
        return times

    # s t / (1 + (s − 1) t) at t = 1, 3/4, 1/2, 1/4 with s = 3, and s = 1/3 reversed.
    assert asked(euler, 3.0) == pytest.approx([1, 9 / 10, 3 / 4, 1 / 2])
    assert asked(euler, 1 / 3) == pytest.approx([1, 1 / 2, 1 / 4, 1 / 10])
    assert asked(midpoint, 3.0)[1::2] == pytest.approx([0.95, 0.825, 0.625, 0.25])
    assert asked(heun, 3.0)[1::2] == pytest.approx([9 / 10, 3 / 4, 1 / 2, 0])
    assert asked(euler, 1.0) == [1, 0.75, 0.5, 0.25]


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (midpoint, 2), (heun, 2)])
def test_a_shift_keeps_the_order_of_convergence(solver, order):
    start = torch.tensor([0.5]).double()
    errors = [
        abs(solver(lambda z, t: -t * z**2, start, n, shift=0.5).item() - 2 / 3)
        for n in (40, 80, 160)
    ]
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:])]
    assert orders == pytest.approx([order, order], abs=0.1)


@pytest.mark.parametrize("shift", [0.0, -1.0, math.nan, math.inf])
def test_a_shift_must_be_a_positive_number(shift):
    with pytest.raises(SkfmError, match="time shift"):
        euler(lambda z, t: z, EPS, 2, shift=shift)


def test_a_shortcut_receives_its_step_size():
    seen = []

    def velocity(z, t, d):
        seen.append((t, d))
        return EPS - X_0

    assert torch.allclose(shortcut(velocity, EPS, 4), X_0, atol=1e-12)
    assert seen == [(1, 0.25), (0.75, 0.25), (0.5, 0.25), (0.25, 0.25)]
    seen.clear()
    end = shortcut(velocity, EPS, 2, start=0.8, end=0.4)
    assert torch.allclose(end, EPS - 0.4 * (EPS - X_0), atol=1e-12)
    assert [x for pair in seen for x in pair] == pytest.approx([0.8, 0.2, 0.6, 0.2])


@pytest.mark.parametrize("start", [1.0, 0.8])
@pytest.mark.parametrize("steps", [1, 2, 8])
def test_exact_steps_of_a_gaussian_end_at_its_data_in_any_number(start, steps):
    mean, spread = 0.7, 1.6

    def deviation(t):
        return math.hypot((1 - t) * spread, t)

    def velocity(z, t, d):
        along = deviation(t - d) / deviation(t) * (z - (1 - t) * mean)
        return (z - (1 - t + d) * mean - along) / d

    z = (1 - start) * mean + deviation(start) * EPS
    end = shortcut(velocity, z, steps, start=start)
    assert torch.allclose(end, mean + spread * EPS, atol=1e-12)
    many = euler(lambda z, t: velocity(z, t, 1e-7), z, 4000, start=start)
    assert torch.allclose(many, end, atol=2e-3)
