"""The part of the head that was scanned, by quality score."""

import numpy as np

from skfm_lib.data.phantom.craniometry import Craniometry
from skfm_lib.data.phantom.template import FACE, NASION_Z, Coordinates

# The scanned slab, (least, greatest) each: lower border at the face, in nasal heights
# above the nasal floor (so that 1 is the nasion); upper border, mm; and tilt towards
# the back of the head, degrees.  Paper §3.3: QS 2 ends at the nasion or the upper
# orbits; QS 3 shows more of the nose; QS 4 all of the nose, perhaps no cap; QS 5
# nearly everything; QS 6 the mandible, but not the upper skull.
ABOVE = 400.0  # mm; the slab has no upper border in the grid
SLABS = {
    2: ((0.8, 1.05), (ABOVE, ABOVE), (10.0, 20.0)),
    3: ((0.2, 0.6), (ABOVE, ABOVE), (4.0, 14.0)),
    4: ((-0.4, -0.1), (45.0, 95.0), (-2.0, 8.0)),
    5: ((-1.75, -0.65), (ABOVE, ABOVE), (-4.0, 6.0)),
    6: ((-2.2, -1.75), (4.0, 38.0), (-4.0, 6.0)),
}
FACE_Y = 85.0  # where the borders are measured, mm
CAPLESS = 0.5  # share of QS 4 scans without the cap


def outside(
    seed: int, quality: int, measures: Craniometry, head: Coordinates
) -> np.ndarray:
    """Signed distance to the scanned slab, mm, positive where nothing was scanned."""
    rng = np.random.default_rng([seed, 6])
    low, high, tilt = (rng.uniform(*limits) for limits in SLABS[quality])
    nasion = NASION_Z * measures.face_height / FACE
    low = nasion + (low - 1) * measures.nasal_height
    sideways = rng.normal(0, 0.012)
    if quality == 4 and rng.random() >= CAPLESS:
        high = ABOVE
    x, y, z = head
    slope = np.float32(np.tan(np.deg2rad(tilt)))
    level = z - slope * (y - np.float32(FACE_Y)) - np.float32(sideways) * x
    return np.maximum(np.float32(low) - level, level - np.float32(high))
