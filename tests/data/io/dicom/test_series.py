"""DICOM series: order, tilt and steps put right, what is missing said."""

import numpy as np
import pytest
import SimpleITK as sitk
from scan_files import change, write_dicom

from skfm_lib.data.io.dicom.series import NOTE, ordered_slices, read_series
from skfm_lib.data.io.volumes import read_scan
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


def test_missing_slices_and_irregular_steps_are_refused(tmp_path):
    files = write_dicom(tmp_path, VALUES, SPACING)
    with pytest.raises(SkfmError, match="2 slices missing within the stack"):
        read_series(files[:7] + files[9:])
    with pytest.raises(SkfmError, match="3 slices missing within the stack"):
        read_series(files[:5] + files[6:12] + files[14:])
    change(files[4], ImagePositionPatient=[0.0, 0.0, 4 * 3.0 + 1.2])
    with pytest.raises(SkfmError, match="irregular steps of 1.8 to 4.2 mm"):
        read_series(files)
    with pytest.raises(SkfmError, match="5 slices; expected at least 8"):
        read_series(files[10:15])


def ball(z: np.ndarray, step: np.ndarray) -> np.ndarray:
    """A ball of 1000 HU in air, in slices of 2 mm pixels at z · step."""
    k, y, x = np.meshgrid(z, np.arange(50), np.arange(50), indexing="ij")
    point = np.stack([2.0 * x, 2.0 * y + step[1] * k, step[2] * k])
    distance = np.linalg.norm(point - BALL.reshape(3, 1, 1, 1), axis=0)
    return np.clip(500 * (30 - distance), -1000, 1000).astype(np.int16)


BALL = np.array([50.0, 50.0, 40.0])
THIN_BASE = np.r_[np.arange(30), np.arange(30, 80, 2)] * 1.0
THIN_MIDDLE = np.r_[0:20:2, 20:40, 40:82:2] * 1.0


@pytest.mark.parametrize(
    ("z", "tilted"),
    [(THIN_BASE, False), (THIN_MIDDLE, True), (80 - THIN_BASE[::-1], True)],
)
def test_steps_that_the_scanner_changed_are_resampled(tmp_path, z, tilted):
    step = np.array([0.0, -0.3 if tilted else 0.0, 1.0])
    files = write_dicom(tmp_path, ball(z, step), (2.0, 2.0, 1.0), step=step, at=z)
    image = read_series(files)
    assert image.GetMetaData(NOTE).startswith("steps of 1 to 2 mm resampled")
    assert image.GetSpacing()[2] == pytest.approx(1.0)
    bone = sitk.GetArrayFromImage(image) > 0
    points = [
        image.TransformIndexToPhysicalPoint(index[::-1].tolist())
        for index in np.argwhere(bone)
    ]
    np.testing.assert_allclose(np.mean(points, axis=0), BALL, atol=0.2)
    np.testing.assert_allclose(np.std(points, axis=0), 30 / 5**0.5, atol=0.3)
    positions = [header.position[2] for header, _ in ordered_slices(files)]
    np.testing.assert_allclose(positions, z)  # not resampled


@pytest.mark.parametrize(("step", "digits"), [(0.625, 1), (0.33, 1), (1.5, 0)])
def test_positions_that_are_rounded_are_even(tmp_path, step, digits):
    values = VALUES[:1].repeat(60, 0)
    at = np.round(np.arange(60) * step, digits)
    files = write_dicom(tmp_path, values, (4.0, 5.0, 1.0), at=at)
    if step == 0.625:  # steps of 0.6 and 0.7
        image = read_series(files)
        assert image.GetSpacing()[2] == pytest.approx(step, abs=2e-3)
        assert not image.HasMetaDataKey(NOTE) and image.GetSize()[2] == 60
    else:  # the rounding is a good part of the step
        with pytest.raises(SkfmError, match="irregular steps"):
            read_series(files)


def test_steps_that_drift_are_resampled(tmp_path):
    at = np.cumsum(np.linspace(0.96, 1.04, 60))
    files = write_dicom(tmp_path, VALUES[:1].repeat(60, 0), (4.0, 5.0, 1.0), at=at)
    image = read_series(files)
    assert image.GetMetaData(NOTE) == "steps of 0.961 to 1.04 mm resampled"
    assert image.GetSize()[2] == 60


