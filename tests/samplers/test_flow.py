"""Solvers of the flow, against fields whose flow is known."""

import math

import pytest
import torch

from skfm_lib.losses import otfm
from skfm_lib.samplers import euler, heun, midpoint

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
