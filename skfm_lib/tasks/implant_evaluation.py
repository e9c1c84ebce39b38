"""Implants tried where the truth is known, and held against a skull's other side."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyvista as pv

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.data.voxels import surface
from skfm_lib.models import PointAttN
from skfm_lib.tasks.completion import MARGIN, MIRROR, defective
from skfm_lib.tasks.defects import Cuboid
from skfm_lib.tasks.experiments.skull_pool import SkullPool
from skfm_lib.tasks.implant import AROUND, complete_skull
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.progress import track

COUNTED = ["found", "clear", "alarm"]
COLUMNS = ["name", "quality", *COUNTED, "volume", "distance"]


def implant_trial(
    model: PointAttN, pool: SkullPool, items: Sequence[int], seed: int
) -> pd.DataFrame:
    """Test skulls with the defects of `completion_errors`, each given an implant.

    items     which of the material's test skulls
    found     most of the points that are said to be missing lie in the defect
    clear     and the tool says that they clearly are missing (`Completion.clear`)
    alarm     it says so of the same skull without a defect, too
    volume    of the implant, as a share of the bone that was cut out
    distance  mean distance of the implant's surface from that bone's, mm

    A row a skull; what was not found has neither volume nor distance.
    """
    skulls, clouds, device = pool.held_out, pool.test, pick_device()
    _, _, defects = defective(clouds.subset(items), model.settings, seed)
    rows = []
    for item, cuboid in zip(track(items, "Making implants"), defects):
        bone = surface(skulls.occupancy(item), skulls.grid, 0.5)
        made = complete_skull(model, cut_mesh(bone, cuboid)[0], device)
        missing = made.cloud[made.missing]
        found = len(missing) > 0 and cuboid.holds(missing, MARGIN).mean() > 0.5
        row = {"name": clouds.names[item], "quality": clouds.qualities[item]}
        row |= {"found": bool(found), "clear": bool(found and made.clear)}
        rows.append(row | {"alarm": bool(complete_skull(model, bone, device).clear)})
        if found and made.implant is not None:
            lost = _lost(skulls, item, cuboid)
            rows[-1]["volume"] = made.implant.volume / lost.volume
            gaps = distance_to_surface(np.asarray(made.implant.points, float), lost)
            rows[-1]["distance"] = float(gaps.mean())
    return pd.DataFrame(rows, columns=COLUMNS)


def summary(tried: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Of an `implant_trial`, by quality score and in all: how many, and medians."""
    groups = {f"QS {q}": rows for q, rows in tried.groupby("quality")}
    return {
        name: {
            **{column: f"{rows[column].sum()} of {len(rows)}" for column in COUNTED},
            "volume, median": f"{rows['volume'].median():.2f}",
            "distance, median": f"{rows['distance'].median():.1f}",
        }
        for name, rows in {**groups, "all": tried}.items()
    }


def beside_other_side(implant: pv.PolyData, bone: pv.PolyData) -> dict[str, float]:
    """Mean distance from the skull's other side, mirrored at its midplane, mm.

    Of the implant, and of the bone within AROUND of it: what a true piece of this
    skull would have, its asymmetry and an error of its pose among it.
    """
    points = np.asarray(bone.points, float)
    near = points[distance_to_surface(points, implant) <= AROUND]
    clouds = {"implant": np.asarray(implant.points, float), "bone around": near}
    return {
        name: float(distance_to_surface(cloud * MIRROR, bone).mean())
        for name, cloud in clouds.items()
    }


def cut_mesh(mesh: pv.PolyData, cuboid: Cuboid) -> tuple[pv.PolyData, pv.PolyData]:
    """The triangles outside a cuboid, and those that reach into it."""
    faces = mesh.regular_faces
    inside = cuboid.holds(np.asarray(mesh.points, float))[faces].any(axis=1)
    return tuple(
        pv.PolyData.from_regular_faces(mesh.points, faces[part])
        for part in (~inside, inside)
    )


def _lost(skulls: SkullSet, item: int, cuboid: Cuboid) -> pv.PolyData:
    """The closed surface of the bone inside a cuboid."""
    bone = skulls.occupancy(item).copy()
    places = np.argwhere(bone)
    outside = places[~cuboid.holds(skulls.grid.to_mm(places))]
    bone[tuple(outside.T)] = False
    return surface(bone, skulls.grid, 0.5)
