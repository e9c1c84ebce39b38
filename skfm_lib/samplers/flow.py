"""Solvers of dz/dt = v(z, t) from noise (t = 1) to data (t = 0) (paper §3.1).

``velocity(z, t)`` is the field at state z and time t (a float).  Euler evaluates it
once a step, midpoint and Heun twice.  Steps are uniform in t, or concentrated near the
noise by ``shift`` s > 1 and near the data by s < 1: t' = s t / (1 + (s − 1) t) (Esser
et al. 2024).  They lead from time `start`, of which z is the state, to `end`.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

from torch import Tensor

from skfm_lib.utils.errors import SkfmError

Field = Callable[[Tensor, float], Tensor]
Leap = Callable[[Tensor, float, float], Tensor]


def euler(
    velocity: Field,
    z: Tensor,
    steps: int,
    *,
    shift: float = 1.0,
    start: float = 1.0,
    end: float = 0.0,
) -> Tensor:
    """z ← z − h v(z, t), S times: the paper's sampler with h = 1/S; first order.

    >>> import torch
    >>> data, noise = torch.zeros(3), torch.ones(3)
    >>> euler(lambda z, t: noise - data, noise, steps=4)
    tensor([0., 0., 0.])
    """
    for t, after in _steps(steps, shift, start, end):
        z = z - (t - after) * velocity(z, t)
    return z


def midpoint(
    velocity: Field,
    z: Tensor,
    steps: int,
    *,
    shift: float = 1.0,
    start: float = 1.0,
    end: float = 0.0,
) -> Tensor:
    """z ← z − h v(z − h/2 v(z, t), t − h/2); second order."""
    for t, after in _steps(steps, shift, start, end):
        half = (t - after) / 2
        z = z - 2 * half * velocity(z - half * velocity(z, t), t - half)
    return z


def heun(
    velocity: Field,
    z: Tensor,
    steps: int,
    *,
    shift: float = 1.0,
    start: float = 1.0,
    end: float = 0.0,
) -> Tensor:
    """The mean of the velocities at both ends of the step; second order."""
    for t, after in _steps(steps, shift, start, end):
        v = velocity(z, t)
        last = velocity(z - (t - after) * v, after)
        z = z - (t - after) * (v + last) / 2
    return z


def shortcut(
    velocity: Leap,
    z: Tensor,
    steps: int,
    *,
    shift: float = 1.0,
    start: float = 1.0,
    end: float = 0.0,
) -> Tensor:
    """Euler steps of a field ``velocity(z, t, d)``, each with its own size d."""
    for t, after in _steps(steps, shift, start, end):
        z = z - (t - after) * velocity(z, t, t - after)
    return z


def _steps(
    steps: int, shift: float, start: float, end: float
) -> Iterator[tuple[float, float]]:
    """(t, t − h) of every step from t = `start` down to `end`."""
    if steps < 1:
        raise SkfmError(f"{steps} sampling steps", "at least 1")
    if not 0 < shift < float("inf"):
        raise SkfmError(f"time shift {shift}", "a positive number; 1 is uniform")
    uniform = (1 - i / steps for i in range(steps + 1))
    shifted = (shift * t / (1 + (shift - 1) * t) for t in uniform)
    return pairwise(end + (start - end) * t for t in shifted)
