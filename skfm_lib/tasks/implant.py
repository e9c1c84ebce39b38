"""What one skull lacks, by a trained completer, and an implant for it."""

from dataclasses import dataclass

import numpy as np
import pyvista as pv
import torch
from scipy import ndimage
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.data.voxels import Grid, sample_surface, surface, voxelise
from skfm_lib.models import PointAttN
from skfm_lib.tasks.completion import MARGIN, MIRROR, complete
from skfm_lib.tasks.defects import SIDES
from skfm_lib.utils.device import Device

CLOUD = 1 << 16  # points of the whole skull, of several tries together
LINK = 6.0  # mm between points of one place: about as thick as a vault
# Times a rival's points.  Of whole phantoms, 0 of 15 had a place of so many with one
# trained completer, and 1 of 10 with another.
CLEAR = 3.0
FEWEST = 32  # points of a place, below which nothing is said to be missing
NEAR = np.sqrt(3) * SIDES[1] / 2  # mm, from the largest cuboid's centre to a corner
STEP, BLUR = 1.0, 3.0  # mm: an implant's voxels; the spread of a point in them
REACH = MARGIN + BLUR  # mm around the missing points, to the bone's edge
SPARSE = 4.0  # times that a point among few others may count
AROUND = 25.0  # mm around them in which bone tells how thick the implant is to be


@dataclass(frozen=True)
class Completion:
    """A whole skull for one that lacks a part.

    cloud    points (n, 3) of the whole skull, mm
    missing  which of them stand for the part that it lacks
    rival    points of the next largest place that was thought of
    implant  closed surface of the missing part, or None where nothing is missing
    """

    cloud: np.ndarray
    missing: np.ndarray
    rival: int
    implant: pv.PolyData | None

    @property
    def clear(self) -> bool:
        """Whether so many points are missing as in a skull that is whole never are."""
        return self.missing.sum() >= max(1.0, CLEAR * self.rival)


def complete_skull(
    model: PointAttN,
    mesh: pv.PolyData,
    device: Device,
    near: np.ndarray | None = None,
) -> Completion:
    """What a skull in its canonical pose (RAS mm) lacks.

    The network sees several samples of the surface; their completions are one cloud.
    Its points may be missing bone if they are farther than MARGIN from the skull and
    the skull has bone on its other side there: orbits and what lies below a scan
    have none on either.  Of the places that they form the one of most points is it.

    near  a place (3,) in the defect, mm: the place nearest to it is taken, if within
          NEAR, whatever the other side has (a defect may cross the midline)

    Raises SkfmError for a mesh without area.
    """
    cloud = completed(model, mesh, device)
    (index,) = np.nonzero(distance_to_surface(cloud, mesh) > MARGIN)
    if near is None:
        other = distance_to_surface(cloud[index] * MIRROR, mesh)
        index = index[other <= MARGIN]
    places = sorted(_places(cloud[index]), key=len, reverse=True)
    if near is not None:
        places.sort(key=lambda place: _gap(cloud[index[place]], near))
        places = [p for p in places[:1] if _gap(cloud[index[p]], near) <= NEAR]
    missing = np.zeros(len(cloud), bool)
    if not places or len(places[0]) < FEWEST:
        return Completion(cloud, missing, 0, None)
    missing[index[places[0]]] = True
    rival = len(places[1]) if len(places) > 1 else 0
    return Completion(cloud, missing, rival, implant_mesh(cloud, cloud[missing], mesh))


