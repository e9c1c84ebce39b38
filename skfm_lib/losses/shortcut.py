"""Shortcut models: velocities for steps of any size (Frans et al. 2024).

The network v(z, t, d) predicts the velocity that moves z from time t straight to
t − d.  A flow that begins at t = s has the steps d = s, s/2, …, s/128, and t is a
multiple of d.  At the smallest step, the target is the flow's velocity (`otfm`); for
larger steps, the mean velocity of two of the network's own steps of d/2.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

HALVINGS = 7  # of the step d = s, down to the smallest, as in that paper
SMALLEST = 1 / 2**HALVINGS  # of s: the step at which the flow itself is learned
SHARE = 4  # one sample in so many learns a larger step, as in that paper

Leap = Callable[[Tensor, Tensor, Tensor], Tensor]


def times_and_steps(
    count: int, rng: torch.Generator, start: float = 1.0
) -> tuple[Float[Tensor, " {count}"], Float[Tensor, " {count}"]]:
    """t and d of a batch: the smallest step, and larger ones for a quarter of it.

    The remainder of a batch that is not divisible by four is random: a batch of one
    has a larger step with probability 1/4.  Larger steps are equally likely, and t is
    uniform on {d, 2d, …, s}, with s = `start`.
    """
    leaping = (torch.rand((), generator=rng) + count / SHARE).floor()
    halvings = torch.randint(HALVINGS, (count,), generator=rng)
    d = torch.where(torch.arange(count) < leaping, 0.5**halvings, SMALLEST)
    steps_left = (torch.rand(count, generator=rng) / d).floor() + 1
    return start * d * steps_left, start * d


def is_larger(d: Float[Tensor, " b"], start: float = 1.0) -> Bool[Tensor, " b"]:
    """Whether steps of a flow from `start` are larger than the smallest one."""
    return d > 1.5 * start * SMALLEST  # the next one is twice as large


def target(
    velocity: Leap,
    z_t: Float[Tensor, " b *shape"],
    t: Float[Tensor, " b"],
    d: Float[Tensor, " b"],
) -> Float[Tensor, " b *shape"]:
    """(v + v')/2, without gradient: a step of d then ends where two of d/2 do.

    v is the velocity at (z_t, t), and v' that after a step of d/2 along v, both
    predicted for steps of d/2.
    """
    half = d.to(z_t.device).view(-1, *[1] * (z_t.dim() - 1)) / 2
    with torch.no_grad():
        first = velocity(z_t, t, d / 2)
        second = velocity(z_t - half * first, t - d / 2, d / 2)
    return (first + second) / 2
