"""DICOM files in every encoding are the same slice; other files are none."""

import gzip
import zlib

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_kinds import ENCODINGS, encode, write_enhanced
from scan_files import change, write_dicom

from skfm_lib.data.io.dicom import files as dicom_files
from skfm_lib.data.io.dicom.headers import read_slices
from skfm_lib.data.io.dicom.series import NOTE, ordered_slices, read_series
from skfm_lib.utils.errors import SkfmError

SPACING = (4.0, 5.0, 3.0)
VALUES = np.random.default_rng(0).integers(-1000, 2000, (9, 24, 26)).astype(np.int16)


@pytest.fixture
def files(tmp_path):
    return write_dicom(tmp_path / "series", VALUES, SPACING, origin=(1, 2, 3))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_encoding_makes_no_difference(files, encoding):
    plain = [read_slices(path) for path in files]
    for path in files:
        encode(path, encoding)
    assert [read_slices(path) for path in files] == plain
    image = read_series(files)
    assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)
    assert image.GetOrigin() == (1, 2, 3)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_first_bytes_hold_the_header(files, encoding):
    (plain,) = read_slices(files[0])
    encode(files[0], encoding)
    assert read_slices(files[0].read_bytes()[:1500]) == [plain]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\0",
        bytes(500),
        b"\x08\0\x05\0\xff\xff\xff\xff" * 50,
        b"\x08\0\x99\0CS\4\0abcd" * 50,
        b"solid skull\n" * 50,
        np.random.default_rng(0).bytes(5000),
        gzip.compress(b"solid skull\n" * 50, mtime=0),
        gzip.compress(np.random.default_rng(0).bytes(50), mtime=0)[:20],
    ],
)
def test_other_files_are_no_dicom(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert read_slices(tmp_path / "a") == []
    assert read_slices(content) == []
    with pytest.raises(SkfmError, match="no DICOM slice"):
        read_series([tmp_path / "a"])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kept", [0.99, 0.5])
def test_files_that_are_cut_short_are_refused(files, encoding, kept):
    encode(files[4], encoding)
    content = files[4].read_bytes()
    files[4].write_bytes(content[: int(kept * len(content))])
    with pytest.raises(SkfmError, match="damaged|cut short|no pixels"):
        read_series(files)


@pytest.mark.parametrize("encoding", ["gzip", "deflated"])
def test_what_unpacks_to_too_much_is_refused(files, encoding, monkeypatch):
    monkeypatch.setattr(dicom_files, "MOST_BYTES", 1500)
    change(files[4], PixelData=bytes(2 * VALUES[4].size))
    encode(files[4], encoding)
    with pytest.raises(SkfmError, match="unpacks to more than"):
        read_series(files)


@pytest.mark.parametrize("shared", [True, False])
def test_the_frames_of_one_file_are_slices(tmp_path, files, shared):
    write_enhanced(tmp_path / "ct", files[::-1], shared)
    image, single = read_series([tmp_path / "ct"]), read_series(files)
    assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)
    assert image.GetOrigin() == single.GetOrigin()
    assert image.GetDirection() == single.GetDirection()
    assert image.GetSpacing() == single.GetSpacing()
    frames = [header.frame for header, _ in ordered_slices([tmp_path / "ct"])]
    assert frames == list(range(9))[::-1]


def test_frames_in_several_files_are_one_stack(tmp_path, files):
    write_enhanced(tmp_path / "a", files[::2])
    write_enhanced(tmp_path / "b", files[1::2])
    image = read_series([tmp_path / "b", tmp_path / "a"])
    assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)


def test_each_frame_has_its_own_rescale(tmp_path, files):
    change(files[3], RescaleIntercept=-24)
    write_enhanced(tmp_path / "ct", files, shared=False)
    got = sitk.GetArrayFromImage(read_series([tmp_path / "ct"]))
    assert np.array_equal(got[3], VALUES[3] + 1000)
    assert np.array_equal(got[4:], VALUES[4:])


def test_frames_without_positions_are_refused(tmp_path, files):
    write_enhanced(tmp_path / "ct", files)
    change(tmp_path / "ct", PerFrameFunctionalGroupsSequence=None)
    with pytest.raises(SkfmError, match="several slices in one file, without pos"):
        read_series([tmp_path / "ct"])


def test_frames_of_two_times_are_refused(tmp_path, files):
    again = write_dicom(tmp_path / "again", VALUES + 1, SPACING, origin=(1, 2, 3))
    write_enhanced(tmp_path / "ct", files + again)
    with pytest.raises(SkfmError, match="9 slices lie where others do"):
        read_series([tmp_path / "ct"])
    data = pydicom.dcmread(tmp_path / "ct")
    for k, frame in enumerate(data.PerFrameFunctionalGroupsSequence):
        content = pydicom.Dataset()
        content.TemporalPositionIndex = 1 + k // 9
        frame.FrameContentSequence = [content]
    data.save_as(tmp_path / "ct")
    image = read_series([tmp_path / "ct"])
    assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)
    assert image.GetMetaData(NOTE) == "9 scouts or slices of another geometry left out"


def test_damage_to_what_is_packed_is_one_error(files):
    content = bytearray(gzip.compress(files[4].read_bytes(), 1))
    content[200:260] = bytes(60)
    files[4].write_bytes(content)
    with pytest.raises((zlib.error, OSError)):
        gzip.decompress(content)
    with pytest.raises(SkfmError, match="damaged|cut short|no pixels"):
        read_series(files)
