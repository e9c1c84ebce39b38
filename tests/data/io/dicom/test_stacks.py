"""Slices of a study are grouped by geometry, and one stack of them is chosen."""

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid
from scan_files import change, write_dicom

from skfm_lib.data.io.dicom.headers import read_slices
from skfm_lib.data.io.dicom.series import NOTE, read_series
from skfm_lib.data.io.dicom.stacks import choose_series, stacks
from skfm_lib.utils.errors import SkfmError

SPACING = (4.0, 5.0, 3.0)
VALUES = np.random.default_rng(0).integers(-1000, 2000, (10, 12, 13)).astype(np.int16)
STUDY = {"StudyInstanceUID": "1.2", "FrameOfReferenceUID": "1.2.1"}
SERIES = STUDY | {"SeriesInstanceUID": "1.2.3"}


def headers_of(files):
    return [piece for path in files for piece in read_slices(path)]


def sizes(files) -> list[int]:
    return sorted(len(own) for own in stacks(headers_of(files)))


@pytest.mark.parametrize("tag", ["SeriesInstanceUID", "FrameOfReferenceUID"])
def test_a_series_for_each_slice(tmp_path, tag):
    files = write_dicom(tmp_path, VALUES, SPACING, **SERIES)
    for path in files:
        change(path, **{"SeriesInstanceUID": generate_uid(), tag: generate_uid()})
    chosen, note = choose_series(headers_of(files))
    assert len(chosen) == 10
    assert note == "10 series of single slices joined by their geometry"
    assert np.array_equal(sitk.GetArrayFromImage(read_series(files)), VALUES)


def test_single_slices_of_two_scans_stay_apart(tmp_path):
    files = []
    for name, tags in {
        "head": {},
        "larger pixels": {"PixelSpacing": [5.1, 4.1]},
        "another frame of reference": {"FrameOfReferenceUID": "1.2.2"},
        "coronal": {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]},
    }.items():
        own = write_dicom(tmp_path / name, VALUES, SPACING, **STUDY)
        for path in own:
            change(path, SeriesInstanceUID=generate_uid(), **tags)
        files += own
    assert sizes(files) == [10, 10, 10, 10]


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        ("ConvolutionKernel", ("H30", "H60")),
        ("ImageType", (["ORIGINAL", "PRIMARY"], ["DERIVED", "SECONDARY"])),
        ("AcquisitionNumber", (1, 2)),
        ("FrameOfReferenceUID", ("1.2.1", "1.2.2")),
    ],
)
def test_reconstructions_of_one_series_are_told_apart(tmp_path, tag, values):
    first, second = (
        write_dicom(tmp_path / f"{n}", VALUES + n, SPACING, **SERIES | {tag: value})
        for n, value in enumerate(values)
    )
    mixed = [path for pair in zip(first, second) for path in pair]
    assert sizes(mixed) == [10, 10]
    image = read_series(mixed)
    assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)
    assert image.GetMetaData(NOTE) == "10 scouts or slices of another geometry left out"


def test_reconstructions_that_nothing_tells_apart_are_refused(tmp_path):
    first, second = (
        write_dicom(tmp_path / f"{n}", VALUES + n, SPACING, **SERIES) for n in (0, 1)
    )
    for k, path in enumerate(first + second):
        change(path, AcquisitionNumber=k)  # tells each slice apart, not the scans
    assert sizes(first + second) == [20]
    with pytest.raises(SkfmError, match="10 slices lie where others do"):
        read_series(first + second)


def test_slices_of_one_stack_may_state_different_things(tmp_path):
    files = write_dicom(tmp_path, VALUES, SPACING, **SERIES)
    for k, path in enumerate(files):
        kernel = "H31s" if k < 5 else "H37s"  # of the base and of the vault
        change(path, ConvolutionKernel=kernel, AcquisitionNumber=k, InstanceNumber=None)
    assert sizes(files) == [10]


def test_views_of_one_series_are_told_apart(tmp_path):
    views = {
        "a": (1, 0, 0, 0, 1, 0),
        "c": (1, 0, 0, 0, 0, -1),
        "s": (0, 1, 0, 0, 0, -1),
    }
    files = [
        path
        for name, axes in views.items()
        for path in write_dicom(tmp_path / name, VALUES, SPACING, axes=axes, **SERIES)
    ]
    assert sizes(files) == [10, 10, 10]
    chosen, note = choose_series(headers_of(files))
    assert len(chosen) == 10 and "of 3 series" in note and "2 much the same" in note


def test_one_slice_without_a_position_spoils_its_series_only(tmp_path):
    spoilt = write_dicom(tmp_path / "a", VALUES, SPACING, **SERIES)
    change(spoilt[4], ImagePositionPatient=None)
    chosen, note = choose_series(headers_of(spoilt))
    assert not chosen
    assert note.startswith("1 of 10 CT slices state no position; next: export")
    other = write_dicom(tmp_path / "b", VALUES, SPACING, **STUDY)
    chosen, note = choose_series(headers_of(spoilt + other))
    assert len(chosen) == 10 and note.endswith("1 without positions")


def test_no_slices():
    assert choose_series([]) == ([], "no CT slices besides scouts")
