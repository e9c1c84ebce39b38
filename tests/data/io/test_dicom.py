"""DICOM series: order, rescale and tilt put right, what is missing said."""

import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scan_files import change, write_dicom

from skfm_lib.data.io.dicom_headers import choose_series, read_slice
from skfm_lib.data.io.dicom_series import NOTE, read_series
from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.io.volumes import read_scan
from skfm_lib.prepare.discovery import find_sources
from skfm_lib.prepare.source import on_disk
from skfm_lib.utils.errors import SkfmError

SPACING = (4.0, 5.0, 3.0)
VALUES = np.random.default_rng(0).integers(-1000, 2000, (20, 24, 26)).astype(np.int16)
OBLIQUE = (0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6)


def at(image: sitk.Image, point: np.ndarray) -> float:
    """Value of the voxel at an LPS point."""
    return image[image.TransformPhysicalPointToIndex([float(v) for v in point])]


@pytest.mark.parametrize("axes", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 1, 0, 0), OBLIQUE])
def test_every_voxel_is_where_its_header_says(tmp_path, axes):
    order = np.random.default_rng(1).permutation(20).tolist()
    files = write_dicom(
        tmp_path, VALUES, SPACING, axes=axes, origin=(-30, 20, 7), order=order
    )
    image = read_series(list(reversed(files)))
    normal = np.cross(axes[:3], axes[3:])
    for k, j, i in ((0, 0, 0), (19, 23, 25), (5, 17, 3)):
        point = np.array([-30, 20, 7]) + normal * k * 3.0
        point += np.array(axes[:3]) * i * 4.0 + np.array(axes[3:]) * j * 5.0
        assert at(image, point) == VALUES[k, j, i]
    upright = read_scan(tmp_path, files)
    assert upright.GetPixelID() == sitk.sitkInt16
    assert at(upright, point) == VALUES[k, j, i]


def test_rescale_is_applied(tmp_path):
    files = write_dicom(tmp_path, VALUES, SPACING, RescaleSlope=0.5)
    got = sitk.GetArrayFromImage(read_series(files))
    np.testing.assert_allclose(got, (VALUES + 1024.0) * 0.5 - 1024)


@pytest.mark.parametrize("syntax", ["JPEG2000", "JPEG", "RLE"])
def test_compressed_slices_are_read(tmp_path, syntax):
    files = write_dicom(tmp_path / "plain", VALUES, SPACING)
    for path in files:
        data = pydicom.dcmread(path)
        if syntax == "RLE":
            data.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        else:
            compress(data, sitk.ReadImage(str(path)), syntax, tmp_path / "packed.dcm")
        assert data.file_meta.TransferSyntaxUID.is_compressed
        data.save_as(path)
    assert np.array_equal(sitk.GetArrayFromImage(read_series(files)), VALUES)


def compress(data, image, syntax, target) -> None:
    """GDCM's compression of the slice, in place of its pixels."""
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetCompressor(syntax)
    writer.UseCompressionOn()
    writer.SetFileName(str(target))
    writer.Execute(sitk.Cast(image, sitk.sitkInt16))
    packed = pydicom.dcmread(target)
    data.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
    for tag in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(data, tag, packed[tag].value)
    data["PixelData"].is_undefined_length = True
    data.RescaleIntercept = packed.get("RescaleIntercept", 0)


def test_an_unknown_compression_is_named(tmp_path):
    files = write_dicom(tmp_path, VALUES, SPACING)
    for path in files:
        data = pydicom.dcmread(path)
        data.PixelData = pydicom.encaps.encapsulate([b"\0" * 100])
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
        data.save_as(path)
    with pytest.raises(SkfmError, match="compressed in a way .* gdcmconv --raw"):
        read_series(files)


