"""Implants for phantoms with the defects of SkullBreak, evaluated in voxels."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from skfm_lib.data.bone_fractions import is_bone
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.phantom_set import phantom_seed
from skfm_lib.data.voxels import Grid, skull_grid
from skfm_lib.metrics import ImplantScores, implant_scores
from skfm_lib.models import PointAttN
from skfm_lib.presets.grid_sizes import PAPER_SPACING, Shape, scaled_shape
from skfm_lib.study import Study
from skfm_lib.tasks.apply_to_scan import chosen_experiment, study_tool
from skfm_lib.tasks.completion import COMPLETION
from skfm_lib.tasks.implant_methods import Defective, implants
from skfm_lib.tasks.skull_defects import SITES, cut_defect
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

QUALITY = 5  # phantoms with the whole vault and the orbits
SCORES = list(ImplantScores._fields)


def implant_errors(study: Study, skulls: int, spacing: float) -> pd.DataFrame:
    """Scores of implants for phantoms with a defect of each kind.

    The phantoms are the first QS 5 skulls of the study's test split, on a grid of
    their own, whatever the study was made from.  Computed once for each completer, and
    kept.

    Args:
        study: whose completer is evaluated.
        skulls: number of phantoms.
        spacing: of the grid, mm, at most.

    Returns:
        A row for each ``skull``, ``kind`` of SITES and ``method`` of `implants`: the
        `ImplantScores`, the ``volume`` of the implant and of the bone ``removed``, ml.
        Without an implant there is no ``hd95``, and overlap and volume are 0.

    Raises:
        SkfmError: where the chapter of completion is not finished.
    """
    of, shape = chosen_experiment(study, COMPLETION), fine_shape(spacing)
    settings = {"seed": study.seed, "skulls": skulls, "shape": shape}
    stage = study.experiment(COMPLETION.folder, "implants", settings, (of.name,))
    if not stage.done:
        model, device = study_tool(study, COMPLETION).model, pick_device()
        numbers = track(range(skulls), "Making implants")
        seeds = (phantom_seed(study.seed, "test", QUALITY, n) for n in numbers)
        rows = [row for n in seeds for row in _rows(model, n, shape, device)]
        stage.finish(rows=rows)
    found = pd.DataFrame(stage.results["rows"])
    return found.astype(dict.fromkeys(SCORES, float))


def fine_shape(spacing: float) -> Shape:
    """The smallest grid of the field of view with voxels of at most `spacing` mm.

    >>> skull_grid(fine_shape(1.0)).spacing <= 1.0
    True
    """
    if not spacing > 0:
        raise SkfmError(f"spacing {spacing:g}", "mm above 0", "-p spacing 1.0")
    return scaled_shape(PAPER_SPACING / spacing)


def defective_skulls(
    seed: int, shape: Shape
) -> Iterator[tuple[str, Defective, np.ndarray]]:
    """Kind, skull and removed bone, bool (D, H, W), of each defect of a phantom."""
    grid = skull_grid(shape)
    bone = is_bone(phantom_skull(seed, QUALITY, shape))
    for kind in SITES:
        removed = cut_defect(bone, kind, grid, seed)
        near = grid.to_mm(np.argwhere(removed)).mean(axis=0)
        yield kind, Defective(bone & ~removed, grid, near), removed


def _rows(
    model: PointAttN, seed: int, shape: Shape, device: Device
) -> Iterator[dict[str, object]]:
    """The rows of one phantom."""
    for kind, skull, removed in defective_skulls(seed, shape):
        size = volume(removed, skull.grid)
        for method, implant in implants(model, skull, device).items():
            about = {"skull": seed, "kind": kind, "method": method, "removed": size}
            found = scores(implant, removed, skull)
            yield {**about, "volume": volume(implant, skull.grid), **found}


def scores(
    implant: np.ndarray, removed: np.ndarray, skull: Defective
) -> dict[str, float | None]:
    """The `ImplantScores` of an implant; of none, no distance and no overlap."""
    if not implant.any():
        return {"dsc": 0.0, "border_dsc": 0.0, "hd95": None}
    given = removed, skull.bone, skull.grid.spacing
    return implant_scores(implant, *given)._asdict()


def volume(mask: np.ndarray, grid: Grid) -> float:
    """Volume of a mask, ml."""
    return float(mask.sum() * grid.spacing**3 / 1000)
