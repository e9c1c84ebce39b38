"""Measures of the braincase that can be taken of phantoms and of real heads alike.

All are of the skull frame and of what every head shows: the vault down to 10° below the
horizon of `vault.CENTRE`, and bone above the Frankfurt plane.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from skfm_lib.data.bone_fractions import as_fraction, skull_surface, surface_field
from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.data.registration.rigid_icp import apply, rigid_icp
from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening.vault import (
    CENTRE,
    FARTHEST,
    NEAREST,
    directions,
    vault_holes,
)

STEP = 0.5  # mm between samples of a ray
HALF = 0.5  # share of bone at the surface of a wall thicker than a voxel
DIPLOE = 4.0  # mm; gaps of this width along a ray lie within a wall
MIDDLE = 10.0  # mm from the median plane, where the length is measured
LOW_Y, HIGH_Y = -60.0, 40.0  # mm, between which the vault is broadest
BOTTOM = -10.0  # mm; asymmetry is measured above, so that jaws and neck do not count
POINTS, NEAREST_SHARE = 3000, 0.9  # of the mirrored surface; of these, the nearest
# Where thickness is measured: directions from CENTRE on the right, and their radius.
# As in [thulung2019]: parietal eminence, anterior squama, between mastoid and internal
# occipital protuberance, between coronal suture and nasion.
SITES = {
    "frontal": (0.0, 0.94, 0.35),
    "parietal": (0.81, -0.31, 0.5),
    "temporal": (0.95, 0.28, -0.14),
    "occipital": (0.4, -0.92, 0.0),
}
SITE = np.cos(np.deg2rad(12.0))
SHAPE = "vault shape"  # distance from the mean one; see `skulls.all_measures`
HOLES = "vault holes"  # most phantoms have none: not normal
UNITS = {
    "length": "mm",
    "breadth": "mm",
    "vault height": "mm",
    **{f"{site} thickness": "mm" for site in SITES},
    "bone volume": "cm³",
    "asymmetry": "mm",
    SHAPE: "mm",
    HOLES: "cm²",
}


class Walls(NamedTuple):
    """Outer surface (61, 61, 3), mm, and thickness (61, 61) of the vault; NaN: open."""

    outer: np.ndarray
    thickness: np.ndarray


def vault_walls(volume: np.ndarray, grid: Grid) -> Walls:
    """The outermost wall along rays from CENTRE, at half the share of bone.

    `volume` (D, H, W) is of bits or bytes.  Thickness is measured along the ray and
    corrected for its angle with the outer surface.
    """
    units = directions()[0]
    radii = np.arange(NEAREST, FARTHEST, STEP)
    points = CENTRE + units[..., None, :] * radii[:, None]
    index = grid.to_index(points.reshape(-1, 3)).T
    shares = ndimage.map_coordinates(as_fraction(volume), index, order=1, cval=0.0)
    bone = shares.reshape(*units.shape[:2], len(radii)) >= HALF
    bone = ndimage.binary_closing(bone, np.ones((1, 1, round(DIPLOE / STEP) + 1), bool))
    # The last bone of every ray, and the last air before it.
    last = len(radii) - 1 - bone[..., ::-1].argmax(axis=-1)
    before = np.where(np.arange(len(radii)) < last[..., None], ~bone, False)
    first = len(radii) - before[..., ::-1].argmax(axis=-1)
    hit = bone.any(axis=-1) & before.any(axis=-1)
    outer = CENTRE + units * (radii[last] + STEP / 2)[..., None]
    outer[~hit] = np.nan
    normal = np.cross(*np.gradient(outer, axis=(0, 1)))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    slant = np.abs((normal * units).sum(axis=-1))
    thickness = np.where(hit, (last - first + 1) * STEP, np.nan) * slant
    return Walls(outer, thickness)


def measure(volume: np.ndarray, grid: Grid, walls: Walls) -> dict[str, float]:
    """The measures of UNITS but SHAPE of a skull (D, H, W) in the skull frame.

    Length is glabella to the farthest point at the back, breadth the greatest one,
    vault height that of the vertex over the Frankfurt plane; thicknesses are medians at
    SITES of both sides; bone volume is of all above the Frankfurt plane; holes are rays
    from within the vault that meet no bone.
    """
    x, y, z = np.moveaxis(walls.outer, -1, 0)
    middle, broad = np.abs(x) < MIDDLE, (y > LOW_Y) & (y < HIGH_Y)
    above = grid.axes()[2] > 0
    bone = as_fraction(volume)[:, :, above].sum(dtype=float)
    values = {
        "length": np.ptp(y[middle]),
        "breadth": np.ptp(x[broad]),
        "vault height": np.nanmax(z),
        **{f"{site} thickness": _at(site, walls.thickness) for site in SITES},
        "bone volume": bone * grid.spacing**3 / 1000,
        "asymmetry": asymmetry(volume, grid),
        HOLES: vault_holes(surface_field(volume, grid), grid),
    }
    return {name: float(value) for name, value in values.items()}


def _at(site: str, thickness: np.ndarray) -> float:
    """Median thickness within the radius of a site, both sides together."""
    units, middle = directions()[0], np.array(SITES[site])
    middle = middle / np.linalg.norm(middle)
    near = (units * (1, 1, 1) @ middle > SITE) | (units * (-1, 1, 1) @ middle > SITE)
    return float(np.nanmedian(thickness[near]))


def asymmetry(volume: np.ndarray, grid: Grid) -> float:
    """Mean distance, mm, of the mirrored surface from the surface, after rigid ICP.

    Of the nearest NEAREST_SHARE of its points above BOTTOM, so that defects on one side
    do not count.
    """
    mesh = skull_surface(volume, grid).compute_normals(
        cell_normals=False, split_vertices=False, consistent_normals=False
    )
    points, normals = np.asarray(mesh.points, float), mesh.point_data["Normals"]
    some = np.random.default_rng(0).permutation(np.flatnonzero(points[:, 2] > BOTTOM))
    mirrored = points[some[:POINTS]] * (-1, 1, 1)
    matrix, _ = rigid_icp(mirrored, points, NEAREST_SHARE, np.asarray(normals))
    distance = np.sort(distance_to_surface(apply(matrix, mirrored), mesh))
    return float(distance[: round(NEAREST_SHARE * len(distance))].mean())
