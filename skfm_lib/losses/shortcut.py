"""Shortcut models: a velocity for leaps of any size (Frans et al. 2024).

The network v(z, t, d) is asked for the velocity that carries z from time t straight
to t − d.  At the smallest step, d = 1/128, that is the flow's own velocity (`otfm`);
for larger ones, the mean of the two half-steps that the network itself would take.
d is a power of two, and t a multiple of it.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

SMALLEST = 1 / 128  # the step at which the flow itself is learnt, as in that paper
HALVINGS = 7  # of the whole way, down to the smallest step
SHARE = 4  # one sample in so many learns to leap, as in that paper

Leap = Callable[[Tensor, Tensor, Tensor], Tensor]


def times_and_steps(
    count: int, rng: torch.Generator
) -> tuple[Float[Tensor, " count"], Float[Tensor, " count"]]:
    """t and d of a batch: the smallest step, but larger ones for a quarter of it.

    What does not divide by four is made up at random: a batch of one leaps in one
    case of four.  Larger steps are equally likely, t is uniform on {d, 2d, …, 1}.
    """
    leaping = (torch.rand((), generator=rng) + count / SHARE).floor()
    halvings = torch.randint(HALVINGS, (count,), generator=rng)
    d = torch.where(torch.arange(count) < leaping, 0.5**halvings, SMALLEST)
    steps_left = (torch.rand(count, generator=rng) / d).floor() + 1
    return steps_left * d, d


def target(
    velocity: Leap,
    z_t: Float[Tensor, " b *shape"],
    t: Float[Tensor, " b"],
    d: Float[Tensor, " b"],
) -> Float[Tensor, " b *shape"]:
    """(v + v')/2: v at (z_t, t) and v' where d/2 along v has led, both for d/2.

    The one step of size d then ends where the two of d/2 do.  No gradient flows.
    """
    half = d.to(z_t.device).view(-1, *[1] * (z_t.dim() - 1)) / 2
    with torch.no_grad():
        first = velocity(z_t, t, d / 2)
        second = velocity(z_t - half * first, t - d / 2, d / 2)
    return (first + second) / 2
