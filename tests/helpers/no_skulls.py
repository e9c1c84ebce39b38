"""Surfaces of things that are no skull, in mm: furniture, fruit, bones, fragments.

Most are unions of primitives, given by their signed distance (negative inside), as in
https://iquilezles.org/articles/distfunctions; fragments are cut from phantoms.
"""

from collections.abc import Callable

import numpy as np
import pyvista as pv
from own_frame import GRID, SHAPE, X, Y, Z, whole_or_part
from scipy import ndimage
from scipy.spatial.transform import Rotation

from skfm_lib.data.bone_fractions import is_bone
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import isosurface, surface

SPACING, HALF = 4.0, 168.0  # mm, of the lattice and from its centre to its faces
Field = np.ndarray


def lattice() -> np.ndarray:
    """Points (n, n, n, 3), x y z in mm."""
    axis = np.arange(-HALF, HALF + 1, SPACING)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


P = lattice()


def at(x: float, y: float, z: float) -> np.ndarray:
    return P - (x, y, z)


def box(x: float, y: float, z: float, p: np.ndarray = P) -> Field:
    """Of half-widths x, y, z."""
    outside = np.abs(p) - (x, y, z)
    return np.linalg.norm(outside.clip(0), axis=-1) + outside.max(axis=-1).clip(max=0)


def ellipsoid(x: float, y: float, z: float, p: np.ndarray = P) -> Field:
    """Of half-axes x, y, z; nearly a distance."""
    scaled = np.linalg.norm(p / (x, y, z), axis=-1)
    slope = np.linalg.norm(p / (x * x, y * y, z * z), axis=-1)
    return scaled * (scaled - 1) / slope.clip(1e-6)


def rod(start: tuple, end: tuple, radius: float, p: np.ndarray = P) -> Field:
    """A capsule between two points."""
    a, along = np.array(start, float), np.subtract(end, start).astype(float)
    t = ((p - a) @ along / (along @ along)).clip(0, 1)
    return np.linalg.norm(p - a - t[..., None] * along, axis=-1) - radius


def ring(x: float, y: float, radius: float, p: np.ndarray = P) -> Field:
    """A torus around z with half-axes x, y of its middle line."""
    middle = ellipsoid(x, y, 1e4, p * (1, 1, 0))
    return np.hypot(middle, p[..., 2]) - radius


def join(*fields: Field) -> Field:
    return np.min(fields, axis=0)


def cut(field: Field, *away: Field) -> Field:
    return np.max([field, *(-one for one in away)], axis=0)


def shell(field: Field, thickness: float) -> Field:
    return np.abs(field + thickness / 2) - thickness / 2


def plate() -> Field:
    return box(50, 2.6, 80)


def curved_plate() -> Field:
    """A quarter of a tube, of the thickness of a vault."""
    tube = shell(ellipsoid(75, 95, 1e4, P * (1, 1, 0)), 7)
    return cut(tube, -box(50, 50, 75, at(0, 90, 0)))


def chair() -> Field:
    legs = [rod((x, y, -100), (x, y, 0), 6) for x in (-50, 50) for y in (-50, 50)]
    return join(box(58, 58, 5), box(58, 5, 60, at(0, -53, 60)), *legs)


def table() -> Field:
    legs = [rod((x, y, -70), (x, y, 0), 6) for x in (-80, 80) for y in (-50, 50)]
    return join(box(95, 65, 5), *legs)


def crate() -> Field:
    return shell(box(75, 95, 70), 6)


def apple() -> Field:
    """With a dimple at either end, and the core's cavity."""
    dimples = [ellipsoid(25, 25, 35, at(0, 0, z)) for z in (-95, 95)]
    return cut(ellipsoid(85, 85, 80), *dimples, ellipsoid(14, 14, 22))


def banana() -> Field:
    angles = np.linspace(-1.1, 1.1, 12)
    line = [(110 * np.sin(a), 110 * np.cos(a) - 90, 0) for a in angles]
    sizes = 20 * np.cos(angles / 1.3)
    return join(*(rod(*ends, r) for *ends, r in zip(line, line[1:], sizes)))


def vertebra() -> Field:
    """Magnified to the size of a head."""
    body, canal = (
        ellipsoid(60, 45, 40, at(0, 40, 0)),
        ellipsoid(28, 24, 1e3, at(0, -22, 0)),
    )
    arch = cut(ellipsoid(48, 44, 26, at(0, -22, 0)), canal)
    wings = [rod((s * 35, -25, 0), (s * 90, -45, 8), 11) for s in (-1, 1)]
    return join(body, arch, *wings, rod((0, -60, 0), (0, -115, -30), 10))


def long_bone() -> Field:
    """With its marrow cavity."""
    shaft = shell(rod((0, 0, -90), (0, 0, 90), 16), 6)
    ends = [ellipsoid(30, 26, 24, at(x, 0, z)) for x in (-16, 16) for z in (-110, 110)]
    return join(shaft, *ends)


