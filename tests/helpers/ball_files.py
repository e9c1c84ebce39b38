"""A ball as a mesh file, and the check that it was read."""

from pathlib import Path

import numpy as np
import pytest
import pyvista as pv

from skfm_lib.data.io.meshes import read_mesh

BALL = pv.Sphere(
    radius=80, center=(3, 4, 5), theta_resolution=12, phi_resolution=12
).clean()
POINTS, FACES = BALL.points, BALL.regular_faces


def read(folder: Path, name: str, content: bytes | str) -> pv.PolyData:
    """What `read_mesh` makes of a file's content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_mesh(path)


def check(mesh: pv.PolyData, shift: tuple[float, float, float] = (0, 0, 0)) -> None:
    """A mesh is the ball, shifted (mm): its triangles, closed, within 1 µm."""
    assert mesh.n_cells == len(FACES) and mesh.n_open_edges == 0
    bounds = np.reshape(BALL.bounds, (3, 2)) + np.array(shift)[:, None]
    np.testing.assert_allclose(mesh.bounds, bounds.ravel(), atol=1e-3)
    assert mesh.volume == pytest.approx(BALL.volume, rel=1e-4)