def test_a_tilted_gantry_is_straightened(tmp_path):
    z, y, x = np.meshgrid(*map(np.arange, (60, 50, 50)), indexing="ij")
    step = np.array([0.0, -0.6, 2.0])  # 17 degrees
    point = np.stack([2.0 * x, 2.0 * y + step[1] * z, step[2] * z])
    centre = np.array([50.0, 40.0, 60.0]).reshape(3, 1, 1, 1)
    ball = np.where(((point - centre) ** 2).sum(axis=0) < 30**2, 1000, -1000)
    files = write_dicom(tmp_path, ball.astype(np.int16), (2.0, 2.0, 2.0), step=step)
    image = read_series(files)
    assert image.GetMetaData(NOTE) == "gantry tilt of 16.7° resampled"
    bone = sitk.GetArrayFromImage(image) > 0
    points = [
        image.TransformIndexToPhysicalPoint(index[::-1].tolist())
        for index in np.argwhere(bone)
    ]
    np.testing.assert_allclose(np.mean(points, axis=0), centre.ravel(), atol=0.2)
    np.testing.assert_allclose(np.std(points, axis=0), 30 / 5**0.5, atol=0.3)


def test_missing_slices_and_uneven_steps_are_refused(tmp_path):
    files = write_dicom(tmp_path, VALUES, SPACING)
    with pytest.raises(SkfmError, match="2 slices are missing within the stack"):
        read_series(files[:7] + files[9:])
    change(files[4], ImagePositionPatient=[0.0, 0.0, 4 * 3.0 + 1.2])
    with pytest.raises(SkfmError, match="steps of 1.8 to 4.2 mm between slices"):
        read_series(files)
    with pytest.raises(SkfmError, match="5 slices; expected at least 8"):
        read_series(files[10:15])


def test_slices_that_are_there_twice(tmp_path):
    files = write_dicom(tmp_path, VALUES, SPACING)
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(files[3].read_bytes())
    image = read_series([*files, copy])
    assert image.GetMetaData(NOTE) == "1 slices were there twice"
    assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)
    change(copy, SOPInstanceUID="1.2.3")
    with pytest.raises(SkfmError, match="1 slices lie where others do"):
        read_series([*files, copy])


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"PixelSpacing": [4.0, 4.1]}, "slices of 2 layouts"),
        ({"RescaleIntercept": 0}, "slices of 2 layouts"),
        ({"SeriesInstanceUID": "1.2.3"}, "slices of 2 series"),
        ({"PatientID": "2"}, "slices of 2 patients"),
        ({"Modality": "MR"}, "modality MR"),
        ({"PixelData": None}, "a slice has no pixels"),
        ({"ImagePositionPatient": None}, "does not state its position"),
        ({"NumberOfFrames": 5}, "several slices in one file"),
    ],
)
def test_a_slice_that_does_not_belong_is_said(tmp_path, tags, message):
    files = write_dicom(tmp_path, VALUES, SPACING)
    change(files[6], **tags)
    with pytest.raises(SkfmError, match=message):
        read_series(files)


@pytest.mark.parametrize("keep", [0, 100, 500, 1000, -1])
def test_slices_that_are_cut_short_are_refused(tmp_path, keep):
    files = write_dicom(tmp_path, VALUES, SPACING)
    files[6].write_bytes(files[6].read_bytes()[:keep])
    with pytest.raises(SkfmError, match="damaged|cut short|no pixels|no DICOM"):
        read_series(files)


@pytest.fixture(scope="module")
def found():
    with Sandbox() as sandbox:
        yield lambda folder, out: find_sources(folder, out, sandbox)


