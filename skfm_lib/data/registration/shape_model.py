"""The skull that scans are laid upon: an average one, and how heads differ from it."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from skfm_lib.data.phantom import craniometry, phantom_skull
from skfm_lib.data.phantom.template import pose, to_template
from skfm_lib.data.voxels import skull_grid, surface

FINE = (114, 88, 128)  # 2.04 mm voxels: finer than skulls differ from each other
AVERAGE = 579  # of the first 1000 phantoms, the one of the most average measures
POINTS = 8000
PEOPLE, MODES = 100, 10  # individuals drawn, and principal components kept
INVERSIONS = 8  # fixed-point steps; each leaves a fifth of the error at most


@dataclass(frozen=True)
class Reference:
    """A surface in the skull frame, and its principal ways to differ.

    points, normals  (m, 3) of the mean of PEOPLE phantom individuals, mm
    modes            (k, m, 3): shift of each point by one standard deviation, mm
    """

    points: np.ndarray
    normals: np.ndarray
    modes: np.ndarray

    def shaped(self, b: np.ndarray) -> np.ndarray:
        """The points (m, 3) of a skull b (k,) standard deviations off the mean."""
        return self.points + np.tensordot(b, self.modes, 1)

    def thinned(self, count: int, modes: int) -> "Reference":
        """Its first `count` points, in random order as they are, and first modes."""
        own = slice(count)
        return Reference(self.points[own], self.normals[own], self.modes[:modes, own])


@cache
def reference() -> Reference:
    """The average phantom with the population's shape modes.

    A phantom individual is a smooth map onto the template (`template.to_template`).
    The surface of a complete phantom, taken to the template and back onto PEOPLE
    others, gives points that correspond; their principal components are the modes:
    size, length against breadth, height of vault and face, asymmetry.  Everyone
    stands in a skull frame of their own, so that to fit the modes is to find it.
    """
    points, normals = _complete()
    matrix, shift = pose(AVERAGE)
    head, normals = (points - shift) @ matrix, normals @ matrix
    template = to_template(AVERAGE, craniometry(AVERAGE), tuple(head.T))
    people = np.stack([_worn_by(seed, template) for seed in range(PEOPLE)])
    mean = people.mean(axis=0)
    flat = (people - mean).reshape(PEOPLE, -1)
    _, vectors = np.linalg.eigh(flat @ flat.T)
    scores = vectors[:, ::-1][:, :MODES] / np.sqrt(PEOPLE - 1)
    modes = (scores.T @ flat).reshape(MODES, *mean.shape)
    return Reference(mean, normals, modes)


def _worn_by(seed: int, template: np.ndarray) -> np.ndarray:
    """Points (n, 3) of individual `seed` that template coordinates (3, n) belong to."""
    who, head = craniometry(seed), template
    for _ in range(INVERSIONS):
        head = head + template - to_template(seed, who, tuple(head))
    return head.T.astype(float)


def _complete() -> tuple[np.ndarray, np.ndarray]:
    """Surface points and outward unit normals (m, 3) of a complete phantom."""
    # QS 5 ends above the neck, QS 6 below the vertex: together they are complete.
    bone = phantom_skull(AVERAGE, 5, FINE) | phantom_skull(AVERAGE, 6, FINE)
    mesh = surface(bone, skull_grid(FINE), 0.5).compute_normals(
        cell_normals=False, split_vertices=False, consistent_normals=False
    )
    some = np.random.default_rng(0).permutation(mesh.n_points)[:POINTS]
    points, normals = mesh.points[some], mesh.point_data["Normals"][some]
    return points.astype(float), normals.astype(float)
