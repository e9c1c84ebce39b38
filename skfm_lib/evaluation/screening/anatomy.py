"""Measures of a single skull: topology, size, dental relief and asymmetry."""

import numpy as np
from scipy import ndimage
from skimage.measure import block_reduce, euler_number

from skfm_lib.data.bone_fractions import LEVEL, as_fraction, is_bone
from skfm_lib.data.voxels import FULL_BYTE, Grid
from skfm_lib.utils.errors import SkfmError

FINE, COARSE = 4.0, 8.0  # mm, block edge: classifier and asymmetry; shape model
CORNERS = np.ones((3, 3, 3), bool)  # bone connects across corners, air across faces
PIECE = 0.5  # cm³ of a part or cavity that counts: eight voxels at preset quick
FAINT = LEVEL / 2  # fraction of bone that still closes a wall
NARROW = 4.0  # mm; walls are closed by as much from both sides before tunnels count
# Crowns of both dental arches in the skull frame, mm along x, y and z: the arches are
# 50 mm wide and end 86 mm before the ears, the crowns meet 44 mm below them.  The
# lower end is above the lowest border of a QS 5 scan, which would count as relief.
TEETH = ((-36.0, 36.0), (38.0, 95.0), (-48.0, -33.0))
TOLERANCE = 4.0  # mm, or one block, between the sides of a face that look symmetric


def block_edge(grid: Grid, edge: float) -> int:
    """Voxels along the edge of a block of about `edge` mm, at least 1."""
    return max(1, round(edge / grid.spacing))


def downsample(volume: np.ndarray, grid: Grid, edge: float) -> np.ndarray:
    """Fraction of bone in blocks of about `edge` mm, float32, of bits or bytes."""
    scale = np.float32(FULL_BYTE if volume.dtype == np.uint8 else 1)
    mean = {"func": np.mean, "func_kwargs": {"dtype": np.float32}}
    return block_reduce(volume, block_edge(grid, edge), **mean) / scale


def check_volume(volume: np.ndarray, grid: Grid) -> None:
    """SkfmError unless a volume has bits or bytes on this grid; so it has no NaN."""
    if volume.shape != grid.shape or volume.dtype not in (bool, np.uint8):
        raise SkfmError(
            f"a volume of {volume.shape} {volume.dtype}",
            f"bits or bytes {grid.shape}, as its grid has",
            "read it with SkullSet.volume",
        )


def bone_of(volume: np.ndarray, grid: Grid) -> np.ndarray:
    """Bone, bool, of bits or bytes; SkfmError if there is none, as `check_volume`."""
    check_volume(volume, grid)
    if not (bone := is_bone(volume)).any():
        raise SkfmError("a volume without bone", "a skull", "generate it again")
    return bone


def topology(volume: np.ndarray, grid: Grid) -> dict[str, float]:
    """Connectivity of the bone, by its Betti numbers b₀, b₁, b₂ at a clinical size.

    ``parts``: pieces of at least PIECE cm³, or 1 if all are smaller.  ``loose``: bone
    outside the largest piece, cm³.  ``tunnels``: b₁ = b₀ + b₂ − χ with the Euler number
    χ, after a closing with a cube that reaches NARROW mm: orbits, nose, arches, large
    foramina and false holes.  ``cavities``: enclosed air of at least PIECE cm³ each,
    such as a frontal sinus.

    Small cavities, and perforations of walls thinner than a voxel, depend on threshold
    and smoothing.  So where the fraction of bone is above FAINT, a wall closes a tunnel
    and a bridge joins two parts.

    >>> solid = Grid((4, 4, 4), 10.0, (0.0, 0.0, 0.0))
    >>> topology(np.ones(solid.shape, bool), solid)
    {'parts': 1, 'loose': 0.0, 'tunnels': 0, 'cavities': 0}
    """
    reach = max(1, round(NARROW / grid.spacing))
    bone = np.pad(bone_of(volume, grid), 1 + reach)
    faint = np.pad(as_fraction(volume) > FAINT, 1 + reach)
    voxel = grid.spacing**3 / 1000
    parts = np.bincount(ndimage.label(faint, CORNERS)[0][bone]) * voxel
    edge = 2 * reach + 1
    wide = ndimage.minimum_filter(ndimage.maximum_filter(faint, edge), edge)
    betti_0, betti_2 = ndimage.label(wide, CORNERS)[1], len(_enclosed(wide))
    return {
        "parts": max(1, int((parts >= PIECE).sum())),
        "loose": float(parts.sum() - parts.max()),
        "tunnels": betti_0 + betti_2 - int(euler_number(wide, connectivity=3)),
        "cavities": int((_enclosed(bone) * voxel >= PIECE).sum()),
    }


