"""Missing bone of one skull, found by a trained completer, and an implant for it."""

from dataclasses import dataclass

import numpy as np
import pyvista as pv
import torch
from scipy import ndimage
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.morphology import isotropic_closing

from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.data.registration.shape_completion import complete_surface
from skfm_lib.data.voxels import Grid, sample_surface, surface, voxelise
from skfm_lib.models import PointAttN
from skfm_lib.tasks.completion import MARGIN, MIRROR, complete
from skfm_lib.tasks.defects import SIDES
from skfm_lib.utils.device import Device

CLOUD = 1 << 16  # points of the complete skull; a network's are several completions
LINK = 6.0  # mm between neighbours in a cluster: about the thickness of a vault
# Missing points per point of the next largest cluster.  Of complete phantoms, 0 of 15
# reached it with one trained completer, and 1 of 10 with another.
CLEAR = 3.0
FEWEST = 32  # points of a cluster; in smaller ones nothing counts as missing
NEAR = SIDES[1] / 2  # mm around a position that is given: half the largest defect
STEP, BLUR = 1.0, 3.0  # mm: an implant's voxels; the spread of a point in them
REACH = MARGIN + BLUR  # mm around the missing points, to the edge of the bone
SPARSE = 4.0  # largest weight of a point with few others around it
AROUND = 25.0  # mm around the missing points: the bone that sets the thickness


@dataclass(frozen=True)
class Completion:
    """A complete skull for one with missing bone.

    Attributes:
        cloud: points (n, 3) of the complete skull, mm.
        missing: which of them stand for missing bone (n,).
        runner_up: number of points of the next largest cluster.
        implant: closed surface of the missing part, if any.
    """

    cloud: np.ndarray
    missing: np.ndarray
    runner_up: int
    implant: pv.PolyData | None

    @property
    def clear(self) -> bool:
        """Whether clearly more points are missing than in complete skulls."""
        return bool(self.missing.sum() >= max(1.0, CLEAR * self.runner_up))


def complete_skull(
    model: PointAttN | None,
    mesh: pv.PolyData,
    device: Device,
    near: np.ndarray | None = None,
) -> Completion:
    """Find the missing bone of a skull in the canonical pose (RAS mm).

    The complete skull is the network's or, without one, that of the linear shape model
    (`shape_completion.complete_surface`).  `near` is that of `find_missing`.  Raises
    SkfmError for a mesh without area.
    """
    if model is None:
        cloud = sample_surface(complete_surface(mesh), CLOUD, seed=0)
    else:
        cloud = completed(model, mesh, device)
    return find_missing(cloud, distance_to_surface(cloud, mesh), mesh, near)


def find_missing(
    cloud: np.ndarray,
    distance: np.ndarray,
    mesh: pv.PolyData,
    near: np.ndarray | None = None,
) -> Completion:
    """What points (n, 3) of the complete skull, mm, show and a skull lacks.

    `distance` (n,) is theirs from the skull's surface.  With a point `near` (3,) in the
    defect, only points within NEAR of it are considered, whatever the other side
    shows: a defect may cross the midline.
    """
    # Candidates are the points where the skull has no bone.  Orbits and what lies
    # below the scan have none either, but on both sides: a candidate's mirror image
    # must lie on bone.
    (index,) = np.nonzero(distance > MARGIN)
    if near is None:
        other_side = distance_to_surface(cloud[index] * MIRROR, mesh)
        index = index[other_side <= MARGIN]
    else:  # before they are linked: a chain of candidates leads to the orbits
        index = index[np.linalg.norm(cloud[index] - near, axis=1) <= NEAR]
    # A defect is one compact part: stray candidates form small clusters elsewhere.
    clusters = [index[c] for c in _clusters(cloud[index])]
    clusters.sort(key=len, reverse=True)
    missing = np.zeros(len(cloud), bool)
    if not clusters or len(clusters[0]) < FEWEST:
        return Completion(cloud, missing, 0, None)
    missing[clusters[0]] = True
    runner_up = len(clusters[1]) if len(clusters) > 1 else 0
    implant = implant_mesh(cloud, cloud[missing], mesh)
    return Completion(cloud, missing, runner_up, implant)


