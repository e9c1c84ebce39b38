"""Solvers of dz/dt = v(z, t) from noise (t = 1) to data (t = 0) (paper §3.1).

`velocity(z, t)` gives the field at state z and time t (a float).  All take uniform
steps; Euler costs one evaluation a step, midpoint and Heun two.
"""

from collections.abc import Callable

from torch import Tensor

from skfm_lib.errors import SkfmError

Field = Callable[[Tensor, float], Tensor]


def euler(velocity: Field, z: Tensor, steps: int) -> Tensor:
    """z ← z − v(z, t)/S, S times: the paper's sampler; first order."""
    for i in range(_positive(steps)):
        z = z - velocity(z, 1 - i / steps) / steps
    return z


def midpoint(velocity: Field, z: Tensor, steps: int) -> Tensor:
    """z ← z − v(z − v(z, t)/2S, t − 1/2S)/S; second order."""
    for i in range(_positive(steps)):
        t = 1 - i / steps
        middle = z - velocity(z, t) / (2 * steps)
        z = z - velocity(middle, t - 0.5 / steps) / steps
    return z


def heun(velocity: Field, z: Tensor, steps: int) -> Tensor:
    """The mean of the velocities at both ends of the step; second order."""
    for i in range(_positive(steps)):
        v = velocity(z, 1 - i / steps)
        end = velocity(z - v / steps, 1 - (i + 1) / steps)
        z = z - (v + end) / (2 * steps)
    return z


def _positive(steps: int) -> int:
    if steps < 1:
        raise SkfmError(f"{steps} sampling steps", "at least 1")
    return steps