def pelvis() -> Field:
    """A ring with two wings."""
    wings = [
        cut(
            shell(ellipsoid(48, 60, 75, at(s * 70, -5, 55)), 8),
            box(48, 90, 90, at(s * 22, 0, 55)),
        )
        for s in (-1, 1)
    ]
    sitting = [rod((s * 60, 20, 0), (s * 45, 20, -70), 16) for s in (-1, 1)]
    return join(ring(70, 60, 13), *wings, *sitting, box(40, 12, 40, at(0, -60, 10)))


def rib_cage() -> Field:
    tall = [
        ring(60 + 25 * np.cos(z / 90), 55, 5, at(0, 0, z)) for z in range(-100, 110, 22)
    ]
    return join(
        *tall, rod((0, -55, -120), (0, -55, 120), 14), rod((0, 55, -60), (0, 55, 90), 9)
    )


def tube() -> Field:
    return cut(shell(ellipsoid(70, 70, 1e4, P * (1, 1, 0)), 8), -box(200, 200, 90))


def ball() -> Field:
    return ellipsoid(100, 100, 100)


def egg() -> Field:
    """A solid of a head's size."""
    return ellipsoid(70, 92, 85)


def hollow_egg() -> Field:
    """A shell of the size and thickness of a braincase."""
    return shell(ellipsoid(72, 94, 80), 7)


def hollow_ball() -> Field:
    return shell(ball(), 8)


def bowl() -> Field:
    """The upper half of a braincase, smooth, as a helmet or a bowl."""
    return cut(hollow_egg(), box(200, 200, 100, at(0, 0, -110)))


def helmet() -> Field:
    """Deep, with an opening for the face."""
    return cut(
        shell(ellipsoid(78, 98, 105), 7),
        box(200, 200, 60, at(0, 0, -135)),
        box(60, 60, 50, at(0, 90, -45)),
    )


def bust() -> Field:
    """Head with nose, neck and shoulders: the skin, filled."""
    head = join(
        ellipsoid(74, 96, 112, at(0, 0, 40)), ellipsoid(14, 26, 22, at(0, 92, 10))
    )
    neck = rod((0, -10, -20), (0, -15, -120), 52)
    return join(head, neck, ellipsoid(160, 60, 45, at(0, -15, -140)))


def skin() -> Field:
    """The bust as a scanner of surfaces and a printer give it: a thin shell."""
    return shell(bust(), 6)


THINGS: dict[str, Callable[[], Field]] = {
    one.__name__.replace("_", " "): one
    for one in (
        plate, curved_plate, chair, table, crate, apple, banana, vertebra, long_bone,
        pelvis, rib_cage, tube, ball, egg, hollow_egg, hollow_ball, bowl, helmet, bust,
        skin,
    )
}  # fmt: skip


def thing(name: str) -> pv.PolyData:
    """One of THINGS."""
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = -HALF
    field = np.pad(THINGS[name](), 1, constant_values=SPACING)
    affine[:3, 3] -= SPACING
    return isosurface(-field.astype(np.float32), affine, 0.0)


FRAGMENTS = (
    "cap", "half a vault", "left half", "forehead", "midface", "mandible",
    "base without vault", "solid head", "solid braincase",
)  # fmt: skip


def fragment(name: str, seed: int) -> pv.PolyData:
    """A part of a phantom that shows less than score 2, or a phantom filled."""
    if name.startswith("solid"):
        bone = np.pad(is_bone(phantom_skull(seed, 5, SHAPE)), 12)  # to close openings
        bone = ndimage.binary_closing(bone, iterations=10)[12:-12, 12:-12, 12:-12]
        bone = ndimage.binary_fill_holes(bone)
        return surface(bone & ((Z > 30) | (name == "solid head")), GRID, 0.5)
    part = {
        "cap": Z > 60,
        "half a vault": (Z > 35) & (X > 0),
        "left half": X < 0,
        "forehead": (Z > 20) & (Y > 60),
        "midface": (Y > 55) & (np.abs(Z) < 40),
        "mandible": (Z < -48) & (Y > 30),
        "base without vault": (Z < 25) & (Z > -30) & (Y < 40),
    }[name]
    return whole_or_part(seed, 6 if name in ("midface", "mandible") else 5, part)


def posed(mesh: pv.PolyData, seed: int, size: float = 1.0) -> pv.PolyData:
    """Turned by up to 30° about each axis, shifted by up to 40 mm, and scaled."""
    rng, matrix = np.random.default_rng(seed), np.eye(4)
    turn = Rotation.from_euler("xyz", rng.uniform(-30, 30, 3), degrees=True)
    matrix[:3, :3] = size * turn.as_matrix()
    matrix[:3, 3] = rng.uniform(-40, 40, 3)
    return mesh.transform(matrix, inplace=False)
