"""Scans, volumes and meshes as files: geometry kept, bad input named."""

import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from skfm_lib.data.io.dicom.series import NOTE
from skfm_lib.data.io.volumes import (
    ONE_FILE_SUFFIXES,
    read_grid,
    read_scan,
    read_volume,
    write_volume,
)
from skfm_lib.data.voxels import skull_grid
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing, stem, suffix

SHAPE = (29, 22, 32)


@pytest.fixture
def occupancy() -> np.ndarray:
    return np.random.default_rng(0).random(SHAPE) > 0.6


def ct(values=None, spacing=(2.0, 2.0, 3.0)) -> sitk.Image:
    if values is None:
        values = np.random.default_rng(0).integers(-1000, 2000, (40, 50, 60))
        values = values.astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    return image


@pytest.mark.parametrize("kind", ONE_FILE_SUFFIXES)
def test_volume_round_trip_is_exact(tmp_path, occupancy, kind):
    path = tmp_path / "Schädel 1.x" / f"skull à{kind}"
    write_volume(path, occupancy, skull_grid(SHAPE))
    back, grid = read_volume(path)
    assert np.array_equal(back, occupancy) and back.dtype == bool
    assert grid == skull_grid(SHAPE)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_viewers_see_every_voxel_where_it_is(tmp_path):
    grid, occupancy = skull_grid(SHAPE), np.zeros(SHAPE, bool)
    occupancy[20, 3, 30] = True  # anterior, left, superior
    write_volume(tmp_path / "a.nii.gz", occupancy, grid)
    image = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    z, y, x = np.argwhere(sitk.GetArrayFromImage(image))[0].tolist()
    lps = np.array(image.TransformIndexToPhysicalPoint((x, y, z)))
    expected = grid.to_mm(np.array([[20, 3, 30]]))[0]
    np.testing.assert_allclose(lps * (-1, -1, 1), expected, atol=1e-3)


def test_a_scan_in_any_axis_order_comes_out_as_ras(tmp_path):
    image = ct()
    path = tmp_path / "turned.nii.gz"
    sitk.WriteImage(sitk.DICOMOrient(image, "PIR"), str(path))
    scan = read_scan(path)
    assert np.allclose(scan.GetDirection(), (-1, 0, 0, 0, -1, 0, 0, 0, 1))
    point = scan.TransformIndexToPhysicalPoint((7, 8, 9))
    index = image.TransformPhysicalPointToIndex(point)
    assert scan[7, 8, 9] == image[index] and scan.GetPixelID() == sitk.sitkInt16


def test_oblique_and_left_handed_axes_keep_every_voxel_in_place(tmp_path):
    turn = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])
    for axes in (turn, turn @ np.diag([-1, 1, 1]), turn[:, [1, 0, 2]]):
        image = ct()
        image.SetDirection(axes.ravel().tolist())
        sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
        scan = read_scan(tmp_path / "a.nrrd")
        for index in ((0, 0, 0), (50, 40, 30)):
            point = image.TransformIndexToPhysicalPoint(index)
            assert scan[scan.TransformPhysicalPointToIndex(point)] == image[index]
        with pytest.raises(SkfmError, match="axes are rotated against the patient's"):
            read_volume(tmp_path / "a.nrrd")


def test_a_file_that_does_not_say_which_side_is_left_is_noted(tmp_path):
    sitk.WriteImage(ct(), str(tmp_path / "a.nrrd"))
    sitk.WriteImage(ct(), str(tmp_path / "a.nii"))
    assert read_scan(tmp_path / "a.nrrd").GetMetaData(NOTE) == ""
    assert read_scan(tmp_path / "a.nii").GetMetaData(NOTE) == ""
    content = (tmp_path / "a.nrrd").read_bytes()
    content = content.replace(b"space: left-posterior-superior\n", b"")
    content = content.replace(b"space directions", b"spacings").replace(
        b"(2,0,0) (0,2,0) (0,0,3)", b"2 2 3"
    )
    content = content.replace(b"space origin: (0,0,0)\n", b"")
    (tmp_path / "a.nrrd").write_bytes(content)
    header = bytearray((tmp_path / "a.nii").read_bytes())
    header[252:256] = bytes(4)  # qform_code and sform_code
    (tmp_path / "a.nii").write_bytes(header)
    for name in ("a.nrrd", "a.nii"):
        note = read_scan(tmp_path / name).GetMetaData(NOTE)
        assert note == "the file does not say which side is left"


