"""Optimal-transport flow matching: the straight path (paper eq. 1–4).

The paper's direction of time: t = 0 is data, t = 1 is noise.  "Optimal transport"
is Lipman et al.'s conditional path with independent pairs, not minibatch coupling.
"""

from jaxtyping import Float
from torch import Tensor


def path(
    x_0: Float[Tensor, " b *shape"],
    eps: Float[Tensor, " b *shape"],
    t: Float[Tensor, " b"],
) -> tuple[Tensor, Tensor]:
    """(z_t, u): z_t = (1 − t) x_0 + t ε and its velocity u = ε − x_0 (eq. 4).

    >>> import torch
    >>> path(torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([0.25]))
    (tensor([[0.2500, 0.2500]]), tensor([[1., 1.]]))
    """
    t = t.view(-1, *[1] * (x_0.dim() - 1))
    return (1 - t) * x_0 + t * eps, eps - x_0
