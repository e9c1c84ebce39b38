"""One step of subdivision that rounds a coarse surface, its borders and its chains.

Loop (1987) for triangles, cubic B-splines for borders and chains, so that a chain
that runs along a border stays on it.  Values are rows of any width: here x, y, z and
the radius.  (trimesh's own Loop step needs consistently turned faces.)
"""

from collections import defaultdict

import numpy as np


def bspline(chain: np.ndarray) -> np.ndarray:
    """Refined chain (2n − 1, k) of a chain of points (n, k); the ends stay."""
    fine = np.repeat(chain, 2, axis=0)[:-1]
    fine[1::2] = (chain[1:] + chain[:-1]) / 2
    fine[2:-1:2] = (chain[:-2] + 6 * chain[1:-1] + chain[2:]) / 8
    return fine


def loop(values: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Refined values (v + e, k) and faces (4 f, 3); at most two faces on an edge.

    Old rows come first, moved; Warren's weights inside, the B-spline's on borders.
    """
    across = defaultdict(list)
    for a, b, c in faces:
        for edge, apex in (((a, b), c), ((b, c), a), ((c, a), b)):
            across[tuple(sorted(edge))].append(apex)
    middle = {edge: len(values) + i for i, edge in enumerate(across)}
    fresh = [
        values[list(edge)].mean(0) * (0.75 if len(apexes) == 2 else 1.0)
        + (values[apexes].sum(0) / 8 if len(apexes) == 2 else 0.0)
        for edge, apexes in across.items()
    ]
    moved = _moved(values, across)
    finer = []
    for a, b, c in faces:
        ab, bc, ca = (middle[tuple(sorted(e))] for e in ((a, b), (b, c), (c, a)))
        finer += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.vstack([moved, fresh]), np.array(finer)


def _moved(values: np.ndarray, across: dict[tuple, list]) -> np.ndarray:
    near, border = defaultdict(list), defaultdict(list)
    for (a, b), apexes in across.items():
        for one, other in ((a, b), (b, a)):
            near[one].append(other)
            if len(apexes) == 1:
                border[one].append(other)
    moved = values.copy()
    for vertex, ring in near.items():
        ring = border.get(vertex, ring)
        if vertex in border:
            weight = 1 / 8
        else:
            weight = 3 / 16 if len(ring) == 3 else 3 / (8 * len(ring))
        own = 1 - weight * len(ring)
        moved[vertex] = own * values[vertex] + weight * values[ring].sum(0)
    return moved
