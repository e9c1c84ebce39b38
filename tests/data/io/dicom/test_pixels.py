"""Pixels of DICOM slices: rescale, padding, bits and compressions."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_kinds import write_enhanced
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from scan_files import change, write_dicom

from skfm_lib.data.io.dicom.series import NOTE, read_series
from skfm_lib.data.io.volumes import read_scan
from skfm_lib.utils.errors import SkfmError

SPACING = (4.0, 5.0, 3.0)
VALUES = np.random.default_rng(0).integers(-1000, 2000, (20, 24, 26)).astype(np.int16)


def pixels_of(files) -> np.ndarray:
    return sitk.GetArrayFromImage(read_series(files))


@pytest.fixture
def files(tmp_path):
    return write_dicom(tmp_path / "series", VALUES, SPACING)


def test_rescale_is_applied(files):
    for path in files:
        change(path, RescaleSlope=0.5)
    np.testing.assert_allclose(pixels_of(files), (VALUES + 1024.0) * 0.5 - 1024)


def test_each_slice_has_its_own_rescale(files):
    change(files[3], RescaleIntercept=-24)
    change(files[5], RescaleSlope=3)
    expected = VALUES.astype(int)
    expected[3] += 1000
    expected[5] = (expected[5] + 1024) * 3 - 1024
    got = pixels_of(files)
    assert got.dtype == np.int16 and np.array_equal(got, expected)
    change(files[5], RescaleSlope=2.5)
    expected[5] = 2.5 * (VALUES[5].astype(int) + 1024) - 1024
    np.testing.assert_allclose(pixels_of(files)[5], expected[5], atol=1)
    assert np.array_equal(pixels_of(files)[:5], expected[:5])


def test_values_beyond_16_bits_do_not_wrap(tmp_path, files):
    change(files[3], RescaleSlope=30)
    got = sitk.GetArrayFromImage(read_series(files))
    assert np.array_equal(got[3], (VALUES[3] + 1024.0) * 30 - 1024)
    assert np.array_equal(got[4], VALUES[4])
    assert read_scan(tmp_path, files).GetPixelID() == sitk.sitkFloat32
    stored = np.full(VALUES[7].shape, 60000)
    change(files[7], PixelData=stored.astype("<u2").tobytes())
    assert pixels_of(files)[7].max() == 60000 - 1024
    change(files[7], RescaleSlope="1e300", RescaleIntercept="1e300")
    with pytest.raises(SkfmError, match="NaN or infinite"):
        read_scan(tmp_path, files)


def signed(files, intercept=0, **tags) -> None:
    """Store the values as signed numbers."""
    for path, values in zip(files, VALUES):
        stored = (values - intercept).astype("<i2").tobytes()
        own = {"PixelRepresentation": 1, "RescaleIntercept": intercept}
        change(path, PixelData=stored, **own | tags)


def test_no_rescale_is_said(files):
    signed(files, RescaleIntercept=None, RescaleSlope=None)
    image = read_series(files)
    assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)
    note = "no rescale to Hounsfield units is stated: taken as they are"
    assert image.GetMetaData(NOTE) == note
    for path in files:
        change(path, PixelData=np.abs(VALUES[0]).astype("<i2").tobytes())
    with pytest.raises(SkfmError, match="no value is negative; expected RescaleSlope"):
        read_series(files)


@pytest.mark.parametrize("bits", [12, 13])
def test_what_is_beyond_the_stored_bits_is_no_value(files, bits):
    stored = np.clip(VALUES, -1000, 1500).astype("<i2")
    garbage = np.random.default_rng(1).integers(0, 16, VALUES.shape) << 12
    for path, values, more in zip(files, stored, garbage):
        mixed = (values.astype(int) & 0xFFF | more).astype("<u2")
        if bits == 13:  # signs extended, as most programs write them
            mixed = values.view("<u2")
        tags = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": 1}
        change(path, PixelData=mixed.tobytes(), RescaleIntercept=0, **tags)
    assert np.array_equal(pixels_of(files), stored)


@pytest.mark.parametrize("limit", [None, 63004])
def test_padding_is_air(files, limit):
    for path, values in zip(files, VALUES):
        padded = (values + 1024).astype("<u2")
        padded[:3], padded[3] = 63000, 63004
        change(path, PixelData=padded.tobytes())
        pad(path, "US", 63000, limit)
    got = pixels_of(files)
    assert (got[:, :3] == -1024).all()
    assert (got[:, 3] == (-1024 if limit else 63004 - 1024)).all()
    assert np.array_equal(got[:, 4:], VALUES[:, 4:])


def pad(path, kind, *values) -> None:
    data = pydicom.dcmread(path)
    for keyword, value in zip(("PixelPaddingValue", "PixelPaddingRangeLimit"), values):
        if value is not None:
            data.add_new(keyword, kind, value)
    data.save_as(path)


@pytest.mark.parametrize(("kind", "value"), [("SS", -999), ("US", 65536 - 999)])
def test_signed_padding(files, kind, value):
    signed(files)
    for path in files:
        pad(path, kind, value)
    got = pixels_of(files)
    assert np.array_equal(got[VALUES != -999], VALUES[VALUES != -999])
    assert (got[VALUES == -999] == -1024).all() and (VALUES == -999).any()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_signed_values_in_either_order(files, syntax):
    signed(files, intercept=-5)
    for path in files:
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = syntax
        if not syntax.is_little_endian:
            data.PixelData = (
                np.frombuffer(data.PixelData, "<i2").astype(">i2").tobytes()
            )
        order = {"little_endian": syntax.is_little_endian, "force_encoding": True}
        pydicom.dcmwrite(path, data, implicit_vr=syntax.is_implicit_VR, **order)
    assert np.array_equal(pixels_of(files), VALUES)


def test_inverted_greys_are_the_same_values(files):
    for path in files:
        change(path, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(pixels_of(files), VALUES)


def test_8_bits_are_no_hounsfield_units(tmp_path, files):
    def store(values, **tags):
        for path, own in zip(files, values):
            eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7} | tags
            change(path, PixelData=own.astype("u1").tobytes(), **eight)

    store(np.abs(VALUES) % 256, RescaleIntercept=0)
    with pytest.raises(SkfmError, match="grey values of 8 bits"):
        read_scan(tmp_path, files)
    store(np.abs(VALUES) % 256, RescaleIntercept=-1024, RescaleSlope=16)
    assert np.array_equal(pixels_of(files), np.abs(VALUES) % 256 * 16 - 1024)
    store(VALUES > 500, RescaleIntercept=None, RescaleSlope=None)
    assert np.array_equal(pixels_of(files), VALUES > 500)


@pytest.mark.parametrize("syntax", ["JPEG2000", "JPEG", "RLE"])
@pytest.mark.parametrize("frames", [False, True])
def test_compressed_slices_are_read(tmp_path, files, syntax, frames):
    for path in files:
        data = pydicom.dcmread(path)
        if syntax == "RLE":
            data.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        else:
            compress(data, sitk.ReadImage(str(path)), syntax, tmp_path / "packed.dcm")
        assert data.file_meta.TransferSyntaxUID.is_compressed
        data.save_as(path)
    if frames:
        write_enhanced(tmp_path / "ct", files)
        data = pydicom.dcmread(tmp_path / "ct")
        pieces = [pydicom.dcmread(path).PixelData for path in files]
        each = [
            next(pydicom.encaps.generate_frames(p, number_of_frames=1)) for p in pieces
        ]
        data.PixelData = pydicom.encaps.encapsulate(each)
        data["PixelData"].is_undefined_length = True
        data.save_as(tmp_path / "ct")
        files = [tmp_path / "ct"]
    assert np.array_equal(pixels_of(files), VALUES)


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


@pytest.mark.parametrize("syntax", ["MPEG2MPML", "HTJ2KLossless"])
def test_an_unknown_compression_is_named(files, syntax):
    for path in files:
        data = pydicom.dcmread(path)
        data.PixelData = pydicom.encaps.encapsulate([b"\0" * 100])
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
        data.save_as(path)
    with pytest.raises(SkfmError, match="compressed in a way .* gdcmconv --raw"):
        read_series(files)