@pytest.mark.parametrize("kind", [".nrrd", ".mha", ".nhdr", ".mhd", ".nii.gz"])
def test_damage_in_packed_voxels_is_found(tmp_path, kind):
    sitk.WriteImage(ct(), str(tmp_path / f"a{kind}"), True)
    assert read_scan(tmp_path / f"a{kind}").GetSize() == (60, 50, 40)
    largest = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0x10
    largest.write_bytes(content)
    with pytest.raises(SkfmError, match=f"a{kind} cannot be read"):
        read_scan(tmp_path / f"a{kind}")


def test_an_image_without_voxels_is_refused(tmp_path):
    header = "ObjectType = Image\nNDims = 3\nDimSize = 60 60 0\n"
    header += "ElementSpacing = 2 2 2\nElementType = MET_SHORT\n"
    (tmp_path / "a.mhd").write_text(f"{header}ElementDataFile = a.raw\n")
    (tmp_path / "a.raw").write_bytes(bytes(7200))
    with pytest.raises(SkfmError, match="an image of 60×60×0 voxels"):
        read_scan(tmp_path / "a.mhd")


def test_voxels_elsewhere_on_the_disk_are_not_read(tmp_path):
    (tmp_path / "secret.raw").write_bytes(bytes(2 * 60**3))
    (tmp_path / "in").mkdir()
    header = "ObjectType = Image\nNDims = 3\nDimSize = 60 60 60\n"
    header += "ElementSpacing = 2 2 2\nElementType = MET_SHORT\n"
    for name in ("../secret.raw", str(tmp_path / "secret.raw"), "LIST\na.raw"):
        text = f"{header}ElementDataFile = {name}\n"
        (tmp_path / "in" / "a.mhd").write_text(text)
        with pytest.raises(SkfmError, match="in several files or in another folder"):
            read_scan(tmp_path / "in" / "a.mhd")


def test_voxels_that_are_not_beside_their_header(tmp_path):
    sitk.WriteImage(ct(), str(tmp_path / "a.mhd"))
    (tmp_path / "a.raw").unlink()
    with pytest.raises(SkfmError, match="the file of voxels .* is not beside it"):
        read_scan(tmp_path / "a.mhd")


@pytest.mark.parametrize("stated", [None, 99])
def test_packed_voxels_of_another_size_are_refused(tmp_path, stated):
    """ITK would return what is in its memory."""
    sitk.WriteImage(ct(), str(tmp_path / "a.mha"), True)
    given = b"" if stated is None else b"CompressedDataSize = %d\n" % stated
    content = (tmp_path / "a.mha").read_bytes()
    changed = re.sub(rb"CompressedDataSize = \d+\n", given, content)
    (tmp_path / "a.mha").write_bytes(changed)
    with pytest.raises(SkfmError, match="CompressedDataSize is not that of its voxels"):
        read_scan(tmp_path / "a.mha")


@pytest.mark.parametrize("kind", [".nrrd", ".mha", ".nii.gz"])
def test_four_axes_of_one_volume(tmp_path, kind):
    sitk.WriteImage(sitk.JoinSeries([ct()]), str(tmp_path / f"a{kind}"))
    scan = read_scan(tmp_path / f"a{kind}")
    assert scan.GetSize() == ct().GetSize()


@pytest.mark.parametrize("keep", [0, 200, 0.5, 0.999])
@pytest.mark.parametrize("kind", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_cut_short_scans_are_refused(tmp_path, keep, kind):
    path = tmp_path / f"scan{kind}"
    sitk.WriteImage(ct(), str(path))
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(SkfmError, match=f"scan{kind} cannot be read"):
        read_scan(path)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (sitk.Image(40, 50, sitk.sitkInt16), "40×50"),
        (sitk.Image([20, 20, 20, 2], sitk.sitkInt16), "20×20×20×2"),
        (sitk.Image([40, 40, 40], sitk.sitkVectorInt16, 3), "3 value"),
        (ct(spacing=(0.002, 0.002, 0.003)), "voxels of 0.002×0.002×0.003 mm"),
        (ct(spacing=(20, 20, 30)), "voxels of 20×20×30 mm"),
        (ct(spacing=(1, 1, 0.5)), "field of view of 60×50×20 mm"),
        (ct(np.arange(120000, dtype="i4").astype("i1").reshape(40, 50, 60)), "8 bits"),
        (
            ct(np.zeros((40, 110, 120), "i2"), spacing=(0.5, 0.5, 5.0)),
            "slices 5 mm apart; expected at most 3 mm",
        ),
    ],
)
def test_what_is_no_head_scan_is_refused(tmp_path, image, message):
    sitk.WriteImage(image, str(tmp_path / "scan.nrrd"))
    with pytest.raises(SkfmError, match=message):
        read_scan(tmp_path / "scan.nrrd")


