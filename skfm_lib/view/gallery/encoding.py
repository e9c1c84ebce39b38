"""A triangle mesh as a short text, for a page without network."""

import base64
import zlib

import numpy as np
import pyvista as pv

STEPS = 32_000  # of a coordinate, from the middle of the skull frame to REACH
REACH = 150.0  # mm; a skull's centre is subtracted first


def encoded(
    mesh: pv.PolyData, triangles: int, centre: np.ndarray | None = None
) -> dict[str, int | str]:
    """A mesh of at most so many `triangles`, which `viewer.js` decodes.

    `centre` (3,), mm, becomes the origin; by default that of the mesh (`centre_of`).

    Coordinates are rounded to REACH / STEPS (0.005 mm) and stored as differences
    between vertices in the order of their first use; vertices of triangles as
    differences from the highest number so far.  Low bytes stand before high bytes, so
    that they deflate well: to some 85 kB for 12,000 triangles.  The scale of all skulls
    is the same.
    """
    mesh = _triangles(_triangles(mesh).clean())  # which makes thin ones lines
    if mesh.n_cells > triangles:
        mesh = mesh.decimate(1 - triangles / mesh.n_cells)
    faces = mesh.regular_faces.ravel()
    used, first, numbers = np.unique(faces, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    points = np.asarray(mesh.points, float)[used[np.argsort(first)]]
    centre = centre_of(mesh) if centre is None else centre
    steps = np.clip((points - centre) * STEPS / REACH, -32767, 32767).round()
    differences = np.diff(steps.astype(np.int32), axis=0, prepend=0).astype(np.uint16)
    index = rank[numbers].astype(np.int64)
    highest = np.maximum.accumulate(index)
    next_number = np.concatenate([[0], highest[:-1] + 1])
    codes = (next_number - index).astype(np.uint16)
    data = b"".join(_bytes(part.ravel()) for part in (differences, codes))
    text = base64.b64encode(zlib.compress(data, 9)).decode()
    return {"vertices": len(points), "faces": len(faces) // 3, "data": text}


def centre_of(*meshes: pv.PolyData) -> np.ndarray:
    """The middle (3,) of the box around all meshes."""
    bounds = np.array([mesh.bounds for mesh in meshes]).reshape(-1, 3, 2)
    return (bounds[..., 0].min(axis=0) + bounds[..., 1].max(axis=0)) / 2


def _triangles(mesh: pv.PolyData) -> pv.PolyData:
    """The triangles of a mesh, without its normals and other data."""
    return pv.PolyData.from_regular_faces(mesh.points, mesh.regular_faces)


def _bytes(words: np.ndarray) -> bytes:
    """16-bit words as all their low bytes, then all their high bytes."""
    pairs = np.ascontiguousarray(words, "<u2").view(np.uint8).reshape(-1, 2)
    return pairs[:, 0].tobytes() + pairs[:, 1].tobytes()