def completed(model: PointAttN, mesh: pv.PolyData, device: Device) -> np.ndarray:
    """At least CLOUD points (n, 3): completions of several samples of a mesh, mm."""
    count, tries = model.settings.points, -(-CLOUD // model.settings.outputs[-1])
    points = torch.from_numpy(sample_surface(mesh, tries * count, seed=0))
    clouds = complete(model, points.float().view(tries, count, 3), device)
    return clouds.flatten(0, 1).double().numpy()


def implant_mesh(
    cloud: np.ndarray, part: np.ndarray, mesh: pv.PolyData
) -> pv.PolyData | None:
    """The closed surface of an implant: bone of the cloud where the skull has none.

    Args:
        cloud: points (n, 3) of the complete skull, mm.
        part: those (m, 3) that stand for missing bone.
        mesh: the skull; the implant stays clear of it.

    Returns:
        The largest piece near the part; None where there is no bone around to set the
        thickness, or no room.
    """
    low, high = part.min(axis=0) - AROUND, part.max(axis=0) + AROUND
    x, y, z = (int(n) for n in np.ceil((high - low) / STEP) + 1)
    grid = Grid((y, x, z), STEP, (float(low[0]), float(low[1]), float(low[2])))
    counts, bone = _counts(cloud, grid), voxelise(mesh, grid)
    distance = _distance(_counts(part, grid))

    # The blurred cloud is a density without a natural threshold.  It is set where cloud
    # and skull both show bone: as many voxels lie above it there as are bone, so the
    # implant is as thick as the bone around it.
    density = _density(counts)
    around = (distance > REACH) & (distance <= AROUND) & (_distance(counts) <= BLUR)
    share = bone[around].mean() if around.any() else 0.0
    if share == 0:
        return None
    level = float(np.quantile(density[around], 1 - share))

    # Closing the union of bone and filling joins the filling to the edge of the bone
    # and closes its own gaps; without the bone it is the implant.
    near = distance <= REACH
    solid = isotropic_closing(bone | ((density > level) & near), REACH / STEP)
    pieces, found = ndimage.label(solid & near & ~bone)
    if not found:
        return None
    largest = 1 + np.bincount(pieces.ravel())[1:].argmax()

    # Smoothing removes the steps of the voxels, and may spread into bone: cut it off.
    smooth = ndimage.gaussian_filter((pieces == largest).astype(np.float32), 1.0)
    smooth[bone] = 0
    return surface(smooth, grid, 0.5) if smooth.max() > 0.5 else None


def _clusters(points: np.ndarray) -> list[np.ndarray]:
    """Indices of the clusters of points (n, 3) linked by gaps of at most LINK."""
    if not len(points):
        return []
    tree = cKDTree(points)
    links = tree.sparse_distance_matrix(tree, LINK, output_type="coo_matrix")
    count, label = connected_components(links, directed=False)
    return [np.flatnonzero(label == i) for i in range(count)]


def _counts(points: np.ndarray, grid: Grid) -> np.ndarray:
    """How many points (n, 3) lie in each voxel (D, H, W), float32."""
    index = np.round(grid.to_index(points)).astype(int)
    index = index[((index >= 0) & (index < grid.shape)).all(axis=1)]
    counts = np.zeros(grid.shape, np.float32)
    np.add.at(counts, tuple(index.T), 1)
    return counts


def _distance(counts: np.ndarray) -> np.ndarray:
    """Distance (D, H, W) of each voxel from the nearest one with a point, mm."""
    return STEP * ndimage.distance_transform_edt(counts == 0)


def _density(counts: np.ndarray) -> np.ndarray:
    """Points per voxel (D, H, W), blurred; weighted by how few others are near."""
    # A network generates fewer points where it saw no bone: weights even this out.
    near = ndimage.gaussian_filter(counts, BLUR / STEP)
    usual = np.median(near[counts > 0])
    weights = counts * (usual / np.maximum(near, usual / SPARSE))
    return ndimage.gaussian_filter(weights, BLUR / STEP)
