"""A linear shape model of latents, from whose skulls a flow can start.

Latents of a quality score c and a field of view h are modelled as

    x_0 = μ_c + m(h) + Σ_i √λ_i (u_iᵀ ε) u_i + √ψ ⊙ (ε − Σ_i (u_iᵀ ε) u_i),

a mean, K principal components u_i of variances λ_i, and a remaining variance ψ of each
number: probabilistic principal component analysis (Tipping & Bishop 1999) with a
diagonal rest.  At time t of a flow, z_t = (1 − t) x_0 + t ε is nearly Gaussian while t
is large, so that the model's z_t can stand for the state that the flow would have.
"""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from skfm_lib import presets


class LinearShapeModel(nn.Module):
    """The mean, the components and the rest; fitted by `training.linear_fit`.

    Buffers, with n = k·d·h·w:
        means: μ (5, n), one a score.
        knots: heights (J,), mm, between which m is linear; empty without m.
        slopes: values of m at the knots (2 J, n), by the begin of a scan and its end.
        components: u (K, n), orthonormal.
        variances: λ (K,), descending.
        rest: ψ (n,).
    """

    means: Tensor
    knots: Tensor
    slopes: Tensor
    components: Tensor
    variances: Tensor
    rest: Tensor

    def __init__(self, size: int, components: int, knots: int = 0) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(len(presets.QUALITY_SCORES), size))
        self.register_buffer("knots", torch.zeros(knots))
        self.register_buffer("slopes", torch.zeros(2 * knots, size))
        self.register_buffer("components", torch.zeros(components, size))
        self.register_buffer("variances", torch.zeros(components))
        self.register_buffer("rest", torch.zeros(size))

    def draw(
        self,
        eps: Float[Tensor, "b k d h w"],
        quality: Int[Tensor, " b"],
        field_of_view: Float[Tensor, "b 2"] | None = None,
    ) -> Float[Tensor, "b k d h w"]:
        """x_0 of standard normal ε, float32; `field_of_view` (mm) with knots only."""
        noise = eps.float().flatten(1)
        along = noise @ self.components.T
        x = self.mean(quality, field_of_view)
        x = x + (along * self.variances.sqrt()) @ self.components
        x = x + self.rest.sqrt() * (noise - along @ self.components)
        return x.view_as(eps)

    def mean(
        self, quality: Int[Tensor, " b"], field_of_view: Float[Tensor, "b 2"] | None
    ) -> Float[Tensor, "b n"]:
        """μ_c + m(h)."""
        mean = self.means[quality.to(self.means.device) - presets.QUALITY_SCORES[0]]
        if not len(self.knots):
            return mean
        given = cast(Tensor, field_of_view).to(self.knots)
        return mean + hats(given, self.knots) @ self.slopes


def hats(
    field_of_view: Float[Tensor, "b 2"], knots: Float[Tensor, " j"]
) -> Float[Tensor, "b 2*j"]:
    """Weights of linear interpolation between equidistant knots, of both heights.

    Heights beyond the outer knots count as these.

    >>> hats(torch.tensor([[0.5, 3.0]]), torch.arange(3.0))
    tensor([[0.5000, 0.5000, 0.0000, 0.0000, 0.0000, 1.0000]])
    """
    inside = field_of_view.clamp(knots[0], knots[-1])
    apart = (inside[..., None] - knots).abs() / (knots[1] - knots[0])
    return (1 - apart).clamp(min=0).flatten(1)
