"""DICOM segmentations of a series, read back by pydicom and highdicom.

A ball stands for the skull, so that each pixel's truth follows from the slice's header.
"""

import sys
import warnings
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import pyvista as pv
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, generate_uid
from scan_files import change, write_dicom

from skfm_lib.data.io.dicom.seg import (
    IMPLANT,
    SKULL,
    check_installed,
    write_segmentation,
)
from skfm_lib.data.io.dicom.seg_header import OWN_FRAME
from skfm_lib.utils.errors import SkfmError

SIZE, SPACING = (20, 30, 40), (1.5, 1.25, 2.0)
CENTRE, RADIUS = np.array([-8.0, -3.0, 24.0]), 11.0  # RAS mm
ORIGIN = (-20.0, -15.0, 5.0)
OBLIQUE = (0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6)
PATIENT = {
    "PatientName": "Grünwald^Jörg",
    "PatientID": "A 17",
    "IssuerOfPatientID": "ward 7",
    "PatientBirthDate": "19630214",
    "PatientSex": "F",
    "StudyDate": "20200131",
    "StudyTime": "101112.5",
    "StudyID": "4",
    "AccessionNumber": "99",
    "ReferringPhysicianName": "Müller",
    "StudyDescription": "Schädel",
    "FrameOfReferenceUID": "1.2.3.4.5",
}


@pytest.fixture(scope="module")
def ball() -> pv.PolyData:
    fine = {"theta_resolution": 120, "phi_resolution": 120}
    return pv.Sphere(radius=RADIUS, center=CENTRE, **fine).triangulate()


def series(folder: Path, axes=(1, 0, 0, 0, 1, 0), step=None, **tags) -> list[Path]:
    """A series around the ball."""
    rng = np.random.default_rng(0)
    order, values = rng.permutation(SIZE[0]).tolist(), np.zeros(SIZE, int)
    if axes == OBLIQUE:  # centred on the ball
        turned = np.reshape(axes, (2, 3))
        half = np.array(SPACING) * (40, 30, 20) / 2
        normal = np.cross(*turned)
        middle = CENTRE * (-1, -1, 1) - half @ np.array([*turned, normal])
        origin = tuple(middle)
    else:
        origin = ORIGIN
    return write_dicom(
        folder,
        values,
        SPACING,
        axes=axes,
        step=step,
        origin=origin,
        order=order,
        **tags,
    )


def enhanced(out: Path, files: list[Path]) -> Path:
    """The slices as frames of one file, in the order of `files`."""
    data = [pydicom.dcmread(path) for path in files]
    whole, shared, frames = data[0], Dataset(), []
    measures, orientation, rescale = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = whole.PixelSpacing, SPACING[2]
    orientation.ImageOrientationPatient = whole.ImageOrientationPatient
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, whole.RescaleIntercept
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelValueTransformationSequence = [rescale]
    for one in data:
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = one.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    whole.PixelData = b"".join(one.PixelData for one in data)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    whole.NumberOfFrames = len(data)
    whole.SharedFunctionalGroupsSequence = [shared]
    whole.PerFrameFunctionalGroupsSequence = frames
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(whole, keyword)
    whole.save_as(out)
    return out


def depth(path: Path) -> np.ndarray:
    """How far inside the ball each pixel of a slice is, mm."""
    header = pydicom.dcmread(path)
    rows, columns = np.mgrid[: header.Rows, : header.Columns]
    down, across = header.PixelSpacing
    x, y = np.reshape(np.array(header.ImageOrientationPatient, float), (2, 3))
    points = (columns * across)[..., None] * x + (rows * down)[..., None] * y
    points += np.array(header.ImagePositionPatient, float)
    return RADIUS - np.linalg.norm(points * (-1, -1, 1) - CENTRE, axis=-1)


