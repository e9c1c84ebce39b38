"""Modes of variation of a population of phantoms, by dense corresponding points."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skfm_lib.data.registration.shape_model import from_template, template_surface
from skfm_lib.utils.progress import track

POINTS = 2000  # of a phantom's surface that correspond


@dataclass(frozen=True)
class ShapeModes:
    """Principal components of shape.

    Attributes:
        variances: of the modes, mm² over all points, descending.
        people: number of individuals.
    """

    variances: np.ndarray
    people: int

    def needed(self, share: float) -> int:
        """The number of modes that hold a share of the variance."""
        held = np.cumsum(self.variances) / self.variances.sum()
        return int(np.searchsorted(held, share - 1e-12)) + 1

    def held(self, modes: int) -> float:
        """The share of the variance that the first modes hold."""
        return float(self.variances[:modes].sum() / self.variances.sum())

    @property
    def participation(self) -> float:
        """(Σ λ)² / Σ λ²: the number of modes, if all were of one size."""
        return float(self.variances.sum() ** 2 / (self.variances**2).sum())


def corresponding_points(seeds: Sequence[int], count: int = POINTS) -> np.ndarray:
    """The same surface points of every individual, (people, count, 3), mm.

    In each individual's own skull frame: the residual pose is undone.
    """
    template = template_surface()[0][:, :count]
    return np.stack([from_template(s, template) for s in track(seeds, "Shapes")])


def shape_modes(people: np.ndarray, sized: bool = True) -> ShapeModes:
    """The modes of corresponding points (people, n, 3), mm, in one frame.

    Unless `sized`, each individual is first scaled to the mean centroid size, as
    published models of shape without size are.

    >>> line = np.linspace(-1, 1, 5)[:, None, None] * np.ones((5, 4, 3))
    >>> shape_modes(line).needed(0.99)
    1
    """
    if not sized:
        centred = people - people.mean(axis=1, keepdims=True)
        size = np.sqrt((centred**2).mean(axis=(1, 2), keepdims=True))
        people = centred * (size.mean() / size)
    count, points = people.shape[:2]
    flat = (people - people.mean(axis=0)).reshape(count, -1)
    variances = np.linalg.svd(flat, compute_uv=False) ** 2 / (count - 1) / points
    return ShapeModes(variances, count)
