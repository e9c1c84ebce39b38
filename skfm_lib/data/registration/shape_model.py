"""The reference skull: the mean of a population, and its principal shape modes."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from skfm_lib.data.phantom import craniometry, phantom_skull
from skfm_lib.data.phantom.template import pose, to_template
from skfm_lib.data.voxels import skull_grid, surface

FINE = (114, 88, 128)  # 2.04 mm voxels: finer than the differences between skulls
AVERAGE = 579  # of the first 1000 phantoms, the one closest to the mean measures
POINTS = 8000
PEOPLE, MODES = 100, 10  # individuals sampled, and principal components kept
INVERSIONS = 8  # fixed-point iterations; each leaves at most a fifth of the error


@dataclass(frozen=True)
class Reference:
    """A surface in the skull frame, and its principal modes of variation.

    Attributes:
        points, normals: (m, 3), of the mean of PEOPLE phantom individuals, mm.
        modes: (k, m, 3), displacement of each point by one standard deviation, mm.
    """

    points: np.ndarray
    normals: np.ndarray
    modes: np.ndarray

    def deformed(self, shape: np.ndarray) -> np.ndarray:
        """Points (m, 3) of a skull, `shape` (k,) standard deviations from the mean."""
        return self.points + np.tensordot(shape, self.modes, 1)

    def subset(self, count: int, modes: int) -> "Reference":
        """Its first `count` points, which are in random order, and first modes."""
        own = slice(count)
        return Reference(self.points[own], self.normals[own], self.modes[:modes, own])


@cache
def reference() -> Reference:
    """The mean phantom with the shape modes of the population.

    A phantom individual is a smooth map onto the template (`template.to_template`).
    The surface of a complete phantom, mapped to the template and back onto PEOPLE
    others, gives corresponding points; their principal components are the modes:
    size, length against breadth, height of vault and face, asymmetry.  Each individual
    is in its own skull frame, so that a fit of the modes also finds that frame.
    """
    # Surface points of one individual, in template coordinates.
    points, normals = _complete_surface()
    matrix, shift = pose(AVERAGE)
    head, normals = (points - shift) @ matrix, normals @ matrix
    template = to_template(AVERAGE, craniometry(AVERAGE), tuple(head.T))
    # The same points on every other individual.
    people = np.stack([_from_template(seed, template) for seed in range(PEOPLE)])
    mean = people.mean(axis=0)
    # Principal components by the Gram matrix, which is smaller than the covariance.
    flat = (people - mean).reshape(PEOPLE, -1)
    _, vectors = np.linalg.eigh(flat @ flat.T)
    scores = vectors[:, ::-1][:, :MODES] / np.sqrt(PEOPLE - 1)
    modes = (scores.T @ flat).reshape(MODES, *mean.shape)
    return Reference(mean, normals, modes)


def _from_template(seed: int, template: np.ndarray) -> np.ndarray:
    """Points (n, 3) of individual `seed` at template coordinates (3, n)."""
    who, head = craniometry(seed), template
    for _ in range(INVERSIONS):
        head = head + template - to_template(seed, who, tuple(head))
    return head.T.astype(float)


def _complete_surface() -> tuple[np.ndarray, np.ndarray]:
    """Surface points and outward unit normals (m, 3) of a complete phantom."""
    # QS 5 ends above the neck, QS 6 below the vertex: together they are complete.
    bone = phantom_skull(AVERAGE, 5, FINE) | phantom_skull(AVERAGE, 6, FINE)
    mesh = surface(bone, skull_grid(FINE), 0.5).compute_normals(
        cell_normals=False, split_vertices=False, consistent_normals=False
    )
    some = np.random.default_rng(0).permutation(mesh.n_points)[:POINTS]
    points, normals = mesh.points[some], mesh.point_data["Normals"][some]
    return points.astype(float), normals.astype(float)
