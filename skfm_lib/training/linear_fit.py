"""Fit the linear shape model to the latents of a training set."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skfm_lib import presets
from skfm_lib.data.voxels import skull_grid
from skfm_lib.models.linear_shape import LinearShapeModel, hats
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.utils import memory
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

GIB = 1 << 30
COLUMNS = 1 << 14  # of the matrix of latents that are multiplied at a time, in float64
LEAST = 1e-9  # share of the variance along the last component: accuracy of the fit
RIDGE = 0.01  # penalty of the regression on the field of view, in skulls


def fit_linear(
    latents: LatentSet,
    scale: LatentScale,
    components: int,
    grid: Shape | None = None,
    mirrored: LatentSet | None = None,
) -> LinearShapeModel:
    """The linear model of normalised latents, with K = `components`.

    With the shape of the output `grid`, the mean depends on the field of view: a ridge
    regression on its heights, with a knot in every slice of the latents.  The principal
    components are those of all skulls about their means, from the exact decomposition
    of the N×N matrix of inner products; variances are divided by N less the number of
    means and components.  A score without a skull has the mean of all.

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
    items, k = [(one, i) for one in sets for i in range(len(one))], len(model.variances)
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
    if not values[-k] > LEAST * values.sum():
        found = f"{k} components hold all variance of {count} latents"
        raise SkfmError(found, "fewer components, or skulls that differ more")
    values, vectors = values[-k:].flip(0), vectors[:, -k:].flip(1)
    model.variances.copy_(values / left)
    for part, found, rest in zip(
        x.split(COLUMNS, 1),
        model.components.split(COLUMNS, 1),
        model.rest.split(COLUMNS),
    ):
        part = part.double()
        components = (vectors / values.sqrt()).T @ part
        found.copy_(components)
        beside = part - (vectors * values.sqrt()) @ components
        rest.copy_(beside.square().sum(0) / (left - k))


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