def check(out: Path, files: list[Path]) -> pydicom.Dataset:
    """Compare a segmentation with the ball, on every slice; return it."""
    by_highdicom, plain = hd.seg.segread(out), pydicom.dcmread(out)
    source = {
        frame.DerivationImageSequence[0]
        .SourceImageSequence[0]
        .ReferencedSOPInstanceUID: (
            frame.PlanePositionSequence[0].ImagePositionPatient,
            pixels,
        )
        for frame, pixels in zip(
            plain.PerFrameFunctionalGroupsSequence, plain.pixel_array
        )
    }
    total = 0
    for path in files:
        header, inside = pydicom.dcmread(path, stop_before_pixels=True), depth(path)
        position, pixels = source[header.SOPInstanceUID]
        assert np.allclose(position, header.ImagePositionPatient, atol=1e-4)
        sure = np.abs(inside) > 0.02
        np.testing.assert_array_equal(pixels[sure] == 1, inside[sure] > 0)
        uids = [header.SOPInstanceUID]
        again = by_highdicom.get_pixels_by_source_instance(uids)[0, ..., 0]
        np.testing.assert_array_equal(again, pixels)
        total += pixels.sum()
    (shared,) = plain.SharedFunctionalGroupsSequence
    measures = shared.PixelMeasuresSequence[0]
    assert list(measures.PixelSpacing) == [SPACING[1], SPACING[0]]
    np.testing.assert_allclose(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient,
        header.ImageOrientationPatient,
        atol=1e-6,
    )
    assert len(source) == SIZE[0] and total > 1000
    return plain


@pytest.mark.parametrize("axes", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 1, 0, 0), OBLIQUE])
def test_pixels_are_those_within_the_mesh(tmp_path, ball, axes):
    files = series(tmp_path / "a", axes)
    if axes == (0, 1, 0, 1, 0, 0):  # left-handed against the table: slices go down
        for k, path in enumerate(files):
            change(path, ImagePositionPatient=[*ORIGIN[:2], 45.0 - 2 * k])
    write_segmentation(tmp_path / "b.dcm", ball, files[::-1], SKULL, False)
    check(tmp_path / "b.dcm", files)
    volume = hd.seg.segread(tmp_path / "b.dcm").get_volume()
    assert volume.spatial_shape == SIZE
    assert np.allclose(volume.spacing, (SPACING[2], SPACING[1], SPACING[0]))


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("tilt", [0.0, 0.6, -0.5])
def test_slices_are_met_where_they_were_acquired(tmp_path, ball, tilt, uneven):
    files = series(tmp_path / "a", step=np.array([0.1, tilt, 2.0]))
    if uneven:  # 1 mm below, 3 mm above
        for k, path in enumerate(files):
            z = k if k < 10 else 10 + 3 * (k - 10)
            change(path, ImagePositionPatient=[-20.0, -15 + tilt * z / 2, 5.0 + z])
    (tmp_path / "a" / "twice.dcm").write_bytes(files[3].read_bytes())
    twice = [*files, tmp_path / "a" / "twice.dcm"]
    write_segmentation(tmp_path / "b.dcm", ball, twice, SKULL, False)
    check(tmp_path / "b.dcm", files)


def test_frames_of_one_file_are_referred_to_by_number(tmp_path, ball):
    files = series(tmp_path / "a", step=np.array([0.0, 0.6, 2.0]))
    whole = enhanced(tmp_path / "whole.dcm", files[::-1])
    write_segmentation(tmp_path / "b.dcm", ball, [whole], SKULL, False)
    made = hd.seg.segread(tmp_path / "b.dcm")
    (source,) = made.SourceImageSequence
    (series_,) = made.ReferencedSeriesSequence
    assert [source] == list(series_.ReferencedInstanceSequence)
    assert source.ReferencedSOPClassUID == EnhancedCTImageStorage
    frames = list(range(1, SIZE[0] + 1))
    uid = source.ReferencedSOPInstanceUID
    found = made.get_pixels_by_source_frame(uid, frames)[..., 0]
    inside = np.array([depth(path) for path in files[::-1]])
    sure = np.abs(inside) > 0.02
    np.testing.assert_array_equal(found[sure] == 1, inside[sure] > 0)


