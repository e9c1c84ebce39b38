"""Sets compared with held-out skulls: what is known of the result, and storage."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from packed_model import held_out, noisy_ranges

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.manifest import write_manifest
from skfm_lib.reference_model.comparison_set import (
    HELD_OUT,
    NETWORK,
    ComparisonSet,
    load_comparison_set,
)
from skfm_lib.utils.errors import SkfmError


@pytest.fixture(scope="module")
def parts(phantoms, tmp_path_factory):
    """Every phantom four times, their measures, and what they are compared with."""
    folder = tmp_path_factory.mktemp("copies") / "set"
    shutil.copytree(phantoms.folder, folder)
    copies = [
        replace(skull, name=f"{skull.name}-{i}", split="train")
        for i in range(4)
        for skull in phantoms.skulls
    ]
    write_manifest(folder, copies)
    _, measured, scores = noisy_ranges(phantoms)
    return SkullSet(folder, "train"), measured, held_out(phantoms, measured, scores)


def test_held_out_skulls_are_at_no_distance_from_themselves(parts):
    skulls, measured, found = parts
    same = ComparisonSet.of(found.network, skulls, measured)
    row = same.compare(skulls, measured)
    assert row["FID ↓"].value == pytest.approx(0, abs=1e-3)
    assert row["anatomical distance ↓"].value == pytest.approx(0, abs=1e-6)
    other = found.compare(skulls, measured)  # features of noisy copies
    assert other["FID ↓"].value > 10 * max(row["FID ↓"].value, 1e-6)


def test_what_is_stored_compares_alike(parts, tmp_path):
    skulls, measured, found = parts
    found.save(tmp_path)
    stored = load_comparison_set(tmp_path / NETWORK, tmp_path / HELD_OUT)
    assert stored.qualities == found.qualities
    before, after = (one.compare(skulls, measured) for one in (found, stored))
    for name, value in before.items():
        assert after[name].value == pytest.approx(value.value, rel=0.02, abs=1e-3)


def test_few_skulls_are_named(parts, phantoms):
    _, measured, found = parts
    with pytest.raises(SkfmError, match="sets of 24 and 6 skulls.*at least 22"):
        found.compare(phantoms, measured[np.arange(6)])
