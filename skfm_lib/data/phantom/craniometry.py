"""The population of skull measures that individuals are sampled from."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, get_type_hints

import numpy as np

LIMIT = 2.5  # standard deviations; individuals beyond it are sampled again


class Normal(NamedTuple):
    """Mean and standard deviation of a measure, and its loading on general size."""

    mean: float
    deviation: float
    loading: float


@dataclass(frozen=True)
class Craniometry:
    """One individual's measures, in mm unless stated otherwise.

    Means and deviations are those of adult skulls in the craniometric literature,
    rounded; the correlation of two measures is the product of their loadings.
    """

    length: Annotated[float, Normal(178, 7, 0.75)]  #: glabella–opisthocranion
    breadth: Annotated[float, Normal(141, 6, 0.45)]  #: euryon–euryon (maximal)
    height: Annotated[float, Normal(132, 6, 0.65)]  #: basion–bregma
    bizygomatic: Annotated[float, Normal(130, 6, 0.75)]  #: over the zygomatic arches
    face_height: Annotated[float, Normal(70, 5, 0.65)]  #: nasion–prosthion
    nasal_height: Annotated[float, Normal(51, 3, 0.6)]  #: nasion–nasospinale
    nasal_breadth: Annotated[float, Normal(24, 2, 0.35)]  #: of the nasal aperture
    orbital_breadth: Annotated[float, Normal(40, 2, 0.5)]  #: of one orbit
    parietal_thickness: Annotated[float, Normal(6, 1.5, 0.1)]  #: at the eminences
    brow: Annotated[float, Normal(1, 0.45, 0.5)]  #: prominence; 1 is average
    gonial_angle: Annotated[float, Normal(122, 6, -0.2)]  #: of the mandible, degrees
    gonial_breadth: Annotated[float, Normal(97, 6, 0.5)]  #: between its angles
    chin_height: Annotated[float, Normal(31, 3, 0.5)]  #: infradentale–gnathion
    prognathism: Annotated[float, Normal(0, 2.5, 0)]  #: forward shift of the jaws
    mastoid: Annotated[float, Normal(1, 0.15, 0.5)]  #: size; 1 is average
    sinus: Annotated[float, Normal(1, 0.2, 0.2)]  #: size of air sinuses, likewise


POPULATION: dict[str, Normal] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Craniometry, include_extras=True).items()
}


def craniometry(seed: int) -> Craniometry:
    """The measures of individual `seed`, from a multivariate normal distribution.

    Measures are correlated by one common size factor (see `Normal`) and truncated at
    LIMIT standard deviations, so that every skull fits the field of view.

    >>> round(craniometry(7).length, 1)  # mm
    179.4
    """
    rng = np.random.default_rng([seed, 0])
    mean, deviation, loading = np.array(list(POPULATION.values())).T
    while True:
        size, own = rng.standard_normal(), rng.standard_normal(len(mean))
        scores = loading * size + np.sqrt(1 - loading**2) * own
        if np.abs(scores).max() <= LIMIT:
            values = (mean + deviation * scores).tolist()
            return Craniometry(**dict(zip(POPULATION, values)))
