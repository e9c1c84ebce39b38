"""Functions for a sandbox's child in the tests, which can import this module."""

import ctypes
import sys

import numpy as np

from skfm_lib.data.io.meshes import HEAD
from skfm_lib.data.io.sandbox import time_limit
from skfm_lib.data.registration.canonical_pose import register
from skfm_lib.data.voxels import Grid, voxelise
from skfm_lib.prepare.bone_segmentation import POSSIBLE_BONE, THRESHOLD
from skfm_lib.prepare.discovery import Source
from skfm_lib.prepare.extraction import read_surface
from skfm_lib.utils.errors import SkfmError

SPACING, SIDE = 4.08, 64  # mm and voxels of the cube in which skulls are compared
SAME = 0.97  # Dice of one skull read twice


def crash() -> None:
    """Read from address 0."""
    ctypes.string_at(0)


def hang() -> None:
    """Outlast the limit, without giving other threads a turn."""
    with time_limit(0.3):
        ctypes.PyDLL(None).sleep(60)


def spin() -> None:
    """Compute for ever in native code."""
    with time_limit(0.3):
        sum(iter(int, 1))


def swallow(size: int) -> int:
    """Ask for memory."""
    return len(bytearray(size))


def refuse() -> None:
    """Raise an error of the user's."""
    raise SkfmError("found", "expected", "remedy")


def stumble() -> None:
    """Raise an error of the library's, with a patient's name in it."""
    raise KeyError("Doe^Jane")


def talk() -> str:
    """Print, within a limit."""
    with time_limit(60):
        print("Doe^Jane")
        print("Doe^Jane", file=sys.stderr)
    return "done"


def skull_of(source: Source) -> tuple[np.ndarray, Grid]:
    """The voxels of a scan, and the grid around its middle that they are on."""
    mesh, _, _ = read_surface(source, THRESHOLD)
    corner = np.array(mesh.center) - SPACING * (SIDE - 1) / 2
    grid = Grid((SIDE,) * 3, SPACING, tuple(corner.tolist()))
    return voxelise(mesh, grid), grid


def compared(source: Source, truth: np.ndarray, grid: Grid) -> str:
    """Whether a scan is the "same" skull or a "plausible" one; errors as `prepare`."""
    mesh, _, _ = read_surface(source, THRESHOLD)
    bone = voxelise(mesh, grid)
    if 2 * (bone & truth).sum() >= SAME * (bone.sum() + truth.sum()):
        return "same"
    register(mesh)  # SkfmError if it is no skull
    extent = float(np.ptp(mesh.points, axis=0).max())
    fits = HEAD[0] <= extent <= HEAD[1] and abs(mesh.volume) <= 1e3 * POSSIBLE_BONE[1]
    return "plausible" if fits else f"{extent:.0f} mm, {abs(mesh.volume):.0f} mm³"
