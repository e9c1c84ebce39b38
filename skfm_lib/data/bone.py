"""From a CT scan to the surface of its skull."""

import numpy as np
import pyvista as pv
import SimpleITK as sitk

from skfm_lib.data.scans import LPS_TO_RAS
from skfm_lib.data.voxels import Grid, isosurface, voxelise
from skfm_lib.errors import SkfmError

THRESHOLD = 200.0  # HU, compact bone; 150–300 is usual (MUG500+, AutoImplant: 150)
REACH = 300.0  # HU around the threshold that shape the surface; metal beyond is cut
SMALLEST_PART = 0.05  # of the largest part: a mandible is 7–12 % of a skull's bone
MARGIN = 10.0  # mm that a part may stand out beside the cranium, seen from above
WALL_SPACING = 1.02  # mm; twice the paper's, fine enough for every wall it shows
WALL_SHARE = 0.4  # see `bone_voxels`
INSIDE = 0.9  # share of a part that must lie within that margin


def bone_mesh(image: sitk.Image, threshold: float = THRESHOLD) -> pv.PolyData:
    """The skull's surface in the scan's own RAS mm, normals outward.

    image      a CT from `read_scan`; an image of two values is taken as a mask
    threshold  HU above which a voxel is bone

    Grey-value closing over one voxel seals pinholes of thin walls.  The largest part
    is the cranium.  Another part (a mandible) stays if it has at least SMALLEST_PART
    of its volume and, seen from above, lies within the cranium's bounding rectangle
    and MARGIN around it: a head holder reaches beside or behind the head, where no
    bone of the skull is.  Vertebrae that join or underlie the skull stay as well.
    The surface is left open where the skull leaves the field of view.  SkfmError if
    nothing is above the threshold.
    """
    values = sitk.GetArrayViewFromImage(image)
    low, high = float(values.min()), float(values.max())
    if low < high and np.isin(values, (low, high)).all():
        threshold = (low + high) / 2
    if not high > threshold:
        raise SkfmError(
            f"no bone: no voxel above {threshold:g} HU (highest {high:g})",
            "a head CT in Hounsfield units",
            "lower --threshold, or check the scan's rescale slope and intercept",
        )
    reach = min(REACH, high - threshold)
    field = sitk.Clamp(
        sitk.Cast(image, sitk.sitkFloat32) - threshold, sitk.sitkFloat32, -reach, reach
    )
    field = sitk.GrayscaleMorphologicalClosing(field, [1, 1, 1], sitk.sitkBox)
    skull = sitk.BinaryDilate(_skull_parts(field > 0), [1, 1, 1], sitk.sitkBox)
    field = sitk.Mask(field, skull, -reach)
    return isosurface(sitk.GetArrayFromImage(field), _affine(image), 0.0)


def bone_voxels(mesh: pv.PolyData, grid: Grid) -> np.ndarray:
    """Bone (D, H, W) bool of a placed skull, with thin walls kept on coarse grids.

    A voxel is bone when at least WALL_SHARE of it is, measured on the grid split to
    about WALL_SPACING; a grid as fine as that is point-sampled as it is.  At 4.08 mm
    point samples and a share of a half tear orbits, temporal bone and skull base of a
    real CT open; 0.4 leaves them closed, as the phantoms' are, with walls of a voxel
    and 15 % more bone than the surface holds (0.3: 26 %).
    """
    factor = max(1, round(grid.spacing / WALL_SPACING))
    fine = voxelise(mesh, grid.refined(factor))
    if factor == 1:
        return fine
    depth, height, width = grid.shape
    blocks = fine.reshape(depth, factor, height, factor, width, factor)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32) >= WALL_SHARE


def touched_borders(mesh: pv.PolyData, image: sitk.Image) -> list[str]:
    """The faces of the scan's field of view that the skull reaches: "lower" …"""
    affine = _affine(image)
    index = (mesh.points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    last = np.array(image.GetSize()[::-1]) - 1
    names = (("lower", "upper"), ("posterior", "anterior"), ("left", "right"))
    return [
        names[axis][side]
        for axis in range(3)
        for side, at in enumerate((0, last[axis]))
        if (np.abs(index[:, axis] - at) < 1e-3).any()
    ]


def _skull_parts(bone: sitk.Image) -> sitk.Image:
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(bone, True))
    labels = sitk.GetArrayViewFromImage(parts)
    sizes = np.bincount(labels.ravel())
    _, y, x = np.nonzero(labels == 1)
    spacing_x, spacing_y, _ = bone.GetSpacing()
    west, east = x.min() - MARGIN / spacing_x, x.max() + MARGIN / spacing_x
    south, north = y.min() - MARGIN / spacing_y, y.max() + MARGIN / spacing_y
    kept = [1]
    for label in np.flatnonzero(sizes[2:] >= SMALLEST_PART * sizes[1]) + 2:
        _, y, x = np.nonzero(labels == label)
        within = (west <= x) & (x <= east) & (south <= y) & (y <= north)
        if within.mean() >= INSIDE:
            kept.append(int(label))
    chosen = sitk.GetImageFromArray(np.isin(labels, kept).astype(np.uint8))
    chosen.CopyInformation(bone)
    return chosen


def _affine(image: sitk.Image) -> np.ndarray:
    """4×4 from homogeneous array index (z, y, x, 1) to RAS mm."""
    matrix = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    matrix[:3, :3] = (LPS_TO_RAS @ direction)[:, ::-1]
    matrix[:3, 3] = LPS_TO_RAS @ image.GetOrigin()
    return matrix