def completed(model: PointAttN, mesh: pv.PolyData, device: Device) -> np.ndarray:
    """The whole skull (n, 3): at least CLOUD points, of completions of several clouds.

    Each is of another sample of the mesh's surface, mm.
    """
    count, tries = model.settings.points, -(-CLOUD // model.settings.outputs[-1])
    points = torch.from_numpy(sample_surface(mesh, tries * count, seed=0))
    clouds = complete(model, points.float().view(tries, count, 3), device)
    return clouds.flatten(0, 1).double().numpy()


def implant_mesh(
    cloud: np.ndarray, part: np.ndarray, mesh: pv.PolyData
) -> pv.PolyData | None:
    """A closed surface where a cloud has bone and the skull has none, clear of it.

    cloud  points (n, 3) of the whole skull, and
    part   those (m, 3) of them that stand for what is missing, mm

    The cloud, blurred by BLUR, counts as bone above the level at which there is as
    much of it near the cloud's other points as there truly is: so the implant is as
    thick as the bone around.  A network puts fewer points where it saw none: those
    that lie sparsely count more, up to SPARSE times.  Gaps in it and to the bone are
    closed.  The largest piece within REACH of the part; None where there is no bone
    within AROUND to tell, or it leaves no room.
    """
    low, high = part.min(axis=0) - AROUND, part.max(axis=0) + AROUND
    width, depth, height = np.ceil((high - low) / STEP).astype(int) + 1
    grid = Grid((int(depth), int(width), int(height)), STEP, tuple(map(float, low)))
    counts, bone = _counts(cloud, grid), voxelise(mesh, grid)
    away, density = _away(_counts(part, grid)), _evenly(counts)
    around = (away > REACH) & (away <= AROUND) & (_away(counts) <= BLUR)
    share = bone[around].mean() if around.any() else 0.0
    if share == 0:
        return None
    level = float(np.quantile(density[around], 1 - share))
    solid = _closed(bone | ((density > level) & (away <= REACH)))
    pieces, found = ndimage.label(solid & (away <= REACH) & ~bone)
    if not found:
        return None
    largest = 1 + np.bincount(pieces.ravel())[1:].argmax()
    smooth = ndimage.gaussian_filter((pieces == largest).astype(np.float32), 1.0)
    smooth[bone] = 0
    return surface(smooth, grid, 0.5) if smooth.max() > 0.5 else None


def _away(counts: np.ndarray) -> np.ndarray:
    """Distance (D, H, W) of each voxel from the nearest with a point, mm."""
    return STEP * ndimage.distance_transform_edt(counts == 0)


def _closed(solid: np.ndarray) -> np.ndarray:
    """A mask (D, H, W), its gaps closed that a ball of radius REACH does not pass."""
    reach = REACH / STEP
    grown = ndimage.distance_transform_edt(~solid) <= reach
    return ndimage.distance_transform_edt(grown) > reach


def _evenly(counts: np.ndarray) -> np.ndarray:
    """Points, as counts (D, H, W), blurred; each by how few others are near it."""
    near = ndimage.gaussian_filter(counts, BLUR / STEP)
    usual = np.median(near[counts > 0])
    weight = counts * (usual / np.maximum(near, usual / SPARSE))
    return ndimage.gaussian_filter(weight, BLUR / STEP)


def _places(points: np.ndarray) -> list[np.ndarray]:
    """Indices of points (n, 3) that hang together by gaps of at most LINK."""
    if not len(points):
        return []
    tree = cKDTree(points)
    links = tree.sparse_distance_matrix(tree, LINK, output_type="coo_matrix")
    count, label = connected_components(links, directed=False)
    return [np.flatnonzero(label == i) for i in range(count)]


def _gap(points: np.ndarray, place: np.ndarray) -> float:
    return float(np.linalg.norm(points - place, axis=1).min())


def _counts(points: np.ndarray, grid: Grid) -> np.ndarray:
    """How many points (n, 3) lie in each voxel (D, H, W)."""
    index = np.round(grid.to_index(points)).astype(int)
    index = index[((index >= 0) & (index < grid.shape)).all(axis=1)]
    flat = np.ravel_multi_index(tuple(index.T), grid.shape)
    size = int(np.prod(grid.shape))
    return np.bincount(flat, minlength=size).reshape(grid.shape).astype(np.float32)