def test_a_large_field_of_view_is_read(tmp_path):
    sitk.WriteImage(ct(spacing=(9.9, 9.9, 9.9)), str(tmp_path / "scan.nrrd"))
    assert read_scan(tmp_path / "scan.nrrd").GetSize() == (60, 50, 40)


@pytest.mark.parametrize("kind", [".mha", ".nrrd"])
def test_skew_axes_are_resampled(tmp_path, kind):
    image = ct(np.full((40, 50, 60), 1000, np.int16))
    image[30, 25, 20] = 3000
    image.SetDirection((1, 0.2, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / f"a{kind}"))
    scan = read_scan(tmp_path / f"a{kind}")
    assert "° from right angles: shear resampled" in scan.GetMetaData(NOTE)
    index = scan.TransformPhysicalPointToIndex(
        image.TransformIndexToPhysicalPoint((30, 25, 20))
    )
    brightest = np.unravel_index(
        sitk.GetArrayViewFromImage(scan).argmax(), scan.GetSize()[::-1]
    )
    assert index == brightest[::-1]
    grid = sitk.DICOMOrient(read_grid(tmp_path / f"a{kind}"), "RAS")
    assert grid.GetSize() == scan.GetSize() and grid.GetOrigin() == scan.GetOrigin()
    with pytest.raises(SkfmError, match="cubic voxels along the patient's axes"):
        read_volume(tmp_path / f"a{kind}")


