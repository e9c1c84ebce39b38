"""Moving averages of weights: how much of the average is kept at each step."""

from collections.abc import Callable

import numpy as np

Decay = Callable[[int], float]  # β of a step from 0: average ← β average + (1 − β) w


def exponential(limit: float) -> Decay:
    """β = min(limit, (1 + step) / (10 + step)): shorter averages at the beginning."""
    return lambda step: min(limit, (1 + step) / (10 + step))


def power_function(length: float) -> Decay:
    """β_n = (1 − 1/n)^(γ + 1) at step n = 1, 2, …, with γ = `exponent` (length).

    After n steps, the weights of step τ count as τ^γ (Karras et al. 2024): the average
    grows with the training.  The initial weights do not count.
    """
    gamma = exponent(length)
    return lambda step: (step / (step + 1)) ** (gamma + 1)


def exponent(length: float) -> float:
    """γ of a profile τ^γ with the standard deviation `length` · n on 0 < τ < n.

    The largest root of length² (γ + 2)² (γ + 3) = γ + 1, for 0 < length < 0.288, above
    which γ < 0.

    >>> round(exponent(0.10), 2), round(exponent(0.05), 2)
    (6.94, 16.97)
    """
    square = length**-2
    roots = np.roots([1, 7, 16 - square, 12 - square])
    return float(roots.real.max())
