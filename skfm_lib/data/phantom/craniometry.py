"""The population of skull measures that individuals are sampled from.

Half of the individuals are male; within a sex, measures are normal and correlated.
Keys in brackets are those of ``book/references.bib``.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, NamedTuple, get_type_hints

import numpy as np

from skfm_lib.utils.errors import SkfmError

LIMIT = 3.0  # standard deviations; individuals beyond it are sampled again
POSSIBLE = 6.0  # standard deviations from either sex's mean that a measure may have


class Normal(NamedTuple):
    """Mean and standard deviation of a measure in men and in women."""

    male: float
    male_sd: float
    female: float
    female_sd: float


@dataclass(frozen=True)
class Craniometry:
    """One individual's measures, in mm unless stated otherwise.

    Those of the braincase and face down to `prognathism` are of 317 European skulls
    [howells1973] (samples Norse, Zalavár, Berg), `brow`, `mastoid` and `prognathism`
    relative to the mean of both sexes.  Widths and heights of the mandible are of
    [bottyan1974] (means) and [voljevica] (deviations), thickness of
    [moreiragonzalez2006]; sizes of sinuses are cube roots of volumes in 201 adults
    [cohen2018].  The variation of the thin walls is assumed.

    Raises:
        SkfmError: if a measure is farther than POSSIBLE deviations from both means.
    """

    male: bool
    tooth_loss: float  #: share of the teeth, without wisdom teeth, 0–1
    #: glabella–opisthocranion
    length: Annotated[float, Normal(184.6, 7.0, 175.7, 7.0)]
    #: euryon–euryon (maximal)
    breadth: Annotated[float, Normal(143.7, 5.6, 137.9, 4.8)]
    #: basion–bregma
    height: Annotated[float, Normal(132.2, 5.2, 126.3, 4.9)]
    #: over the zygomatic arches
    bizygomatic: Annotated[float, Normal(134.4, 4.3, 125.4, 4.0)]
    #: nasion–prosthion
    face_height: Annotated[float, Normal(68.4, 3.9, 63.7, 3.9)]
    #: nasion–nasospinale
    nasal_height: Annotated[float, Normal(51.7, 2.8, 48.6, 2.8)]
    #: of the nasal aperture
    nasal_breadth: Annotated[float, Normal(25.4, 1.7, 24.6, 1.8)]
    #: of one orbit
    orbital_breadth: Annotated[float, Normal(40.2, 1.4, 38.8, 1.5)]
    #: prominence; 1 is average
    brow: Annotated[float, Normal(1.21, 0.39, 0.79, 0.29)]
    #: size; 1 is average
    mastoid: Annotated[float, Normal(1.05, 0.11, 0.94, 0.09)]
    #: forward shift of the jaws
    prognathism: Annotated[float, Normal(-0.5, 4.0, 0.6, 4.0)]
    #: between the angles of the mandible
    gonial_breadth: Annotated[float, Normal(101.0, 5.5, 93.0, 6.0)]
    #: infradentale–gnathion
    chin_height: Annotated[float, Normal(30.6, 2.9, 27.2, 2.9)]
    #: of the mandible, degrees; larger without teeth (see TOOTHLESS_ANGLE)
    gonial_angle: Annotated[float, Normal(122.0, 6.5, 122.0, 6.5)]
    #: of the vault, mean over its sites
    parietal_thickness: Annotated[float, Normal(6.3, 1.2, 6.3, 1.2)]
    #: thickness of thin walls; 1 is average
    walls: Annotated[float, Normal(1.0, 0.25, 1.0, 0.25)]
    #: size of maxillary and sphenoidal sinuses; 1 is average
    sinus: Annotated[float, Normal(1.03, 0.11, 0.97, 0.11)]
    #: size of the frontal sinuses, likewise; 0 is aplasia
    frontal_sinus: Annotated[float, Normal(1.03, 0.28, 0.97, 0.28)]

    def __post_init__(self) -> None:
        for name, normal in POPULATION.items():
            value, (low, high) = getattr(self, name), _possible(name, normal)
            if not low <= value <= high:
                remedy = "take `craniometry(seed)`, or replace this measure"
                raise SkfmError(f"{name} {value:g}", f"{low:g} to {high:g}", remedy)
        if not 0 <= self.tooth_loss <= 1:
            found = f"tooth_loss {self.tooth_loss:g}"
            raise SkfmError(found, "a share, 0 to 1", "divide the teeth lost by 28")


POPULATION: dict[str, Normal] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Craniometry, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
# Correlations within a sex, per cent: of the measures from length to prognathism, in
# their order, in the same skulls [howells1973]; and those assumed.
WITHIN_SEX = """
     -4
     20  -2
     13  51  14
     31   4  13  20
     27   6   2  22  76
      5   8  -9  23   0   6
     25  19   6  36  25  28  14
      3   7  -2  12  -9 -13   1   4
     19   1   7  11  21  21   4  10   7
     -1   1 -32   2  -6 -22  22  -2  12  -8
