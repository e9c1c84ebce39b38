"""Fit the linear shape model to the latents of a training set."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from skfm_lib import presets
from skfm_lib.data.voxels import skull_grid
from skfm_lib.models.linear_shape import LinearShapeModel, hats, presence
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.utils import memory
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

GIB = 1 << 30
COLUMNS = 1 << 14  # of the matrix of latents that are multiplied at a time, in float64
LEAST_SEEN = 1e-3  # skulls, added to those that show a slice
LEAST = 1e-9  # share of the variance along the last component: accuracy of the fit
RIDGE = 0.01  # penalty of the regression on the field of view, in skulls
ITERATIONS = 10  # of expectation–maximisation; more lower the residual by below 1 %


def fit_linear(
    latents: LatentSet,
    scale: LatentScale,
    components: int,
    grid: Shape | None = None,
    mirrored: LatentSet | None = None,
) -> LinearShapeModel:
    """The linear model of normalised latents, with K = `components`.

    The principal components are those of all skulls about the means of their scores,
    from the exact decomposition of the N×N matrix of inner products; variances are
    divided by N less the number of means and components.  A score without a skull has
    the mean of all.

    With the shape of the output `grid`, the mean depends on the field of view: a ridge
    regression on its heights, with a knot in every slice of the latents.  From the
    principal components, `ITERATIONS` of expectation–maximisation then lead to those
    of complete skulls of which the scan shows a part (`_fit_present`).

    With the latents of the `mirrored` skulls, it is fitted to both.  The variances are
    the means of both then, since a skull and its mirror image are nearly one sample.

    Raises:
        SkfmError: for too many components or skulls that hardly differ, and for too
            little memory.
    """
    sets, shape = [latents, mirrored] if mirrored else [latents], latents[0][0].shape
    _require_memory(8 * shape.numel() * (len(sets) * len(latents) + components))
    knots = _knots(grid, shape[-1]) if grid else torch.zeros(0)
    model = LinearShapeModel(shape.numel(), components, len(knots))
    model.knots.copy_(knots)
    _fit(model, sets, scale)
    return model


def _check_components(components: int, left: int) -> None:
    """Raise SkfmError for a K that is not below `left`, the skulls less their means."""
    if not 1 <= components < left:
        raise SkfmError(
            f"components {components} for {left} skulls more than means",
            f"1 to {left - 1}" if left > 1 else "a larger training set",
            f"-p components {left - 1}" if left > 1 else "-p components 0",
        )


def _fit(
    model: LinearShapeModel, sets: Sequence[LatentSet], scale: LatentScale
) -> None:
    items, k = (
        [(one, i) for one in sets for i in range(len(one))],
        len(model.components),
    )
    count = len(items)
    rows = (
        scale.normalise(one[i][0]).flatten()
        for one, i in track(items, "Linear model, reading latents")
    )
    x = torch.stack(list(rows))
    left = count - len(sets) * _subtract_means(model, x, sets)
    _check_components(k, left)
    products = torch.zeros(count, count, dtype=torch.float64)
    for part in x.split(COLUMNS, dim=1):
        part = part.double()
        products.addmm_(part, part.T)
    values, vectors = torch.linalg.eigh(products)  # in ascending order
    if not values[-k:].min() > LEAST * values.sum():
        found = f"{k} components hold all variance of {count} latents"
        raise SkfmError(found, "fewer components, or skulls that differ more")
    values, vectors = values[-k:].flip(0), vectors[:, -k:].flip(1)
    for part, found, rest in zip(
        x.split(COLUMNS, 1),
        model.components.split(COLUMNS, 1),
        model.rest.split(COLUMNS),
    ):
        part = part.double()
        along = vectors.T @ part
        found.copy_(along / math.sqrt(left))
        rest.copy_((part - vectors @ along).square().sum(0) / (left - k))
    if len(model.knots):
        fields = sets[0].fields_of_view.to(model.knots).repeat(len(sets), 1)
        _fit_present(model, x, presence(fields, model.knots), count / left)


def _fit_present(
    model: LinearShapeModel, x: Tensor, seen: Tensor, inflation: float
) -> None:
    """Expectation–maximisation of x = p ⊙ (W c + √ψ ε) for deviations x (N, n).

    `seen` (N, w) is the presence p of the slices, the last dimension of the latents.
    For the coordinates c, noise counts as equal everywhere (probabilistic principal
    components).  Means were fitted before, so variances are multiplied by `inflation`.
    """
    count, slices = seen.shape
    k, seen = len(model.components), seen.double()
    deviations = x.view(count, -1, slices)
    loadings = model.components.view(k, -1, slices)
    rest = model.rest.view(-1, slices)
    noise, one = float(rest.mean()), torch.eye(k, dtype=torch.float64)
    for _ in track(range(ITERATIONS), "Linear model, components"):
        precision = noise * one.repeat(count, 1, 1)
        right = torch.zeros(count, k, dtype=torch.float64)
        for s in range(slices):
            w, own = loadings[..., s].double(), deviations[..., s].double()
            precision += seen[:, s, None, None] ** 2 * (w @ w.T)
            right += seen[:, s, None] * (own @ w.T)
        inverse = torch.linalg.inv(precision)
        c = (inverse @ right[:, :, None])[:, :, 0]  # E[c], and below E[c cᵀ]
        second = c[:, :, None] * c[:, None, :] + noise * inverse
        turn = torch.linalg.cholesky(second.mean(0))  # so that c ~ N(0, I) again
        squares, total = 0.0, 0.0
        for s in range(slices):
            p, own = seen[:, s, None], deviations[..., s].double()
            moment = (second * p[:, :, None] ** 2).sum(0) + LEAST_SEEN * one
            w = torch.linalg.solve(moment, (p * c).T @ own)
            residual = (own - p * (c @ w)).square()
            weight = p.square()  # of the estimates residual / p² of ψ
            left = weight.square().sum() * (1 - inflation * k / count)
            rest[:, s] = inflation * (weight * residual).sum(0) / left.clamp(min=1)
            loadings[..., s] = turn.T @ w
            squares += float((p * residual).sum())
            total += float(p.sum()) * len(rest)
        noise = squares / total
    model.components.mul_(math.sqrt(inflation))
    order = model.components.square().sum(1).argsort(descending=True)
    model.components.copy_(model.components[order])


def _subtract_means(
    model: LinearShapeModel, x: Tensor, sets: Sequence[LatentSet]
) -> int:
    """Fit μ and m to x (N, n) and subtract them; the number of means of each number."""
    quality = torch.tensor([q for one in sets for q in one.qualities])
    scores = torch.tensor(presets.QUALITY_SCORES)
    design = (quality[:, None] == scores).double()
    if len(model.knots):
        fields = sets[0].fields_of_view.to(model.knots).repeat(len(sets), 1)
        design = torch.cat([design, hats(fields, model.knots).double()], dim=1)
    penalty = RIDGE * torch.eye(design.shape[1], dtype=torch.float64)
    solve = torch.linalg.solve(design.T @ design + penalty, design.T)
    centre = x.mean(0)  # what a score or height without a skull is drawn to
    for part, mid, means, slopes in zip(
        x.split(COLUMNS, 1),
        centre.split(COLUMNS),
        model.means.split(COLUMNS, 1),
        model.slopes.split(COLUMNS, 1),
    ):
        found = solve @ (part - mid).double()
        means.copy_(found[: len(scores)] + mid)
        slopes.copy_(found[len(scores) :])
        part.sub_((design @ found).float() + mid)
    return int(torch.linalg.matrix_rank(design))


def _knots(grid: Shape, slices: int) -> Tensor:
    """Heights (mm) of equidistant knots over the grid, one a slice of latents."""
    _, _, z = skull_grid(grid).axes()
    return torch.linspace(float(z[0]), float(z[-1]), slices)


def _require_memory(needed: int) -> None:
    free = memory.available()
    if needed > free:
        raise SkfmError(
            f"the linear model: about {needed / GIB:.1f} GiB are needed, "
            f"{free / GIB:.1f} GiB of main memory are free",
            "the latents of the training set in memory at once",
            "-p components 0 trains without it",
        )
