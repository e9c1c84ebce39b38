"""Scans of phantoms: HU, geometry, and coarse grids beside them."""

from math import erf

import numpy as np
import pytest
import SimpleITK as sitk

from skfm_lib.data import bone_fractions
from skfm_lib.data.bone_fractions import LEVEL, as_fraction, block_fractions
from skfm_lib.data.io.volumes import read_scan, write_image
from skfm_lib.data.phantom import acquisition, phantom_ct, phantom_skull
from skfm_lib.data.phantom.acquisition import acquire
from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.modelling import Bones
from skfm_lib.data.phantom.primitives import SphereMesh
from skfm_lib.data.phantom.scanner import AIR, BONE, FWHM, SOFT, Scanner, scanner
from skfm_lib.data.voxels import Grid, skull_grid
from skfm_lib.utils.errors import SkfmError

EIGHTH, HALF = (57, 44, 64), (228, 176, 256)
SEED = 1  # slices of 1.3 mm, no metal


@pytest.fixture(scope="module")
def scan() -> sitk.Image:
    return phantom_ct(SEED, 3, HALF)


@pytest.fixture(scope="module")
def skull() -> np.ndarray:
    return phantom_skull(SEED, 3, HALF)


def test_reading_and_thresholding_gives_the_skull(scan, skull, tmp_path) -> None:
    write_image(tmp_path / "scan.nii", scan)
    image = sitk.DICOMOrient(read_scan(tmp_path / "scan.nii"), "RAS")
    grid = skull_grid(HALF)
    x, y, z = grid.axes()
    near = sitk.Image(HALF[1], HALF[0], HALF[2], sitk.sitkInt16)
    near.SetSpacing([grid.spacing] * 3)
    near.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    near.SetOrigin((-float(x[0]), -float(y[0]), float(z[0])))
    image = sitk.Resample(image, near, sitk.Transform(), sitk.sitkLinear, AIR)
    bone = sitk.GetArrayFromImage(image).transpose(1, 2, 0) > scanner(SEED).threshold
    assert 2 * (bone & skull).sum() / (bone.sum() + skull.sum()) > 0.98


def test_noise_is_that_of_the_scanner(scan) -> None:
    """In the brain, in single slices, where nothing else varies."""
    values = sitk.GetArrayFromImage(scan)
    at = scan.TransformPhysicalPointToIndex((0.0, 20.0, 80.0))
    brain = values[
        at[2] - 3 : at[2] + 4, at[1] - 15 : at[1] + 15, at[0] - 15 : at[0] + 15
    ]
    assert brain.std() == pytest.approx(scanner(SEED).noise, rel=0.03)


@pytest.mark.parametrize("factor", [2, 4])
def test_coarse_grids_hold_what_the_scan_leaves(skull, factor, monkeypatch) -> None:
    """What is measured over 20 seeds, on one."""
    monkeypatch.setattr(bone_fractions, "MARGIN", 1)  # 1 mm
    monkeypatch.setattr(bone_fractions, "SMALLEST", 2)
    reduced = block_fractions(skull, factor)
    shape = tuple(n // factor for n in HALF)
    coarse = as_fraction(phantom_skull(SEED, 3, shape))
    assert coarse.sum() == pytest.approx(reduced.sum(), rel=0.05)
    a, b = coarse > LEVEL, reduced > LEVEL
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.93


def test_nothing_is_scanned_outside_the_field_of_view() -> None:
    """Quality 2 shows the cap, quality 6 the face."""
    for quality, empty in ((2, slice(0, 24)), (6, slice(50, 64))):
        values = acquire(0, quality, skull_grid(EIGHTH), Scanner(4.08, 0.8, 0.0, 200.0))
        assert np.abs(values.values[..., empty] - AIR).max() < 1
        assert (values.values > SOFT + 100).any()


@pytest.mark.parametrize("thickness", [0.1, 0.2, 0.4, 0.8, 1.6])
def test_a_sheet_has_the_values_of_the_formula(thickness, monkeypatch) -> None:
    """An upright sheet in air, oblique to the lattice: `thinnest` holds for it."""
    r = thickness / 2
    points = {"a": (9, -40, -30, r), "b": (-9, 40, -30, r), "c": (0, 0, 60, r)}

    def sheet(seed, quality, axes, spacing) -> Bones:
        x, y, z = axes
        at = np.stack(np.broadcast_arrays(x[:, None], y[:, None, None], z))
        field = BoneField(at, spacing)
        field.add(SphereMesh(points, "a b c"), midline=True)
        return Bones((slice(None),) * 3, field, np.ones(at.shape[1:], bool))

    monkeypatch.setattr(acquisition, "bones", sheet)
    monkeypatch.setattr(acquisition, "_around", lambda field: np.float32(AIR))
    grid = Grid((40, 40, 40), 0.51, (-10.0, -10.0, -10.0))
    values = acquire(0, 5, grid, Scanner(0.51, 1.0, 0.0, 200.0)).values[8:32, :, 8:32]
    peak = np.quantile(values.max(axis=1), 0.9)  # those that meet its middle
    expected = AIR + (BONE - AIR) * erf(thickness * FWHM / 8**0.5)
    assert peak == pytest.approx(expected, abs=0.03 * (BONE - AIR))


@pytest.mark.parametrize("make", [phantom_ct, phantom_skull])
def test_what_holds_no_bone_is_refused(make) -> None:
    with pytest.raises(SkfmError, match="voxels of 16.3 mm.*larger preset"):
        make(0, 5, (15, 11, 16))
    with pytest.raises(SkfmError, match="quality score"):
        make(0, 1, EIGHTH)
