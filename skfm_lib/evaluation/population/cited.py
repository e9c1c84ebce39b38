"""Published measures of adult skulls, and published models of their shape.

Keys of sources are those of ``book/references.bib``.
"""

from typing import NamedTuple


class Cited(NamedTuple):
    """Mean and standard deviation of a measure of both sexes together.

    Attributes:
        source: key of the reference; several are separated by commas.
        people: sample size, or 0 where it differs between mean and deviation.
        note: what does not come from the source as it is.
    """

    mean: float
    deviation: float
    source: str
    people: int = 0
    note: str = ""


# 317 European skulls (Norse, Zalavár, Berg; 164 men, 153 women) of the published data.
_HOWELLS = ("howells1973", 317)
# The measures that phantoms are sampled from, mm unless stated (see `Craniometry`).
SAMPLED: dict[str, Cited] = {
    "length": Cited(180.3, 8.3, *_HOWELLS),
    "breadth": Cited(140.9, 6.0, *_HOWELLS),
    "height": Cited(129.4, 5.9, *_HOWELLS),
    "bizygomatic": Cited(130.0, 6.1, *_HOWELLS),
    "face_height": Cited(66.1, 4.6, *_HOWELLS),
    "nasal_height": Cited(50.2, 3.2, *_HOWELLS),
    "nasal_breadth": Cited(25.0, 1.8, *_HOWELLS),
    "orbital_breadth": Cited(39.5, 1.6, *_HOWELLS),
    "brow": Cited(1.0, 0.43, *_HOWELLS, "projection of the glabella, relative"),
    "mastoid": Cited(1.0, 0.12, *_HOWELLS, "mastoid height, relative"),
    "prognathism": Cited(0.0, 4.1, *_HOWELLS, "basion–prosthion − basion–nasion"),
    "gonial_breadth": Cited(
        98.2, 7.0, "bottyan1974,voljevica", 0, "deviation of the second"
    ),
    "chin_height": Cited(28.9, 3.4, "bottyan1974", 453, "deviation assumed"),
    "gonial_angle": Cited(122.5, 7.6, "srii2021", 350, "degrees"),
    "parietal_thickness": Cited(
        6.32, 1.17, "moreiragonzalez2006", 281, "mean of 40 sites of a skull"
    ),
    "sinus": Cited(1.0, 0.11, "cohen2018", 201, "cube root of volume, relative"),
    "frontal_sinus": Cited(
        1.0, 0.28, "cohen2018", 201, "likewise; deviation of those present"
    ),
}
# Published values of `measures.UNITS`.  Thickness: axial CT of 100 adults, at the same
# sites; squama, CT of 142 adults.  Asymmetry, mm: mean distance of the mirrored zygoma,
# and of the mirrored facial skeleton the magnitude of the signed mean distance, for
# the first and the last of three median planes.
PUBLISHED: dict[str, tuple[Cited, ...]] = {
    "frontal thickness": (Cited(8.02, 1.97, "thulung2019", 100),),
    "parietal thickness": (Cited(7.04, 1.43, "thulung2019", 100),),
    "temporal thickness": (
        Cited(4.71, 1.34, "thulung2019", 100),
        Cited(3.21, 1.11, "olatunji", 142),
    ),
    "occipital thickness": (Cited(7.98, 2.47, "thulung2019", 100),),
    "asymmetry": (
        Cited(1.10, 0.23, "semperhogg2017", 0, "zygoma"),
        Cited(1.14, 0.67, "zhang2025", 51, "face"),
        Cited(0.40, 0.80, "zhang2025", 51, "face, another plane"),
    ),
}


class ShapeModel(NamedTuple):
    """A published shape model: `modes` of it hold `share` of the variance."""

    about: str
    people: int
    modes: int
    share: float
    source: str


SHAPE_MODELS = (
    ShapeModel("20 lengths of adult skulls", 317, 9, 0.91, "howells1973"),
    ShapeModel("20 lengths of adult skulls", 317, 16, 0.99, "howells1973"),
    ShapeModel("skull at 0–4 years, size removed", 178, 10, 0.90, "osullivan2021"),
    ShapeModel("adult mandible, size removed", 100, 3, 0.49, "chalazoniti2024"),
)
