"""The settings of a CT scan, and the thinnest bone that is left by thresholding it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import erfinv, ndtri

from skfm_lib.utils.errors import SkfmError

# CT numbers, HU.  Bone is that of cortex [Sande2020: 1880], which partial volume and
# pores lower; enamel exceeds it.
AIR, FAT, SOFT, BRAIN, BONE, ENAMEL = -1000.0, -100.0, 50.0, 40.0, 1500.0, 2500.0
LOWEST, METAL = -1024.0, 3071.0  # HU, the range of 12-bit scanners
FWHM = 2 * np.sqrt(2 * np.log(2))  # of a Gaussian, per standard deviation
THINNEST, THICKEST = 0.05, 10.0  # mm; of slices
QUIET = 4.0  # HU, noise of slices of 5 mm at 120 kV, 500 mAs
WITH_METAL = 0.2  # share of the scans


@dataclass(frozen=True)
class Scanner:
    """How one scan was made and thresholded.

    Attributes:
        slice: thickness of the slices and distance between them, mm.
        blur: full width at half maximum of the point spread in the slices, mm.
        noise: standard deviation, HU.
        threshold: bone is what exceeds it, HU.
        metal: number of teeth with metal, whose streaks cross the slices.

    Raises:
        SkfmError: if the threshold is not between soft tissue and bone, or another
            setting is none that a scanner has.
    """

    slice: float
    blur: float
    noise: float
    threshold: float
    metal: int = 0

    def __post_init__(self) -> None:
        if not SOFT < self.threshold < BONE:
            found = f"a threshold of {self.threshold:g} HU"
            expected = f"between soft tissue, {SOFT:g}, and bone, {BONE:g} HU"
            raise SkfmError(found, expected, "choose 150 to 300 HU")
        for name, value, low, high in (
            ("slices of {:g} mm", self.slice, THINNEST, THICKEST),
            ("a point spread of {:g} mm", self.blur, 0.0, THICKEST),
            ("noise of {:g} HU", self.noise, 0.0, METAL),
            ("{} teeth with metal", self.metal, 0, 32),
        ):
            if not low <= value <= high:
                expected = f"{low:g} to {high:g}"
                raise SkfmError(name.format(value), expected, "see `scanner(seed)`")

    def thinnest(self, *beside: float, slope: float = 0.0) -> float:
        """Thickness in mm of the thinnest sheet of bone that exceeds the threshold.

        A sheet of thickness t between tissues whose CT numbers are `b` on average,
        blurred with standard deviation σ, reaches
        ``b + (BONE - b) erf(t / (2 √2 σ))`` in its middle.

        Args:
            beside: CT numbers of the tissues on both sides, HU.
            slope: z component of the sheet's unit normal; 1 if it lies in a slice.
        """
        level = float(np.mean(beside))
        reached = (self.threshold - level) / (BONE - level)
        sigma = self._sigma(slope, self.slice / 6**0.5)
        return float(2 * np.sqrt(2) * sigma * erfinv(max(reached, 0)))

    def growth(self, slope: np.ndarray) -> np.ndarray:
        """Distance in mm by which the threshold lies outside thick bone.

        The threshold is below the mean of bone and soft tissue, so that a surface
        blurred with standard deviation σ moves outwards by σ Φ⁻¹(1 - share).  Along z,
        slices are averaged over their thickness and interpolated linearly, which has
        the standard deviation of half a slice.

        Args:
            slope: z components of the surface's unit normals.
        """
        share = (self.threshold - SOFT) / (BONE - SOFT)
        return (-ndtri(share) * self._sigma(slope, self.slice / 2)).astype(np.float32)

    def _sigma(self, slope: np.ndarray | float, along: float) -> np.ndarray | float:
        """Standard deviation, mm, of the blur along normals; `along` is that in z."""
        steep = np.minimum(np.square(slope), 1)
        return np.sqrt((1 - steep) * (self.blur / FWHM) ** 2 + steep * along**2)


def scanner(seed: int) -> Scanner:
    """The settings of the scan of individual `seed`.

    Slices of 0.5 to 3 mm, a point spread between sharp and soft kernels, noise of one
    to three times that of a routine scan and proportional to ``slice^-1/2``.

    >>> round(scanner(7).slice, 2)  # mm
    1.8
    """
    rng = np.random.default_rng([seed, 8])
    thickness = float(np.exp(rng.uniform(np.log(0.5), np.log(3.0))))
    blur = rng.uniform(0.5, 1.0)
    noise = QUIET * float(np.sqrt(5 / thickness)) * rng.uniform(1, 3)
    threshold = rng.uniform(150, 300)
    metal = int(rng.integers(1, 5)) if rng.random() < WITH_METAL else 0
    return Scanner(thickness, blur, noise, threshold, metal)
