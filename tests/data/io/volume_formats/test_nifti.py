"""NIfTI as programs write it: scaled, big endian, rounded, sheared, misnamed."""

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from skfm_lib.data.io.grids import NOTE
from skfm_lib.data.io.volumes import read_grid, read_scan
from skfm_lib.utils.errors import SkfmError

SPACING = np.array([2.0, 2.0, 3.0])
HU = np.random.default_rng(0).integers(-1000, 2000, (60, 50, 40)).astype(np.int16)
AFFINE = np.diag([*SPACING, 1.0])
AFFINE[:3, 3] = -50, -40, -30


def turn(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])


def write(path: Path, values=HU, affine=AFFINE, kind=nib.Nifti1Image, **fields) -> Path:
    """A file with these fields of the header changed after all else."""
    image = kind(values, affine)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
    if fields:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as stream:
            content = stream.read()
        header = image.header.copy()
        size = header.sizeof_hdr
        header = type(header)(content[:size], check=False)
        for name, value in fields.items():
            header[name] = value
        with opened(path, "wb") as stream:
            stream.write(header.binaryblock + content[size:])
    return path


def values_of(path: Path) -> np.ndarray:
    """(x, y, z) in RAS order, whatever the file's."""
    return sitk.GetArrayFromImage(read_scan(path)).T


def geometry(path: Path) -> tuple:
    scan = read_scan(path)
    return scan.GetSpacing(), scan.GetOrigin(), scan.GetDirection()


