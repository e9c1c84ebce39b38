"""Individual shape beyond craniometry: smooth random displacement and thickening.

Cubic B-splines with normal control points KNOTS mm apart, in template coordinates.  The
displacement leaves the measures and the frame of a skull as they are, see KEPT.
"""

from functools import cache, lru_cache

import numpy as np
from scipy.interpolate import BSpline

from skfm_lib.utils.errors import SkfmError

DEVIATION = 2.0  # mm, of each component of the displacement
KNOTS = 37.0  # mm; points correlate as by a Gaussian of length 30.7 mm
ASYMMETRY = 0.15  # share of the variance by which the sides differ
FOLDED = 0.2  # the least determinant of the Jacobian that is accepted
# The lattice that the splines are evaluated on: spacing and ends (x, y, z), mm.
SPACING = 8.0
ENDS = np.array([[-104.0, -136.0, -136.0], [104.0, 136.0, 168.0]])
# Landmarks of the template, mm, right side.
LANDMARKS = {
    "porion": (57, 0, 0), "orbitale": (32, 78.5, 0), "glabella": (0, 97.5, 40),
    "opisthocranion": (0, -96, 34), "euryon": (70.5, -20, 60), "basion": (0, 4, -17),
    "bregma": (0, 20, 124), "zygion": (68, 34, 3), "nasion": (0, 94, 29),
    "prosthion": (0, 88, -36), "spine": (0, 94, -18), "alare": (12, 87, -10),
    "dacryon": (13, 87, 19), "ectoconchion": (47, 68, 19), "gonion": (49, 18, -71),
    "infradentale": (0, 84, -57), "gnathion": (0, 86, -83),
}  # fmt: skip
# Sums and differences of the displacements of landmarks along an axis that are zero.
# The first six are the skull frame, then come braincase, face and jaw;
# `'` is a landmark of the left side.
KEPT = """
    x porion + porion', y porion, y porion', z porion, z porion',
    z orbitale + orbitale',
    y glabella - opisthocranion, x euryon - euryon', z bregma - basion,
    x zygion - zygion', z nasion - prosthion, z nasion - spine, x alare - alare',
    x ectoconchion - dacryon, x ectoconchion' - dacryon', y prosthion - nasion,
    x gonion - gonion', z infradentale - gnathion
"""


def vary(seed: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points moved to the template, and how thick the bone is there, of `seed`.

    Args:
        points: template coordinates (3, …) of the individual, float32, mm.

    Returns:
        The points (3, …) with the displacement added, and the thickening (…): a
        smooth field of mean 0 and standard deviation 1, independent of it.
    """
    # Here, as it takes a second: reading a scan needs the module, but not torch.
    import torch
    from torch.nn.functional import grid_sample

    low, high = (torch.tensor(end, dtype=torch.float32) for end in ENDS)
    flat = torch.from_numpy(points.reshape(3, -1)).T
    at = ((flat - low) * (2 / (high - low)) - 1).view(1, 1, 1, -1, 3)
    lattice = torch.from_numpy(_lattice(seed))
    values = grid_sample(lattice, at, padding_mode="border", align_corners=True)
    field = values.view(4, *points.shape[1:]).numpy()
    return points + field[:3], field[3]


def check_unfolded(displacement: np.ndarray) -> None:
    """Hold the map that adds a displacement to be one to one.

    Args:
        displacement: (3, nx, ny, nz) on a lattice of SPACING mm, mm.

    Raises:
        SkfmError: if the determinant of the map's Jacobian is below FOLDED somewhere.
    """
    if (least := jacobian(displacement).min()) < FOLDED:
        found = f"the displacement folds: Jacobian determinant {least:.2f}"
        expected = f"at least {FOLDED:g} everywhere"
        raise SkfmError(found, expected, "lower DEVIATION or raise KNOTS")


def jacobian(displacement: np.ndarray) -> np.ndarray:
    """Determinants (nx, ny, nz) of the map, see `check_unfolded`."""
    along = np.gradient(displacement.astype(np.float32), SPACING, axis=(1, 2, 3))
    unit = np.eye(3, dtype=np.float32)[..., None, None, None]
    x, y, z = (slope + axis for slope, axis in zip(along, unit))
    return (x * np.cross(y, z, axis=0)).sum(axis=0)


@lru_cache(maxsize=8)  # a skull is modelled in many slabs
def _lattice(seed: int) -> np.ndarray:
    """Displacement and thickening of an individual (1, 4, nz, ny, nx), float32."""
    bases = _lattice_bases()
    control = _control_points(seed, tuple(basis.shape[1] for basis in bases))
    # Unit variance: the squares of the weights of a point, on average.
    power = np.prod([(basis**2).sum(axis=1).mean() for basis in bases])
    control /= np.sqrt(power)
    control[:3] *= DEVIATION
    for basis in bases:  # each contraction moves the next axis to the front
        control = np.tensordot(control, basis, (1, 1))
    field = control  # (4, nx, ny, nz)
    check_unfolded(field[:3])
    return field.astype(np.float32).transpose(0, 3, 2, 1)[None]


@cache
def _lattice_bases() -> tuple[np.ndarray, ...]:
    """The splines at the lattice's x, y and z: a tenth of the time of a reference."""
    axes = [np.arange(low, high + 1, SPACING) for low, high in ENDS.T]
    return tuple(_basis(axis, values) for axis, values in enumerate(axes))


def _control_points(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Control points (4, nx, ny, nz) that are mostly even and leave KEPT as it is."""
    random = np.random.default_rng([seed, 2]).standard_normal((4, *shape))
    mirrored = random[:, ::-1] * np.array([-1, 1, 1, 1]).reshape(4, 1, 1, 1)
    even, odd = (random + mirrored) / 2, (random - mirrored) / 2
    control = np.sqrt(2 * (1 - ASYMMETRY)) * even + np.sqrt(2 * ASYMMETRY) * odd
    rows, inverse = _constraints()
    moved = control[:3].reshape(-1)
    control[:3] = (moved - inverse @ (rows @ moved)).reshape(3, *shape)
    return control


@cache
def _constraints() -> tuple[np.ndarray, np.ndarray]:
    """The rows of KEPT as linear functions of the control points; pseudo-inverse."""
    rows = []
    for axis, *terms in (row.split() for row in KEPT.split(",")):
        signs = [1] + [1 if sign == "+" else -1 for sign in terms[1::2]]
        row = sum(s * _weights(name) for s, name in zip(signs, terms[::2]))
        rows.append([row if axis == other else 0 * row for other in "xyz"])
    matrix = np.array(rows).reshape(len(rows), -1)
    return matrix, np.linalg.pinv(matrix)


def _weights(name: str) -> np.ndarray:
    """Weights of the control points (nx, ny, nz) at a landmark."""
    x, y, z = LANDMARKS[name.rstrip("'")]
    point = (-x if name.endswith("'") else x, y, z)
    bases = [_basis(axis, np.array([v], float)) for axis, v in enumerate(point)]
    return np.einsum("xi,yj,zk->ijk", *bases)


def _basis(axis: int, values: np.ndarray) -> np.ndarray:
    """Cubic B-splines (m, n) at values (m,) of x, y or z, mm."""
    low, high = ENDS[:, axis]
    intervals = np.ceil((high - low) / KNOTS)
    start = (low + high - intervals * KNOTS) / 2
    knots = start + KNOTS * np.arange(-3, intervals + 4)
    return BSpline.design_matrix(values, knots, 3).toarray()