def size(volume: np.ndarray, grid: Grid) -> dict[str, float]:
    """Volume (cm³) and length, breadth and height (mm, along y, x and z) of the bone.

    `volume` has bits or bytes; the volume is the sum of the fractions of bone.  Extents
    span the 0.5 % to the 99.5 % quantile of the bone, so that a distant fragment does
    not change them.
    """
    bone, extents = bone_of(volume, grid), {}
    for axis, name in enumerate(("length", "breadth", "height")):
        others = tuple(a for a in range(3) if a != axis)
        share = np.cumsum(bone.sum(axis=others)) / bone.sum()
        first, last = np.searchsorted(share, (0.005, 0.995))
        extents[name] = float(last - first + 1) * grid.spacing
    voxels = float(as_fraction(volume).sum(dtype=float))
    return {"volume": voxels * grid.spacing**3 / 1000, **extents}


def tooth_relief(volume: np.ndarray, grid: Grid) -> float:
    """Sharpness of the dental arches; 0 where the box TEETH has no surface (Fig. 4b).

    Mean difference between the bone of a voxel and that of its 3×3×3 neighbourhood,
    over the voxels that have any.  It is ⅓ on both sides of a flat wall between voxels;
    blur lowers it, and in bits so do small fragments.
    """
    bone_of(volume, grid)
    x, y, z = grid.axes()
    box = tuple(
        slice(*np.searchsorted(axis, ends))
        for axis, ends in zip((y, x, z), (TEETH[1], TEETH[0], TEETH[2]))
    )
    fractions = as_fraction(volume)
    unlike = np.abs(fractions - ndimage.uniform_filter(fractions, 3))[box]
    edge = unlike > 0.5 / 27
    return float(unlike[edge].mean()) if edge.any() else 0.0


def asymmetry(volume: np.ndarray, grid: Grid) -> float:
    """Bone (cm³) without a counterpart on the other side.

    Bone counts if its mirror image in the plane of symmetry is more than TOLERANCE mm,
    or one block of the comparison, from any bone along every axis.
    """
    bone = bone_of(volume, grid)
    shares = downsample(bone, grid, FINE)
    edge = grid.spacing * block_edge(grid, FINE)
    # Mirror every block with bone, in block indices.
    normal, offset = _mirror_plane(bone, grid)
    filled = np.argwhere(shares > 0)
    image = np.rint(filled - 2 * np.outer(filled @ normal - offset, normal)).astype(int)
    inside = ((image >= 0) & (image < shares.shape)).all(axis=1)
    # Blocks whose image lies in the dilated bone have a counterpart.
    reach = max(1, round(TOLERANCE / edge))
    near = ndimage.binary_dilation(shares > 0, CORNERS, iterations=reach)
    matched = filled[inside][near[tuple(image[inside].T)]]
    unmatched = shares.astype(float) * edge**3 / 1000
    unmatched[tuple(matched.T)] = 0
    return float(unmatched.sum())


def _mirror_plane(bone: np.ndarray, grid: Grid) -> tuple[np.ndarray, float]:
    """Unit normal and offset of the plane of symmetry, in indices of FINE blocks.

    Gauss–Newton over shift, yaw and roll on COARSE blocks, from the middle of the grid,
    with the Jacobian of the start: registered skulls lie within 2° and 2 mm of it.
    """
    soft = ndimage.gaussian_filter(downsample(bone, grid, COARSE), 0.7)
    middle = (np.array(soft.shape) - 1) / 2

    def plane(fit: np.ndarray) -> tuple[np.ndarray, float]:
        shift, yaw, roll = fit
        normal = np.array([yaw, 1.0, roll]) / np.hypot(np.hypot(yaw, roll), 1)
        return normal, normal @ middle + shift

    def difference(fit: np.ndarray) -> np.ndarray:
        normal, offset = plane(fit)
        matrix = np.eye(3) - 2 * np.outer(normal, normal)
        mirrored = ndimage.affine_transform(soft, matrix, 2 * offset * normal, order=1)
        return (mirrored - soft).ravel()

    fit, steps = np.zeros(3), np.diag([0.1, 0.01, 0.01])
    slopes = [(difference(s) - difference(-s)) / (2 * s.sum()) for s in steps]
    for _ in range(6):
        fit -= np.linalg.lstsq(np.stack(slopes, axis=1), difference(fit))[0]
    normal, offset = plane(fit)
    # From COARSE to FINE indices, whose origins are the centres of blocks 0.
    f = block_edge(grid, COARSE) / block_edge(grid, FINE)
    return normal, offset * f + (f - 1) / 2 * normal.sum()


def _enclosed(padded: np.ndarray) -> np.ndarray:
    """Voxels of each air that bone encloses."""
    air, _ = ndimage.label(~padded)
    sizes = np.bincount(air[air != air[0, 0, 0]])[1:]
    return sizes[sizes > 0]
