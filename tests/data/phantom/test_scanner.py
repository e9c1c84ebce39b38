"""Settings of scans, and what a threshold leaves of thin and thick bone."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from skfm_lib.data.phantom.scanner import (
    AIR,
    BONE,
    FAT,
    FWHM,
    SOFT,
    WITH_METAL,
    Scanner,
    scanner,
)
from skfm_lib.utils.errors import SkfmError


@pytest.mark.parametrize(
    "beside, blur, threshold, expected",
    [
        ((FAT, AIR), 1.0, 150, 0.37),
        ((FAT, AIR), 1.0, 300, 0.46),
        ((FAT, AIR), 2.5, 150, 0.93),
        ((FAT, AIR), 2.5, 300, 1.15),
        ((AIR, AIR), 1.0, 150, 0.52),
        ((AIR, AIR), 1.0, 300, 0.60),
    ],
)
def test_thinnest_sheets_are_the_published_ones(beside, blur, threshold, expected):
    thinnest = Scanner(0.5, blur, 10.0, threshold).thinnest(*beside)
    assert thinnest == pytest.approx(expected, abs=0.012)


def profile(settings: Scanner, bone: np.ndarray, beside: float, x: np.ndarray):
    values = np.where(bone, BONE, beside)
    return gaussian_filter1d(values, settings.blur / FWHM / (x[1] - x[0]))


def test_a_sheet_of_that_thickness_just_reaches_the_threshold() -> None:
    settings, x = Scanner(1.0, 0.8, 10.0, 220.0), np.arange(-6, 6, 0.002)
    for factor, kept in ((0.97, False), (1.03, True)):
        half = factor * settings.thinnest(SOFT, FAT) / 2
        values = profile(settings, np.abs(x) < half, (SOFT + FAT) / 2, x)
        assert (values.max() > settings.threshold) == kept


def test_thick_bone_grows_by_what_the_threshold_lets_through() -> None:
    settings, x = Scanner(1.0, 0.8, 10.0, 220.0), np.arange(-6, 6, 0.002)
    values = profile(settings, x < 0, SOFT, x)
    edge = x[values > settings.threshold].max()
    assert settings.growth(np.zeros(1)) == pytest.approx(edge, abs=0.005)
    assert settings.growth(np.ones(1)) > settings.growth(np.zeros(1))  # thick slices


def test_scans_differ_within_what_is_usual() -> None:
    scans = [scanner(seed) for seed in range(400)]
    assert scans[3] == scanner(3) != scanner(4)
    slices = np.array([scan.slice for scan in scans])
    assert 0.5 <= slices.min() < 0.6 and 2.7 < slices.max() <= 3.0
    assert np.mean(slices < np.sqrt(1.5)) == pytest.approx(0.5, abs=0.08)
    assert all(150 <= scan.threshold <= 300 for scan in scans)
    share = np.mean([scan.metal > 0 for scan in scans])
    assert share == pytest.approx(WITH_METAL, abs=0.06)


@pytest.mark.parametrize("threshold", [-200.0, 50.0, 1500.0, 4000.0, float("nan")])
def test_thresholds_outside_bone_are_refused(threshold) -> None:
    with pytest.raises(SkfmError, match="threshold of .* HU.*choose 150 to 300"):
        Scanner(1.0, 0.7, 10.0, threshold)


@pytest.mark.parametrize(
    "setting, value",
    [
        ("slice", 0.0),
        ("slice", 300.0),
        ("slice", float("nan")),
        ("blur", -1.0),
        ("blur", 100.0),
        ("noise", float("nan")),
        ("metal", -1),
    ],
)
def test_settings_that_no_scanner_has_are_refused(setting, value) -> None:
    good = {"slice": 1.0, "blur": 0.7, "noise": 10.0, "threshold": 200.0}
    with pytest.raises(SkfmError, match=f"{value:g} .*; expected .* to "):
        Scanner(**good | {setting: value})
