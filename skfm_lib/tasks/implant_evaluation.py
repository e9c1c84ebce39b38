"""Implants compared with the bone that was cut out, and with a skull's other side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyvista as pv

from skfm_lib.data.bone_fractions import skull_surface
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.models import PointAttN
from skfm_lib.tasks.completion import MARGIN, MIRROR, defective, mean_surface_distance
from skfm_lib.tasks.defects import Cuboid
from skfm_lib.tasks.experiments.skull_pool import SkullPool
from skfm_lib.tasks.implant import AROUND, complete_skull
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.files import read_json
from skfm_lib.utils.progress import track

# Keys of an implant's record.
MISSING, RUNNER_UP = "points that are missing", "points of the next largest cluster"
CLEARLY = "clearly missing"
COUNTED = ["found", "clear", "alarm"]
COLUMNS = ["name", "quality", *COUNTED, "volume", "distance"]


def implant_trial(
    model: PointAttN, pool: SkullPool, items: Sequence[int], seed: int
) -> pd.DataFrame:
    """Make implants for test skulls with the defects of `completion_errors`.

    Returns:
        A row for each skull.  ``found``: most points reported missing lie in the
        defect; ``clear``: they are also clearly missing (`Completion.clear`);
        ``alarm``: so is something in the same skull without a defect; ``volume`` of
        the implant, as a share of that of the bone cut out; ``distance``, the mean one
        of the implant's surface from that bone's, mm.
    """
    skulls, clouds, device = pool.held_out, pool.test, pick_device()
    _, _, defects = defective(clouds.subset(items), model.settings, seed)
    rows = []
    for item, cuboid in zip(track(items, "Making implants"), defects):
        bone = skulls.surface(item)
        made = complete_skull(model, cut_mesh(bone, cuboid)[0], device)
        missing = made.cloud[made.missing]
        inside = cuboid.contains(missing, MARGIN)
        found = len(missing) > 0 and bool(inside.mean() > 0.5)
        row = {
            "name": clouds.names[item],
            "quality": clouds.qualities[item],
            "found": found,
            "clear": found and made.clear,
            "alarm": complete_skull(model, bone, device).clear,
        }
        if found and made.implant is not None:
            lost = _bone_inside(skulls, item, cuboid)
            row["volume"] = made.implant.volume / lost.volume
            row["distance"] = mean_surface_distance(made.implant.points, lost)
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def summary(tried: pd.DataFrame) -> dict[str, dict[str, str | float | None]]:
    """Counts and medians of an `implant_trial`, by quality score and in total."""
    groups = {f"QS {q}": rows for q, rows in tried.groupby("quality")}
    return {
        name: {
            **{column: f"{rows[column].sum()} of {len(rows)}" for column in COUNTED},
            "volume, median": _median(rows["volume"]),
            "distance, median": _median(rows["distance"]),
        }
        for name, rows in {**groups, "all": tried}.items()
    }


def mirror_distances(implant: pv.PolyData, bone: pv.PolyData) -> dict[str, float]:
    """Mean distance of an implant from the skull mirrored at its midplane, mm.

    The same of the bone within AROUND of the implant states what a true piece of this
    skull has, from its asymmetry and the error of its pose.
    """
    points = np.asarray(bone.points, float)
    near = points[distance_to_surface(points, implant) <= AROUND]
    clouds = {"implant": implant.points, "bone around": near}
    return {name: mean_surface_distance(c * MIRROR, bone) for name, c in clouds.items()}


def own_result(folder: Path) -> str:
    """What `apply_to_scan.complete_scan` recorded in a folder of its own certainty."""
    record = read_json(folder / "implant.json", MISSING, RUNNER_UP, CLEARLY)
    missing, other = record[MISSING], record[RUNNER_UP]
    if not missing:
        return "**Nothing is missing** by the tool: it has found no defect."
    numbers = f"{missing} points are missing, {other} in the next largest cluster"
    if record[CLEARLY]:
        return f"The tool calls its result clear: {numbers}."
    return (
        f"**The tool calls its result UNCERTAIN**: {numbers}, and complete skulls "
        "differ as much. The implant below is not a reliable one."
    )


def cut_mesh(mesh: pv.PolyData, cuboid: Cuboid) -> tuple[pv.PolyData, pv.PolyData]:
    """The triangles outside a cuboid, and those that reach into it."""
    faces = mesh.regular_faces
    inside = cuboid.contains(np.asarray(mesh.points, float))[faces].any(axis=1)
    left, lost = (
        pv.PolyData.from_regular_faces(mesh.points, faces[part])
        for part in (~inside, inside)
    )
    return left, lost


def _median(values: pd.Series) -> float | None:
    """The median to two decimals; None without a value."""
    return round(float(values.median()), 2) if values.notna().any() else None


def _bone_inside(skulls: SkullSet, item: int, cuboid: Cuboid) -> pv.PolyData:
    """The closed surface of the bone inside a cuboid."""
    volume = skulls.volume(item)
    index = np.argwhere(volume)
    outside = index[~cuboid.contains(skulls.grid.to_mm(index))]
    volume[tuple(outside.T)] = 0
    return skull_surface(volume, skulls.grid)
