"""Scans, volumes and meshes as files: geometry kept, bad input named."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from skfm_lib.data.io.dicom_series import NOTE
from skfm_lib.data.io.volumes import (
    ONE_FILE_SUFFIXES,
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


def test_skew_axes_are_refused(tmp_path):
    image = ct()
    image.SetDirection((1, 0.1, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "skew.mha"))
    with pytest.raises(SkfmError, match="its axes are not at right angles"):
        read_scan(tmp_path / "skew.mha")
    with pytest.raises(SkfmError, match="cubic voxels along the patient's axes"):
        read_volume(tmp_path / "skew.mha")


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