def test_changed_steps_that_are_too_thick_are_said(tmp_path):
    values = VALUES[:1].repeat(len(THIN_BASE), 0)
    thick = {"spacing": (0.5, 0.5, 2.4), "at": THIN_BASE}
    files = write_dicom(tmp_path, values, **thick)
    with pytest.raises(SkfmError) as error:
        read_series(files)
    assert "2.4 mm apart in one part of the scan and 4.8 mm in another" in str(error)
    files = write_dicom(tmp_path, values, **thick | {"spacing": (0.5, 0.5, 1.5)})
    assert read_series(files).GetSpacing()[2] == pytest.approx(1.5)


def test_a_tilt_that_changes_is_refused(tmp_path):
    def tilted(angle, part):
        axes = (1.0, 0.0, 0.0, 0.0, np.cos(angle), np.sin(angle))
        positions = [(0.0, 0.0, 3.0 * k) for k in part]
        files = write_dicom(
            tmp_path / f"{part[0]}", VALUES[part], SPACING, axes=axes, **ONE_SERIES
        )
        for path, position in zip(files, positions):
            change(path, ImagePositionPatient=list(position))
        return files

    base, vault = tilted(0.3, list(range(10))), tilted(0.1, list(range(10, 20)))
    with pytest.raises(SkfmError, match="tilt of the slices changes within the series"):
        read_series(base + vault)
    image = read_series(base + vault[-2:])
    assert image.GetSize()[2] == 10
    assert "2 scouts or slices of another geometry left out" in image.GetMetaData(NOTE)
    fan = [path for k in range(20) for path in tilted(0.01 * k, [k])]
    with pytest.raises(SkfmError, match="tilt of the slices changes within the series"):
        read_series(fan)


ONE_SERIES = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}


def test_axes_and_positions_that_are_rounded(tmp_path):
    axes = np.array(OBLIQUE)
    files = write_dicom(tmp_path, VALUES, SPACING, axes=OBLIQUE, origin=(-90, 200, 50))
    plain = read_series(files)
    rng = np.random.default_rng(2)
    for path in files:
        jitter = axes + rng.uniform(-4e-4, 4e-4, 6)
        change(path, ImageOrientationPatient=[f"{v:.7f}" for v in jitter])
    image = read_series(files)
    assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)
    np.testing.assert_allclose(image.GetDirection(), plain.GetDirection(), atol=3e-4)
    matrix = np.reshape(image.GetDirection(), (3, 3))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-6)


def test_slices_that_are_there_twice(tmp_path):
    files = write_dicom(tmp_path, VALUES, SPACING)
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(files[3].read_bytes())
    for instance in (None, "1.2.3"):  # a copy of the file, and one sent again
        if instance:
            change(copy, SOPInstanceUID=instance)
        image = read_series([*files, copy])
        assert image.GetMetaData(NOTE) == "1 slices were there twice"
        assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)
        assert len(ordered_slices([*files, copy])) == 20
    data = VALUES[3] + 1024
    data[5, 5] += 1
    change(copy, PixelData=data.astype("<u2").tobytes())
    with pytest.raises(SkfmError, match="1 slices lie where others do, with other pix"):
        read_series([*files, copy])


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"PixelSpacing": [4.0, 4.1]}, "1 slice missing"),
        ({"SeriesInstanceUID": "1.2.3"}, "1 slice missing"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "1 slice missing"),
        ({"Modality": "MR"}, "modality MR"),
        ({"PixelData": None}, "a slice has no pixels"),
        ({"ImagePositionPatient": None}, "a slice states no position"),
        ({"NumberOfFrames": 5}, "several slices in one file, without positions"),
        ({"SamplesPerPixel": 3}, "modality SC; expected CT"),
        ({"Rows": None}, "cut short or damaged|missing"),
    ],
)
def test_a_slice_that_does_not_belong_is_said(tmp_path, tags, message):
    files = write_dicom(tmp_path, VALUES, SPACING)
    change(files[6], **tags)
    with pytest.raises(SkfmError, match=message):
        read_series(files)


def test_a_scout_costs_only_the_scout(tmp_path):
    files = write_dicom(tmp_path, VALUES, SPACING)
    scout = tmp_path / "scout.dcm"
    scout.write_bytes(files[0].read_bytes())
    change(scout, SOPInstanceUID="1.2.3", ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    for image_type in (["ORIGINAL", "PRIMARY", "LOCALIZER"], ["ORIGINAL", "PRIMARY"]):
        change(scout, ImageType=image_type)
        image = read_series([scout, *files])
        assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)
        left = "1 scouts or slices of another geometry left out"
        assert image.GetMetaData(NOTE) == left