def test_a_sheared_mask_stays_a_mask(tmp_path):
    values = np.zeros((40, 50, 60), np.uint8)
    values[10:30, 10:40, 10:50] = 255
    image = ct(values)
    image.SetDirection((1, 0, 0.3, 0, 1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    scan = read_scan(tmp_path / "a.mha")
    inside = sitk.GetArrayViewFromImage(scan)
    assert set(np.unique(inside)) == {0, 1}
    volume = inside.sum() * np.prod(scan.GetSpacing())
    assert volume == pytest.approx(20 * 30 * 40 * 12, rel=0.01)


def test_axes_in_one_plane_are_refused(tmp_path):
    image = ct()
    image.SetDirection((1, 0.8, 0, 0, 0.6, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    with pytest.raises(SkfmError, match="a.mha: its axes are 53° from right angles"):
        read_scan(tmp_path / "a.mha")


def nrrd(path: Path, *fields: str, values: np.ndarray | None = None) -> Path:
    """An NRRD file of 60×50×40 int16 with these lines in its header."""
    values = np.full((40, 50, 60), -1000, np.int16) if values is None else values
    text = f"NRRD0005\ntype: {values.dtype.name}\nencoding: raw\nendian: little\n"
    if not any(field.startswith("dimension") for field in fields):
        text += "dimension: 3\nsizes: 60 50 40\n"
    path.write_bytes(f"{text}{chr(10).join(fields)}\n\n".encode() + values.tobytes())
    return path


@pytest.mark.parametrize(
    ("unit", "mm"),
    [("mm", 1), ("um", 1e-3), ("µm", 1e-3), ("μm", 1e-3), ("microns", 1e-3)]
    + [("m", 1e3), ("cm", 10), ("Metre", 1e3), ("millimeters", 1)],
)
def test_units_of_nrrd_files(tmp_path, unit, mm):
    steps = [f"{step / mm:g}" for step in (2, 2, 3)]
    x, y, z = steps
    scan = read_scan(
        nrrd(
            tmp_path / "a.nrrd",
            "space: left-posterior-superior",
            f"space directions: ({x},0,0) (0,{y},0) (0,0,{z})",
            f"space origin: ({10 / mm:g},0,0)",
            f'space units: "{unit}" "{unit}" "{unit}"',
        )
    )
    np.testing.assert_allclose(scan.GetSpacing(), (2, 2, 3))
    assert scan.GetOrigin()[0] == pytest.approx(10 + 2 * 59)
    path = nrrd(
        tmp_path / "b.nrrd",
        f"spacings: {' '.join(steps)}",
        f'units: "{unit}" "{unit}" "{unit}"',
    )
    np.testing.assert_allclose(read_scan(path).GetSpacing(), (2, 2, 3))


def test_units_of_each_axis_and_unknown_ones(tmp_path):
    path = nrrd(
        tmp_path / "a.nrrd",
        "space: RAS",
        "space directions: (2,0,0) (0,0.2,0) (0,0,3000)",
        'space units: "mm" "cm" "um"',
    )
    np.testing.assert_allclose(read_scan(path).GetSpacing(), (2, 2, 3))
    path = nrrd(
        tmp_path / "b.nrrd",
        "space: RAS",
        "space directions: (2,0,0) (0,2,0) (0,0,3)",
        'space units: "pixel" "mm" "mm"',
    )
    note = read_scan(path).GetMetaData(NOTE)
    assert note == "unknown unit of length: taken as mm"


@pytest.mark.parametrize("space", ["RAS", "LAS", "LPS", "right-anterior-superior"])
def test_spaces_of_nrrd_files(tmp_path, space):
    values = np.full((40, 50, 60), -1000, np.int16)
    values[5, 6, 7], values[0, 0, 0] = 500, 0  # no mask
    path = nrrd(
        tmp_path / "a.nrrd",
        f"space: {space}",
        "space directions: (2,0,0) (0,2,0) (0,0,3)",
        "space origin: (-50,-40,-60)",
        values=values,
    )
    scan = read_scan(path)
    signs = [1 if letter in "LP" else -1 for letter in space.upper()[:2]]
    if "-" in space:
        signs = [-1, -1]
    lps = np.array([(-50 + 14) * signs[0], (-40 + 12) * signs[1], -60 + 15.0])
    assert scan[scan.TransformPhysicalPointToIndex(lps.tolist())] == 500
    assert scan.GetMetaData(NOTE) == ""


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("space: LPS", "space directions: none none none"),
        ("space: LPS", "space directions: (nan,nan,nan) (0,2,0) (0,0,3)"),
        ("space: LPS", "space directions: (2,0,0) (0,2,0) none"),
        ("spacings: nan nan nan",),
        ("spacings: 2 2 nan",),
    ],
)
def test_nrrd_files_without_a_size_of_voxels_are_refused(tmp_path, fields):
    with pytest.raises(SkfmError, match="does not state how large voxels are"):
        read_scan(nrrd(tmp_path / "a.nrrd", *fields))


def test_what_itk_cannot_decode_is_named(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", "spacings: 2 2 3")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"encoding: raw", b"encoding: bzip2"))
    with pytest.raises(SkfmError, match="a.nrrd is packed with bzip2; .*gzip"):
        read_scan(path)
    axes = "dimension: 4", "sizes: 60 50 40 1", "space: LPS"
    axes += ("space directions: (2,0,0) (0,2,0) (0,0,3) none",)
    with pytest.raises(SkfmError, match="a.nrrd: an image of 4 axes"):
        read_scan(nrrd(path, *axes))
    kinds = "kinds: domain domain domain list"
    assert read_scan(nrrd(path, *axes, kinds)).GetSize() == (60, 50, 40)


@pytest.mark.parametrize("name", ["A.NRRD", "A.MHA", "A.NII", "A.NII.GZ"])
def test_suffixes_may_be_in_capitals(tmp_path, name):
    sitk.WriteImage(ct(), str(tmp_path / name.lower()))
    (tmp_path / name.lower()).rename(tmp_path / name)
    assert read_scan(tmp_path / name).GetSize() == (60, 50, 40)


def test_metaimages_without_a_size_of_voxels_are_refused(tmp_path):
    sitk.WriteImage(ct(), str(tmp_path / "a.mha"))
    content = (tmp_path / "a.mha").read_bytes()
    for spacing in (b"", b"ElementSpacing = 0 0 0\n"):
        other = content.replace(b"ElementSpacing = 2 2 3\n", spacing)
        assert other != content
        (tmp_path / "a.mha").write_bytes(other)
        with pytest.raises(SkfmError, match="does not state how large voxels are"):
            read_scan(tmp_path / "a.mha")


@pytest.mark.parametrize("kind", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("number", [np.float32, np.float64])
def test_nan_is_refused(tmp_path, kind, number):
    values = np.zeros((40, 50, 60), number)
    values[3, 4, 5] = np.nan
    sitk.WriteImage(ct(values), str(tmp_path / f"scan{kind}"))
    with pytest.raises(SkfmError, match="1 voxels are NaN"):
        read_scan(tmp_path / f"scan{kind}")


def test_missing_and_unknown_files_are_named(tmp_path):
    with pytest.raises(SkfmError, match="no.nii.gz does not exist"):
        read_scan(tmp_path / "no.nii.gz")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(SkfmError, match="unknown file type .txt"):
        read_scan(tmp_path / "a.txt")


def test_a_folder_that_is_a_file_is_said_and_nothing_is_left(tmp_path, occupancy):
    (tmp_path / "out").write_text("I am a file")
    with pytest.raises(SkfmError, match="could not be written"):
        write_volume(tmp_path / "out" / "a.nii.gz", occupancy, skull_grid(SHAPE))
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


FULL_DISK = """
import numpy as np, pyvista as pv
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.voxels import skull_grid
from skfm_lib.utils.errors import SkfmError
shape = (57, 44, 64)
noise = np.random.default_rng(0).random(shape) > 0.5
for name in ("a.nii.gz", "a.nii", "a.nrrd", "a.stl", "a.ply", "a.vtp", "a.glb"):
    try:
        if name[2] in "spvg":
            write_mesh(name, pv.Sphere(radius=80, theta_resolution=99))
        else:
            write_volume(name, noise, skull_grid(shape))
    except SkfmError as error:
        assert name in str(error), error
    else:
        raise SystemExit(name + " was written")
"""


def test_a_full_disk_leaves_the_old_file_and_no_half_one(tmp_path):
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    (tmp_path / "a.nii.gz").write_bytes(b"old")
    path = ":".join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK],
        cwd=tmp_path,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]
    assert (tmp_path / "a.nii.gz").read_bytes() == b"old"


def test_replacing_keeps_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("new")
        raise KeyError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_names_keep_both_parts_of_a_double_suffix():
    double = Path("x/A.b.NII.GZ")
    assert suffix(double) == ".nii.gz" and stem(double) == "A.b"
    assert suffix(Path("x/CT1_C.stl")) == ".stl" and stem(Path("noend")) == "noend"


@pytest.mark.parametrize("suffix", ONE_FILE_SUFFIXES)
def test_fractions_are_read_back_byte_by_byte_and_shown_as_0_to_1(tmp_path, suffix):
    grid = skull_grid((8, 7, 9))
    fractions = (np.arange(8 * 7 * 9) % 256).astype(np.uint8).reshape(grid.shape)
    path = tmp_path / f"skull{suffix}"
    write_volume(path, fractions, grid)
    found, there = read_volume(path)
    assert found.dtype == np.uint8 and np.array_equal(found, fractions)
    assert there == grid
    shown = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).transpose(1, 2, 0)
    values = np.sort(shown.ravel())  # the axes are those of another convention
    assert np.allclose(values, np.sort(fractions.ravel()) / 255, atol=1e-6)
    write_volume(path, fractions > 99, grid)
    assert np.array_equal(read_volume(path)[0], fractions > 99)


@pytest.mark.parametrize("kind", ["f4", "i2", "u1"])
def test_values_that_are_neither_fractions_nor_a_mask_are_refused(tmp_path, kind):
    low = 0 if kind == "u1" else -1
    values = np.linspace(low, 1 if kind == "f4" else 255, 27).astype(kind)
    path = tmp_path / "v.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(values.reshape(3, 3, 3)), str(path))
    found = f"values {low} to {values.max():g}; expected fractions of bone"
    with pytest.raises(SkfmError, match=found):
        read_volume(path)
    mask = (values > 0).astype(kind) * values.max()
    sitk.WriteImage(sitk.GetImageFromArray(mask.reshape(3, 3, 3)), str(path))
    assert np.array_equal(
        read_volume(path)[0] > 0,
        mask.reshape(3, 3, 3).transpose(1, 2, 0)[::-1, ::-1] > 0,
    )


def test_only_bits_and_bytes_are_written(tmp_path):
    with pytest.raises(ValueError, match="no bits or bytes"):
        write_volume(tmp_path / "f.nii", np.zeros((8, 7, 9)), skull_grid((8, 7, 9)))
