"""Real heads for some tests, where this machine has them; the project ships none."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[3] / "shared" / "data"
HEADS = Path(os.environ.get("SKFM_HEADS", BESIDE))
CRANIUM = HEADS / "cranium_ct.nii.gz"  # InVesalius' sample as NIfTI

needs_cranium = pytest.mark.skipif(
    not CRANIUM.is_file(), reason=f"no {CRANIUM.name} in {HEADS}; set SKFM_HEADS"
)
