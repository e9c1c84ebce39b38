"""Real heads for some tests, where this machine has them; the project ships none."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[3] / "shared" / "data"
HEADS = Path(os.environ.get("SKFM_HEADS", BESIDE))
CRANIUM = HEADS / "cranium_ct.nii.gz"  # InVesalius' sample as NIfTI
CRANIOTOMY = HEADS / "craniotomy_mask.nrrd"  # development data
PLASTIC = HEADS / "plastic_head_ct.nii.gz"  # development data


def _needs(head: Path) -> pytest.MarkDecorator:
    reason = f"no {head.name} in {HEADS}; set SKFM_HEADS"
    return pytest.mark.skipif(not head.is_file(), reason=reason)


needs_cranium, needs_plastic = _needs(CRANIUM), _needs(PLASTIC)
needs_craniotomy = _needs(CRANIOTOMY)
