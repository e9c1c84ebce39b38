"""Triangles from polygons and strips, and the error of the readers."""

from collections.abc import Sequence

import numpy as np

Mesh = tuple[np.ndarray, np.ndarray]  # points (n, 3); triangles (m, 3) of their indices


class Refused(Exception):
    """A mesh that cannot be read, with the reason in this library's own words.

    Attributes:
        remedy: What the user can do.
    """

    def __init__(self, reason: str, remedy: str = "copy or export it again") -> None:
        super().__init__(reason)
        self.remedy = remedy


def fan(polygon: Sequence[int]) -> list[int]:
    """The corners of the triangles of a polygon: (0, 1, 2), (0, 2, 3), …

    >>> fan([7, 8, 9, 5])
    [7, 8, 9, 7, 9, 5]
    """
    first = polygon[0] if polygon else 0
    return [i for pair in zip(polygon[1:], polygon[2:]) for i in (first, *pair)]


def strip(indices: np.ndarray) -> np.ndarray:
    """The triangles (m, 3) of a strip, in which −1 starts a new strip.

    >>> strip(np.array([0, 1, 2, 3])).tolist()
    [[0, 1, 2], [2, 1, 3]]
    """
    pieces = np.split(indices, np.flatnonzero(indices < 0))
    pieces = [piece[piece >= 0] for piece in pieces]
    triples = [
        np.lib.stride_tricks.sliding_window_view(piece, 3).copy()
        for piece in pieces
        if len(piece) > 2
    ]
    for triple in triples:  # every second triangle is wound the other way
        triple[1::2] = triple[1::2, [1, 0, 2]]
    return np.concatenate(triples) if triples else np.zeros((0, 3), np.int64)
