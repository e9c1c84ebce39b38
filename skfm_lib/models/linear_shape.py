"""A linear shape model of latents, from whose skulls a flow can start.

Latents of a quality score q and a field of view h are modelled as

    x_0 = μ_q + m(h) + p(h) ⊙ (W c + √ψ ⊙ ε),    c ~ N(0, I), ε ~ N(0, I),

a mean, K components W, and a remaining variance ψ of each number: factor analysis
(Bishop 2006, §12.2.4) of skulls of which a part is missing.  The presence p(h) is the
share of each slice of the latents that lies within the scan.  Without it, skulls whose
scan ends elsewhere are averaged: draws then vary less in size than skulls do.  At time
t of a flow, z_t = (1 − t) x_0 + t ε is nearly Gaussian while t is large, so that the
model's z_t can stand for the state that the flow would have.
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
        knots: heights (w,), mm, one a slice of the latents, between which m is linear;
            empty for a model without fields of view, where m = 0 and p = 1.
        slopes: values of m at the knots (2 w, n), by the begin of a scan and its end.
        components: W (K, n), by descending variance.
        rest: ψ (n,).
    """

    means: Tensor
    knots: Tensor
    slopes: Tensor
    components: Tensor
    rest: Tensor

    def __init__(self, size: int, components: int, knots: int = 0) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(len(presets.QUALITY_SCORES), size))
        self.register_buffer("knots", torch.zeros(knots))
        self.register_buffer("slopes", torch.zeros(2 * knots, size))
        self.register_buffer("components", torch.zeros(components, size))
        self.register_buffer("rest", torch.zeros(size))

    def draw(
        self,
        coordinates: Float[Tensor, "b K"],
        eps: Float[Tensor, "b k d h w"],
        quality: Int[Tensor, " b"],
        field_of_view: Float[Tensor, "b 2"] | None = None,
    ) -> Float[Tensor, "b k d h w"]:
        """x_0 of standard normal c and ε, float32.

        `field_of_view` (mm) is given with knots only.
        """
        away = coordinates.float() @ self.components
        away = away + self.rest.sqrt() * eps.float().flatten(1)
        if len(self.knots):
            slices = away.view(*away.shape[:1], -1, len(self.knots))
            seen = presence(cast(Tensor, field_of_view).to(self.knots), self.knots)
            away = (slices * seen[:, None]).flatten(1)
        return (self.mean(quality, field_of_view) + away).view_as(eps)

    def mean(
        self, quality: Int[Tensor, " b"], field_of_view: Float[Tensor, "b 2"] | None
    ) -> Float[Tensor, "b n"]:
        """μ_q + m(h)."""
        mean = self.means[quality.to(self.means.device) - presets.QUALITY_SCORES[0]]
        if not len(self.knots):
            return mean
        given = cast(Tensor, field_of_view).to(self.knots)
        return mean + hats(given, self.knots) @ self.slopes


def presence(
    field_of_view: Float[Tensor, "b 2"], knots: Float[Tensor, " w"]
) -> Float[Tensor, "b w"]:
    """p(h): share of each of w slices from the first knot to the last that is scanned.

    >>> presence(torch.tensor([[0.5, 3.0]]), torch.tensor([0.0, 1.0, 2.0]) * 1.5)
    tensor([[0.5000, 1.0000, 1.0000]])
    """
    edges = torch.linspace(float(knots[0]), float(knots[-1]), len(knots) + 1).to(knots)
    begin, end = field_of_view[:, :1], field_of_view[:, 1:]
    inside = torch.minimum(end, edges[1:]) - torch.maximum(begin, edges[:-1])
    return inside.clamp(min=0) / (edges[1] - edges[0])


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