"""
ASSUMED = {
    ("gonial_breadth", "bizygomatic"): 0.5,
    ("chin_height", "face_height"): 0.4,
    ("parietal_thickness", "length"): 0.1,
}
# Mean teeth lost of 28, and share without any, at 20–34, 35–49, 50–64 and more years
# (NHANES 1999–2004 by NIDCR, and 2011–2016 by CDC, over 64).  Within a group the
# distribution is beta, with the first shape parameter BETA, assumed.
LOST, TOOTHLESS = (1.1, 3.0, 5.7, 7.3), (0.0375, 0.0375, 0.0375, 0.132)
BETA = 0.6
TOOTHLESS_ANGLE = 7.0  # degrees more gonial angle (n 252; jids.mui.ac.ir/32608)
APLASIA = 0.02  # share of skulls without frontal sinuses (n 610; F1000Research 129498)


def correlation() -> np.ndarray:
    """Correlation matrix of the measures of POPULATION, in their order."""
    names = list(POPULATION)
    matrix = np.eye(len(names))
    for row, line in enumerate(WITHIN_SEX.split("\n")[1:-1], start=1):
        matrix[row, :row] = np.array(line.split(), float) / 100
    for pair, value in ASSUMED.items():
        row, column = sorted(map(names.index, pair), reverse=True)
        matrix[row, column] = value
    return matrix + np.tril(matrix, -1).T


def craniometry(seed: int) -> Craniometry:
    """The measures of individual `seed`: sex, normal measures, and loss of teeth.

    Measures are truncated at LIMIT standard deviations, so that every skull fits the
    field of view.

    >>> round(craniometry(7).length, 1)  # mm
    185.1
    """
    rng = np.random.default_rng([seed, 0])
    male, tooth_loss = bool(rng.random() < 0.5), _tooth_loss(rng)
    table = np.array(list(POPULATION.values())).reshape(-1, 2, 2)[:, 0 if male else 1]
    scores = np.full(len(table), np.inf)
    while np.abs(scores).max() > LIMIT:
        scores = _factor() @ rng.standard_normal(len(table))
    values = dict(zip(POPULATION, (table[:, 0] + table[:, 1] * scores).tolist()))
    values["brow"] = max(values["brow"], 0.0)  # a flat one, of some women
    values["gonial_angle"] += TOOTHLESS_ANGLE * (tooth_loss == 1)
    values["frontal_sinus"] *= rng.random() >= APLASIA
    return Craniometry(male, tooth_loss, **values)


@cache
def _factor() -> np.ndarray:
    """The Cholesky factor of the correlations: a skull is modelled in many slabs."""
    return np.linalg.cholesky(correlation())


def _tooth_loss(rng: np.random.Generator) -> float:
    age_group = rng.integers(len(LOST))
    if rng.random() < TOOTHLESS[age_group]:
        return 1.0
    mean = LOST[age_group] / 28
    return float(rng.beta(BETA, BETA * (1 - mean) / mean))


def _possible(name: str, normal: Normal) -> tuple[float, float]:
    """Least and greatest value of a measure; only prognathism may be negative."""
    male, male_sd, female, female_sd = normal
    low = min(male - POSSIBLE * male_sd, female - POSSIBLE * female_sd)
    high = max(male + POSSIBLE * male_sd, female + POSSIBLE * female_sd)
    none = {"prognathism": low, "frontal_sinus": 0.0, "brow": 0.0}
    return none.get(name, max(low, 0.01)), high