@pytest.fixture
def plain(tmp_path) -> tuple:
    return geometry(write(tmp_path / "plain.nii"))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("slope", "inter", "stored", "pixel"),
    [
        (1, -1024, np.uint16, sitk.sitkInt16),
        (2, -1000, np.int16, sitk.sitkInt16),
        (-1, 0, np.int16, sitk.sitkInt16),
        (1, 30000, np.int16, sitk.sitkInt16),
        (0.5, 0, np.int32, sitk.sitkFloat32),
        (0.25, -300.5, np.uint8, sitk.sitkFloat32),
        (3, 1, np.float64, sitk.sitkFloat32),
        (0, 7, np.int16, sitk.sitkInt16),  # slope 0: not scaled
        (np.nan, np.nan, np.uint16, sitk.sitkInt16),
    ],
)
def test_slope_and_intercept_are_applied(tmp_path, suffix, slope, inter, stored, pixel):
    raw = np.arange(60 * 50 * 40).reshape(60, 50, 40) % 251
    if slope == 1 and inter == 30000:
        raw -= 28000
    path = tmp_path / f"a{suffix}"
    write(path, raw.astype(stored), scl_slope=slope, scl_inter=inter)
    scaled = raw * slope + inter if slope and np.isfinite(slope) else raw
    np.testing.assert_array_equal(values_of(path), scaled)
    assert read_scan(path).GetPixelID() == pixel


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("stored", ["i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_both_formats_orders_and_all_types(tmp_path, kind, order, stored):
    values = HU if stored[0] != "u" else HU + 1000
    header = kind.header_class(endianness=order)
    header.set_data_dtype(order + stored)
    header.set_data_shape(values.shape)
    image = kind(values.astype(stored), AFFINE, header)
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_array_equal(values_of(tmp_path / "a.nii"), values)


def test_gzip_is_recognised_by_content(tmp_path):
    packed, unpacked = write(tmp_path / "a.nii.gz"), write(tmp_path / "b.nii")
    packed.rename(tmp_path / "c.nii")
    unpacked.rename(tmp_path / "d.nii.gz")
    for name in ("c.nii", "d.nii.gz"):
        np.testing.assert_array_equal(values_of(tmp_path / name), HU)


@pytest.mark.parametrize(("code", "mm"), [(0, 1), (1, 1000), (2, 1), (3, 1e-3)])
def test_units_of_length(tmp_path, plain, code, mm):
    affine = np.diag([1 / mm] * 3 + [1]) @ AFFINE
    path = write(tmp_path / "a.nii", affine=affine, xyzt_units=code)
    np.testing.assert_allclose(np.concatenate(geometry(path)), np.concatenate(plain))


def test_one_volume_in_four_dimensions(tmp_path):
    write(tmp_path / "a.nii", HU[..., None, None])
    np.testing.assert_array_equal(values_of(tmp_path / "a.nii"), HU)
    write(tmp_path / "a.nii", dim=[4, 60, 50, 40, 0, 1, 1, 1])
    np.testing.assert_array_equal(values_of(tmp_path / "a.nii"), HU)
    write(tmp_path / "b.nii", np.stack([HU, HU], axis=-1))
    with pytest.raises(SkfmError, match="60×50×40×2 voxels, 1 value"):
        read_scan(tmp_path / "b.nii")
    colour = np.zeros((60, 50, 40), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    write(tmp_path / "c.nii", colour)
    with pytest.raises(SkfmError, match="60×50×40 voxels, 3 value"):
        read_scan(tmp_path / "c.nii")


def test_nan_is_counted_in_scaled_floats_too(tmp_path):
    values = HU.astype(np.float32)
    values[3, 4, :5] = np.nan, np.inf, -np.inf, 3e38, np.nan
    write(tmp_path / "a.nii.gz", values, scl_slope=10, scl_inter=1)
    with pytest.raises(SkfmError, match="5 voxels are NaN or infinite"):
        read_scan(tmp_path / "a.nii.gz")


def test_damage_is_found_in_scaled_and_misnamed_files(tmp_path):
    write(tmp_path / "a.nii.gz", scl_slope=2).rename(tmp_path / "a.nii")
    whole = (tmp_path / "a.nii").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 16
    for content in (whole[:-9], whole[: len(whole) // 2], bytes(flipped)):
        (tmp_path / "a.nii").write_bytes(content)
        with pytest.raises(SkfmError, match="cannot be read"):
            read_scan(tmp_path / "a.nii")
    # Scaled float32 are longer than the int16 that are stored.
    write(tmp_path / "b.nii", scl_slope=0.3)
    content = (tmp_path / "b.nii").read_bytes()
    read_scan(tmp_path / "b.nii")
    (tmp_path / "b.nii").write_bytes(content[:-1])
    with pytest.raises(SkfmError, match="cut short"):
        read_scan(tmp_path / "b.nii")
    (tmp_path / "b.nii").write_bytes(content + bytes(1 << 25))
    with pytest.raises(SkfmError, match="more than its header says"):
        read_scan(tmp_path / "b.nii")


def sform(path: Path, affine: np.ndarray, code: int = 1, **fields) -> Path:
    rows = {f"srow_{x}": row for x, row in zip("xyz", affine)}
    return write(path, qform_code=0, **rows, sform_code=code, **fields)


def test_a_rounded_sform_is_made_rectangular(tmp_path):
    values = np.concatenate([HU, HU], axis=1)
    exact = turn(16.5) @ np.diag([0.957, 0.957, 1.5, 1])
    for decimals in (2, 3):
        affine, pixdim = exact.round(decimals), [1, 0.957, 0.957, 1.5, 0, 0, 0, 0]
        path = sform(tmp_path / "a.nii", affine, pixdim=pixdim, values=values)
        scan = read_scan(path)
        np.testing.assert_allclose(scan.GetSpacing(), (0.957, 0.957, 1.5), atol=1e-6)
        axes = np.array(scan.GetDirection()).reshape(3, 3)
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
        np.testing.assert_allclose(axes * (-1, -1, 1), turn(-16.5)[:3, :3], atol=0.01)
        note = scan.GetMetaData(NOTE)
        assert "by pixdim (used)" in note
        assert ("right angles: made rectangular" in note) == (decimals == 2)


def test_a_sheared_sform_is_resampled(tmp_path):
    shear, size = np.tan(np.deg2rad(18)) * 1.5, (60, 70, 50)
    affine = np.diag([1.5, 1.5, 1.5, 1])
    affine[1, 2] = shear
    x, y, z = np.meshgrid(*map(np.arange, size), indexing="ij")
    # A plane wave in mm, which linear interpolation keeps.
    values = (1.5 * y + shear * z - 0.5 * 1.5 * z).astype(np.float32) * 4
    path = tmp_path / "a.nii.gz"
    write(path, values, affine, qform_code=0)
    scan = read_scan(path)
    assert scan.GetMetaData(NOTE) == "axes 18.0° from right angles: shear resampled"
    assert scan.GetSize() == (60, 70 + int(np.ceil(shear * 49 / 1.5)), 50)
    lps = scan.TransformIndexToPhysicalPoint((30, 45, 25))
    assert scan[30, 45, 25] == pytest.approx(4 * (-lps[1] - lps[2] / 2), abs=1e-3)
    grid = sitk.DICOMOrient(read_grid(path), "RAS")
    assert grid.GetSize() == scan.GetSize() and grid.GetOrigin() == scan.GetOrigin()


def test_both_forms_are_compared(tmp_path):
    turned = turn(28) @ AFFINE
    path = tmp_path / "a.nii"
    rows = {f"srow_{x}": row for x, row in zip("xyz", turned)}
    write(path, **rows, qform_code=1, sform_code=1)
    note = read_scan(path).GetMetaData(NOTE)
    assert note.startswith("sform and qform differ by 28.0° and") and "sform" in note
    axes = np.array(read_scan(path).GetDirection()).reshape(3, 3)
    np.testing.assert_allclose(np.diag([-1, -1, 1]) @ axes, turn(28)[:3, :3], atol=1e-6)
    # A form that leads to an atlas gives way.
    scaled = np.diag([1.2, 1.1, 1, 1]) @ turned
    rows = {f"srow_{x}": row for x, row in zip("xyz", scaled)}
    write(path, **rows, qform_code=1, sform_code=4)
    scan = read_scan(path)
    assert scan.GetMetaData(NOTE).endswith("qform used")
    np.testing.assert_allclose(scan.GetSpacing(), SPACING)
    mirrored = np.diag([-1, 1, 1, 1]) @ AFFINE
    write(path, srow_x=mirrored[0], qform_code=1, sform_code=1)
    with pytest.raises(
        SkfmError, match="sform and qform disagree on which side is left"
    ):
        read_scan(path)


def test_pixdim_that_contradicts_the_sform_is_refused(tmp_path):
    path = sform(tmp_path / "a.nii", AFFINE, pixdim=[1, 1, 1, 1, 0, 0, 0, 0])
    sizes = "voxels of 2×2×3 mm by its sform and 1×1×1 mm by its pixdim"
    with pytest.raises(SkfmError, match=sizes):
        read_scan(path)


def test_pixdim_of_zero_gives_way_to_the_sform(tmp_path, plain):
    path = sform(tmp_path / "a.nii", AFFINE, pixdim=np.zeros(8))
    np.testing.assert_allclose(np.concatenate(geometry(path)), np.concatenate(plain))
    note = read_scan(path).GetMetaData(NOTE)
    assert note == "its pixdim states no voxel size: sform used"


@pytest.mark.parametrize("broken", [0, np.nan, np.inf])
def test_singular_geometry_is_refused(tmp_path, broken):
    affine = AFFINE.copy()
    affine[1, :3] = broken
    path = sform(tmp_path / "a.nii", affine)
    with pytest.raises(SkfmError, match="singular sform .0, or not finite"):
        read_scan(path)
    pixdim = [1, 2, broken, 3, 0, 0, 0, 0]
    write(path, pixdim=pixdim, qform_code=1, sform_code=0)
    with pytest.raises(SkfmError, match="singular qform .0, or not finite"):
        read_scan(path)
    write(path, pixdim=pixdim, qform_code=0, sform_code=0)
    with pytest.raises(SkfmError, match="singular pixdim .0, or not finite"):
        read_scan(path)
    rows = {f"srow_{x}": row for x, row in zip("xyz", affine)}
    write(path, **rows, qform_code=1, sform_code=1)
    assert read_scan(path).GetMetaData(NOTE) == "singular sform, qform used"


def test_flipped_axes_by_qfac(tmp_path):
    path, flipped = tmp_path / "a.nii", AFFINE @ np.diag([1, 1, -1, 1])
    write(path, affine=flipped, sform_code=0, qform_code=1)
    assert nib.load(path).header["pixdim"][0] == -1
    np.testing.assert_array_equal(values_of(path), HU[:, :, ::-1])
    write(path, sform_code=0, qform_code=1, quatern_b=0.9, quatern_c=0.9)
    with pytest.raises(SkfmError, match="singular qform"):
        read_scan(path)


def test_other_kinds_are_named(tmp_path):
    analyze = struct.pack("<i", 348) + bytes(400)
    kinds = {
        b"NRRD0005\ntype: short\n\n" + bytes(100): "is NRRD; .*rename it .nrrd",
        b"ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\n": "is MetaImage; .*.mha",
        bytes(128) + b"DICM" + bytes(99): "is DICOM; .*rename it .dcm",
        analyze: "is Analyze 7.5; .*convert it to NIfTI",
        analyze[:344]
        + b"ni1\0"
        + bytes(99): "is the header of a NIfTI pair; .*fslchfiletype",
        b"\x89HDF\r\n\x1a\n" + bytes(99): "is HDF5",
        b"\x89PNG\r\n\x1a\n"
        + bytes(99): "is a picture; expected NIfTI, as its name says",
        b"PK\x03\x04" + bytes(99): "is a zip archive; .*rename it .zip",
        struct.pack(">5i", 1, 256, 256, 256, 1) + bytes(99): "is FreeSurfer MGH",
        b"version https://git-lfs.github.com/spec/v1\n": "a Git LFS pointer",
    }
    for content, message in kinds.items():
        (tmp_path / "a.nii").write_bytes(content)
        with pytest.raises(SkfmError, match=message):
            read_scan(tmp_path / "a.nii")
        (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content))
        with pytest.raises(SkfmError, match="content is gzipped .*unpack it"):
            read_scan(tmp_path / "a.nii.gz")
    write(tmp_path / "b.nii").rename(tmp_path / "b.nrrd")
    with pytest.raises(SkfmError, match="is NIfTI; .*rename it .nii"):
        read_scan(tmp_path / "b.nrrd")
    (tmp_path / "c.nii").write_bytes(b"nothing known" * 99)
    with pytest.raises(SkfmError, match="c.nii cannot be read"):
        read_scan(tmp_path / "c.nii")
