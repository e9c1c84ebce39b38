"""Who: the population of skull measures that individuals are drawn from."""

from dataclasses import dataclass, fields

import numpy as np

# Mean, standard deviation (mm, degrees, or as named) and loading on general size,
# from which the correlations follow: corr(a, b) = loading_a · loading_b.
POPULATION = {
    "length": (178.0, 7.0, 0.75),
    "breadth": (141.0, 6.0, 0.45),
    "height": (132.0, 6.0, 0.65),
    "bizygomatic": (130.0, 6.0, 0.75),
    "face_height": (70.0, 5.0, 0.65),
    "nasal_height": (51.0, 3.0, 0.6),
    "nasal_breadth": (24.0, 2.0, 0.35),
    "orbital_breadth": (40.0, 2.0, 0.5),
    "parietal_thickness": (6.0, 1.5, 0.1),
    "brow": (1.0, 0.45, 0.5),
    "gonial_angle": (122.0, 6.0, -0.2),
    "gonial_breadth": (97.0, 6.0, 0.5),
    "chin_height": (31.0, 3.0, 0.5),
    "prognathism": (0.0, 2.5, 0.0),
    "mastoid": (1.0, 0.15, 0.5),
    "sinus": (1.0, 0.2, 0.2),
}
LIMIT = 2.5  # standard deviations; farther draws are drawn again


@dataclass(frozen=True)
class Craniometry:
    """One individual's measures, mm unless said otherwise.

    length              glabella–opisthocranion (maximal)
    breadth             euryon–euryon (maximal, of the vault)
    height              basion–bregma
    bizygomatic         greatest breadth over the zygomatic arches
    face_height         nasion–prosthion
    nasal_height        nasion–nasospinale
    nasal_breadth       greatest breadth of the nasal aperture
    orbital_breadth     of one orbit
    parietal_thickness  of the vault at the parietal eminences
    brow                prominence of the brow ridge (1 is the average)
    gonial_angle        of the mandible, degrees
    gonial_breadth      between the mandibular angles
    chin_height         infradentale–gnathion
    prognathism         forward shift of the jaws
    mastoid, sinus      size of mastoid processes and air sinuses (1 is the average)
    """

    length: float
    breadth: float
    height: float
    bizygomatic: float
    face_height: float
    nasal_height: float
    nasal_breadth: float
    orbital_breadth: float
    parietal_thickness: float
    brow: float
    gonial_angle: float
    gonial_breadth: float
    chin_height: float
    prognathism: float
    mastoid: float
    sinus: float


def craniometry(seed: int) -> Craniometry:
    """The measures of individual `seed`, from a multivariate normal distribution.

    One shared size factor makes the measures correlate (POPULATION's loadings); each
    measure is truncated at LIMIT standard deviations, so that every skull fits the
    field of view.  Means and deviations are those of adult skulls in the
    craniometric literature, rounded.
    """
    rng = np.random.default_rng([seed, 0])
    mean, deviation, loading = np.array(list(POPULATION.values())).T
    while True:
        size, own = rng.standard_normal(), rng.standard_normal(len(mean))
        draw = loading * size + np.sqrt(1 - loading**2) * own
        if np.abs(draw).max() <= LIMIT:
            break
    values = (float(v) for v in mean + deviation * draw)
    return Craniometry(**dict(zip((f.name for f in fields(Craniometry)), values)))