def test_patient_study_and_frame_are_those_of_the_series(tmp_path, ball):
    tags = {"SpecificCharacterSet": "ISO_IR 100"}
    files = series(tmp_path / "a", **PATIENT, **tags)
    note = write_segmentation(tmp_path / "b.dcm", ball, files, SKULL, False)
    made, source = check(tmp_path / "b.dcm", files), pydicom.dcmread(files[0])
    assert note == ""
    for keyword in (*PATIENT, "StudyInstanceUID"):
        assert made[keyword].value == source[keyword].value, keyword
    (referenced,) = made.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == source.SeriesInstanceUID
    assert made.SeriesInstanceUID != source.SeriesInstanceUID
    assert len(referenced.ReferencedInstanceSequence) == SIZE[0]
    assert (made.Modality, made.SegmentationType) == ("SEG", "BINARY")
    assert "no medical device" in made.ContentDescription
    (segment,) = made.SegmentSequence
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Skull"
    assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == (
        "AUTOMATIC",
        "skfm",
    )
    assert made_by(segment) == "Morphological Operations"


def test_an_implant_is_called_one(tmp_path, ball):
    write_segmentation(tmp_path / "b.dcm", ball, series(tmp_path / "a"), IMPLANT, True)
    (segment,) = pydicom.dcmread(tmp_path / "b.dcm").SegmentSequence
    code = segment.SegmentedPropertyTypeCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("40388003", "SCT")
    assert made_by(segment) == "Artificial Intelligence"


def made_by(segment: pydicom.Dataset) -> str:
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    return algorithm.AlgorithmFamilyCodeSequence[0].CodeMeaning


def test_what_old_and_anonymised_series_lack_is_left_empty(tmp_path, ball):
    odd = {"PatientBirthDate": "14/2/63", "PatientSex": "male", "StudyTime": "noon"}
    odd["PatientName"] = ["A", "B"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on these values
        files = series(tmp_path / "a", **odd)
        for path in files:
            change(path, PatientID=None)
    notes = [
        write_segmentation(tmp_path / f"{name}.dcm", ball, files, SKULL, False)
        for name in "bc"
    ]
    assert notes == [OWN_FRAME, OWN_FRAME]
    made, other = (check(tmp_path / f"{name}.dcm", files) for name in "bc")
    for keyword in ("PatientID", "StudyDate", *odd):
        assert made[keyword].is_empty, keyword
    assert made.FrameOfReferenceUID == other.FrameOfReferenceUID
    assert made.SOPInstanceUID != other.SOPInstanceUID


def test_each_slice_is_referred_to_in_its_own_series(tmp_path, ball):
    files = series(
        tmp_path / "a", **PATIENT | {"PatientName": "A", "StudyDescription": ""}
    )
    for path in files:
        change(path, SeriesInstanceUID=generate_uid())
    write_segmentation(tmp_path / "b.dcm", ball, files, SKULL, False)
    made = check(tmp_path / "b.dcm", files)
    referred = {
        item.SeriesInstanceUID: one.ReferencedSOPInstanceUID
        for item in made.ReferencedSeriesSequence
        for one in item.ReferencedInstanceSequence
    }
    headers = [pydicom.dcmread(path) for path in files]
    assert referred == {h.SeriesInstanceUID: h.SOPInstanceUID for h in headers}


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID"])
def test_a_series_that_cannot_be_referred_to_is_refused(tmp_path, ball, keyword):
    files = series(tmp_path / "a")
    for path in files:
        change(path, **{keyword: None})
    with pytest.raises(SkfmError, match=f"no {keyword}; .*--out FILE.nii.gz"):
        write_segmentation(tmp_path / "b.dcm", ball, files, SKULL, False)
    assert not (tmp_path / "b.dcm").exists()


def test_a_mesh_beside_the_scan_is_refused(tmp_path, ball):
    far = ball.translate((200, 0, 0))
    with pytest.raises(SkfmError, match="no part of the implant is on the slices"):
        write_segmentation(
            tmp_path / "b.dcm", far, series(tmp_path / "a"), IMPLANT, True
        )


def test_without_highdicom_it_says_how_to_install_it(monkeypatch):
    check_installed()
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(SkfmError, match=r"not installed; .*pip install"):
        check_installed()