def test_the_thin_plain_series_is_chosen_and_said_why(tmp_path, found):
    def series(name, spacing, slices, **tags):
        values = np.zeros((slices, 4, 4), np.int16)
        same = {"PatientID": "x7", "StudyInstanceUID": "1.2"}
        write_dicom(tmp_path / name, values, (1, 1, spacing), **same, **tags)

    series("a", 5.0, 30, SeriesDescription="CT 5mm")
    series("b", 1.1, 100, SeriesDescription="CT PLAIN THIN")
    series("c", 1.0, 120, SeriesDescription="CT POST-CONTRAST")
    series("d", 0.5, 80, SeriesDescription="CT BONE", ImageType=["ORIGINAL", "AXIAL"])
    series("e", 1.2, 110, ContrastBolusAgent="APPLIED")
    series("f", 1.0, 2, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (source,) = found(tmp_path, tmp_path / "out").sources
    assert source.location == "b" and len(source.items) == 100
    assert source.note == (
        "of 6 series the one with slices every 1.1 mm over 109 mm, plain; not "
        "1 with thicker slices, 2 with contrast, 1 shorter, 1 no CT or a scout"
    )


def test_two_patients_in_one_folder_are_two_scans(tmp_path, found):
    write_dicom(tmp_path, VALUES, SPACING, PatientID="one")
    for path in sorted(tmp_path.iterdir()):
        path.rename(path.with_name(f"x{path.name}"))
    write_dicom(tmp_path, VALUES + 1, SPACING, PatientID="two")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + b"x" * 99)
    (tmp_path / "readme").write_text("no scan")
    result = found(tmp_path, tmp_path / "out")
    assert sorted(s.patient for s in result.sources) == ["one", "two"]
    assert not result.problems
    firsts = set()
    for source in result.sources:
        with on_disk(source) as paths:
            firsts.add(int(sitk.GetArrayFromImage(read_series(paths))[0, 0, 0]))
    assert firsts == {int(VALUES[0, 0, 0]), int(VALUES[0, 0, 0]) + 1}


def test_patients_without_a_name_of_their_own_are_told_apart_by_study(tmp_path, found):
    for name in "ab":
        write_dicom(tmp_path / name, VALUES, SPACING, PatientID="Anonymous")
    patients = {s.patient for s in found(tmp_path, tmp_path / "out").sources}
    assert len(patients) == 2


def test_a_study_without_ct_is_reported(tmp_path, found):
    write_dicom(tmp_path / "mr", VALUES, SPACING, Modality="MR")
    result = found(tmp_path, tmp_path / "out")
    assert result.problems == {"mr": "no series of CT slices (1 of modality MR)"}


@pytest.mark.parametrize("kept", [140, 250, 400])
def test_damaged_slices_at_the_end_are_not_passed_over(tmp_path, found, kept):
    files = write_dicom(tmp_path / "s", VALUES, SPACING)
    content = files[-1].read_bytes()
    files[-1].write_bytes(content[:kept] + b"\xff" * 300 + content[kept + 300 :])
    assert list(found(tmp_path, tmp_path / "out").problems) == ["s"]


@pytest.mark.parametrize("tag", ["ImageOrientationPatient", "ImagePositionPatient"])
def test_a_series_with_a_slice_out_of_space_is_reported(tmp_path, found, tag):
    files = write_dicom(tmp_path / "s", VALUES, SPACING)
    change(files[3], **{tag: None})
    assert list(found(tmp_path, tmp_path / "out").problems) == ["s"]


def test_a_series_in_an_archive(tmp_path, found):
    files = write_dicom(tmp_path / "s", VALUES, SPACING)
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "x.zip", "w") as archive:
        for path in files:
            archive.write(path, f"A B/CT plain/{path.name}")
    (source,) = found(tmp_path / "in", tmp_path / "out").sources
    assert source.location == "x.zip/A B/CT plain"
    with on_disk(source) as paths:
        assert np.array_equal(sitk.GetArrayFromImage(read_series(paths)), VALUES)
    assert not paths[0].exists()


def test_headers_hold_no_more_than_is_needed(tmp_path):
    (path, *_) = write_dicom(tmp_path, VALUES, SPACING, PatientName="Doe^Jane")
    assert "Doe" not in repr(read_slice(path))
    assert choose_series([]) == ([], "no series of CT slices ()")
