"""One subdivision step that smooths a coarse surface, its borders and its chains.

Loop's scheme (1987) for triangles, cubic B-splines for borders and chains, so that a
chain along a border stays on it.  Values are rows of any width, here x, y, z and the
radius.  (trimesh's Loop subdivision needs consistently oriented faces.)
"""

from collections import defaultdict

import numpy as np


def bspline(chain: np.ndarray) -> np.ndarray:
    """Refined chain (2n − 1, k) of a chain of points (n, k); its ends do not move."""
    fine = np.repeat(chain, 2, axis=0)[:-1]
    fine[1::2] = (chain[1:] + chain[:-1]) / 2
    fine[2:-1:2] = (chain[:-2] + 6 * chain[1:-1] + chain[2:]) / 8
    return fine


def loop(values: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Refined values (v + e, k) and faces (4 f, 3); at most two faces share an edge.

    The old rows come first, with Warren's weights inside and the B-spline's on borders.
    """
    # The vertices opposite to each edge: two inside, one on the border.
    opposite: dict[tuple[int, int], list[int]] = defaultdict(list)
    for a, b, c in faces.tolist():
        for one, other, apex in ((a, b, c), (b, c, a), (c, a, b)):
            opposite[min(one, other), max(one, other)].append(apex)
    middles = [
        values[list(edge)].mean(0) * 0.75 + values[apexes].sum(0) / 8
        if len(apexes) == 2
        else values[list(edge)].mean(0)
        for edge, apexes in opposite.items()
    ]
    number = {edge: len(values) + i for i, edge in enumerate(opposite)}
    number |= {(b, a): middle for (a, b), middle in number.items()}
    finer = []
    for a, b, c in faces.tolist():
        ab, bc, ca = number[a, b], number[b, c], number[c, a]
        finer += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.vstack([_moved(values, opposite), middles]), np.array(finer)


def _moved(values: np.ndarray, opposite: dict[tuple[int, int], list]) -> np.ndarray:
    """The old vertices, averaged with their neighbours."""
    near, border = defaultdict(list), defaultdict(list)
    for (a, b), apexes in opposite.items():
        for one, other in ((a, b), (b, a)):
            near[one].append(other)
            if len(apexes) == 1:
                border[one].append(other)
    moved = values.copy()
    for vertex, inner in near.items():
        ring = border.get(vertex, inner)
        weight = 3 / 16 if len(ring) == 3 else 3 / (8 * len(ring))
        if vertex in border:
            weight = 1 / 8
        own = 1 - weight * len(ring)
        moved[vertex] = own * values[vertex] + weight * values[ring].sum(0)
    return moved
