"""Out again: from a scan of any format to a skull, and back into the patient's frame.

A phantom of 0.4 times the size stands for the patient, with a ball on its right side
that tells left from right.
"""

import json
import zipfile
from itertools import product
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import pyvista as pv
import SimpleITK as sitk
from heads import PLASTIC, needs_plastic
from scan_files import write_dicom, write_inv3
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from skfm_lib.cli.main import main
from skfm_lib.data.bone_fractions import skull_surface
from skfm_lib.data.io.dicom.seg import IMPLANT
from skfm_lib.data.io.meshes import MESH_SUFFIXES, read_mesh, write_mesh
from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import Grid, skull_grid, voxelise
from skfm_lib.prepare.bone_segmentation import THRESHOLD, bone_voxels
from skfm_lib.prepare.discovery import find_sources
from skfm_lib.prepare.export import export
from skfm_lib.prepare.extraction import KIND, SCAN, TRANSFORM, read_surface
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils.errors import SkfmError

PAPER = Grid((156, 130, 178), 0.51, (-30.0, -37.0, -44.0))  # part of the paper's grid
SPACING, SIZE = np.array([0.9, 0.9, 1.0]), np.array([92, 110, 104])
POSE = pv.Transform().rotate_x(9).rotate_y(-6).rotate_z(14).translate((30, -12, 55))
TURN = Rotation.from_euler("xyz", (12, -8, 20), degrees=True).as_matrix()
AXES = {
    "identity": np.eye(3),
    "oblique": TURN,
    "left-handed": np.diag([-1.0, 1.0, 1.0]) @ TURN,
}
VOLUMES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
LPS = np.diag([-1.0, -1.0, 1.0])
ORIGIN = np.zeros(3)
RIGHT = np.array([27.0, 5.0, 20.0])  # of the ball, in the skull frame, mm


@pytest.fixture(scope="module")
def skull() -> pv.PolyData:
    """The patient in the skull frame: a small phantom, and the ball."""
    shape = scaled_shape(1 / 4)
    whole = skull_surface(phantom_skull(1, 5, shape), skull_grid(shape))
    mark = pv.Sphere(radius=6, center=RIGHT, theta_resolution=40, phi_resolution=40)
    return whole.scale(0.4, inplace=False).merge(mark.triangulate())


@pytest.fixture(scope="module")
def patient(skull) -> pv.PolyData:
    return skull.transform(POSE.matrix, inplace=False)


def ct(patient: pv.PolyData, axes: np.ndarray) -> sitk.Image:
    """A CT of the patient with voxel axes (LPS), bone by partial volume."""
    centre = LPS @ patient.center
    origin = centre - axes @ (SPACING * (SIZE - 1) / 2)
    index = (patient.points @ LPS - origin) @ np.linalg.inv(axes * SPACING).T
    steps = pv.PolyData.from_regular_faces(index.astype("f4"), patient.regular_faces)
    columns, rows, slices = SIZE.tolist()
    half = voxelise(steps, Grid((rows, columns, slices), 1.0, (0, 0, 0)).refined(2))
    share = half.reshape(rows, 2, columns, 2, slices, 2).mean(axis=(1, 3, 5))
    values = (-1000 + 2400 * share.transpose(2, 0, 1)).astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(SPACING.tolist())
    image.SetOrigin(origin.tolist())
    image.SetDirection(axes.ravel().tolist())
    return image


@pytest.fixture(scope="module")
def cts(patient) -> dict[str, sitk.Image]:
    """A CT of the patient for each of AXES."""
    return {name: ct(patient, axes) for name, axes in AXES.items()}


def write_slices(folder: Path, image: sitk.Image, **tags: object) -> None:
    axes = np.array(image.GetDirection()).reshape(3, 3)
    values = sitk.GetArrayFromImage(image)
    origin, normal = np.array(image.GetOrigin()), np.cross(axes[:, 0], axes[:, 1])
    if normal @ axes[:, 2] < 0:  # DICOM stacks are right-handed: begin at the end
        origin += axes[:, 2] * SPACING[2] * (len(values) - 1)
        values = values[::-1]
    rows_and_columns = (*axes[:, 0], *axes[:, 1])
    write_dicom(folder, values, SPACING, axes=rows_and_columns, origin=origin, **tags)


def round_trip(
    folder: Path, sandbox: Sandbox, out: str = "back.ply", shift: np.ndarray = ORIGIN
) -> pv.PolyData:
    """Read the scan in `folder`, voxelise it, mesh it and put it back like the scan.

    shift  from the patient to the scan's own frame, mm in RAS
    """
    (source,) = find_sources(folder, folder / "-", sandbox).sources
    mesh, _, scan = read_surface(source, THRESHOLD)
    matrix = np.linalg.inv(pv.Transform().translate(shift).matrix @ POSE.matrix)
    bone = bone_voxels(mesh.transform(matrix, inplace=False), PAPER)
    made = folder.parent / "made"
    write_volume(made / "a.nii.gz", bone, PAPER)
    record = {TRANSFORM: matrix.tolist(), SCAN: scan}
    (made / "a.json").write_text(json.dumps(record))
    export(made / "a.nii.gz", made / out, sandbox, like=folder)
    return read_mesh(made / out) if out.endswith(".ply") else made / out


def check(back: pv.PolyData, patient: pv.PolyData) -> None:
    """Mean ≤ 0.5 mm and 95th percentile ≤ 1 mm both ways; the ball is at the right."""
    for a, b in ((back, patient), (patient, back)):
        distance = cKDTree(b.points).query(a.points[::25])[0]
        assert distance.mean() <= 0.5 and np.percentile(distance, 95) <= 1.0
    right, left = (
        POSE.apply(RIGHT * (side, 1, 1) + (side * 6, 0, 0)) for side in (1, -1)
    )
    reach = cKDTree(back.points)
    assert reach.query(right)[0] < 1.5 < 4 < reach.query(left)[0]


@pytest.mark.parametrize(
    ("kind", "axes"),
    [
        *product((".nii.gz", ".nrrd", ".mha", "dicom", ".zip"), AXES),
        *product((".nii", ".nhdr", ".mhd"), ["left-handed"]),  # the same headers
    ],
)
def test_volumes_come_back_to_their_place(tmp_path, sandbox, patient, cts, kind, axes):
    folder = tmp_path / "in ü"
    folder.mkdir()
    image = cts[axes]
    if kind in VOLUMES:
        sitk.WriteImage(image, str(folder / f"a{kind}"))
    else:
        write_slices(folder / "series", image)
    if kind == ".zip":
        with zipfile.ZipFile(folder / "a.zip", "w") as archive:
            for path in sorted((folder / "series").iterdir()):
                archive.write(path, f"b/{path.name}")
                path.unlink()
    check(round_trip(folder, sandbox), patient)


def test_a_project_of_invesalius_comes_back_to_its_own_place(
    tmp_path, sandbox, patient
):
    image = ct(patient, np.diag([1.0, -1.0, 1.0]))
    (tmp_path / "in").mkdir()
    values = sitk.GetArrayFromImage(image)
    write_inv3(tmp_path / "in" / "a.inv3", values, SPACING.tolist())
    shift = LPS @ -np.array(image.GetOrigin())  # a project begins at 0
    back = round_trip(tmp_path / "in", sandbox, shift=shift)
    check(back.translate(-shift), patient)


@pytest.mark.parametrize("kind", MESH_SUFFIXES)
def test_meshes_come_back_to_their_place(tmp_path, sandbox, patient, kind):
    write_mesh(tmp_path / "in" / f"a{kind}", patient)
    check(round_trip(tmp_path / "in", sandbox), patient)


@pytest.mark.parametrize("kind", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("axes", AXES)
def test_a_volume_like_the_scan_lies_on_its_voxels(tmp_path, sandbox, cts, axes, kind):
    image = cts[axes]
    (tmp_path / "in").mkdir()
    sitk.WriteImage(image, str(tmp_path / "in" / "a.nrrd"))
    out = sitk.ReadImage(str(round_trip(tmp_path / "in", sandbox, f"b{kind}")))
    assert out.GetSize() == image.GetSize()
    for name in ("Spacing", "Origin", "Direction"):
        np.testing.assert_allclose(
            getattr(out, f"Get{name}")(), getattr(image, f"Get{name}")(), atol=1e-3
        )
    bone, truth = sitk.GetArrayFromImage(out) > 0, sitk.GetArrayFromImage(image) > 200
    assert 2 * (bone & truth).sum() / (bone.sum() + truth.sum()) > 0.9


def test_a_segmentation_has_the_voxels_of_a_volume_and_names_the_patient(
    tmp_path, sandbox, cts
):
    series, made = tmp_path / "in", tmp_path / "made"
    write_slices(series, cts["oblique"], PatientID="PID-77031")
    round_trip(series, sandbox, "b.nrrd")
    record = json.loads((made / "a.json").read_text()) | {KIND: IMPLANT}
    (made / "a.json").write_text(json.dumps(record))
    note = export(made / "a.nii.gz", made / "b.dcm", sandbox, like=series)
    assert "b.dcm carries the identifiers" in note and "77031" not in note
    volume = hd.seg.segread(made / "b.dcm").get_volume()
    image = sitk.ReadImage(str(made / "b.nrrd"))
    at = sitk.GetArrayFromImage(image).nonzero()
    assert len(at[0]) == volume.array.sum() > 10_000
    matrix = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    points = np.transpose(at)[:, ::-1] @ matrix.T + image.GetOrigin()
    index = volume.map_reference_to_indices(points, round_output=True)
    assert volume.array[tuple(index.T)].all()
    header = pydicom.dcmread(made / "b.dcm")
    assert header.PatientID == "PID-77031"
    assert header.SegmentSequence[0].SegmentLabel == "Implant"


@pytest.mark.parametrize("note", ["b.dcm carries the identifiers", ""])
def test_the_command_prints_what_the_user_must_know(monkeypatch, capsys, note):
    monkeypatch.setattr("skfm_lib.prepare.export.export", lambda *_: note)
    assert main(["export", "a.ply", "--out", "b.dcm", "--like", "series"]) == 0
    assert capsys.readouterr().out.strip() == note


@needs_plastic
@pytest.mark.parametrize("tilt", [0, 18])
def test_a_head_comes_back_onto_its_slices(tmp_path, sandbox, tilt):
    """A development head, as a series of every second voxel, plain and tilted."""
    head = sitk.DICOMOrient(sitk.ReadImage(str(PLASTIC)), "LPS")[::2, ::2, ::2]
    cos, sin = np.cos(np.deg2rad(tilt)), np.sin(np.deg2rad(tilt))
    turned = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    spacing, low = np.array(head.GetSpacing()), np.array(head.GetOrigin())
    origin = low + (0, 0, -sin * 230 / 2)
    slices = []
    for k in range(head.GetDepth()):
        one = sitk.Image((head.GetWidth(), head.GetHeight(), 1), sitk.sitkInt16)
        one.SetOrigin((origin + (0, 0, k * spacing[2])).tolist())
        one.SetDirection(turned.ravel().tolist())
        one.SetSpacing(spacing.tolist())
        found = sitk.Resample(head, one, sitk.Transform(), sitk.sitkLinear, -1000)
        slices.append(sitk.GetArrayFromImage(found)[0])
    values = np.maximum(slices, -1000)
    files = write_dicom(
        tmp_path / "in",
        values,
        spacing.tolist(),
        axes=(1, 0, 0, 0, cos, sin),
        step=np.array([0, 0, spacing[2]]),
        origin=origin.tolist(),
    )
    (source,) = find_sources(tmp_path / "in", tmp_path / "-", sandbox).sources
    mesh, _, scan = read_surface(source, THRESHOLD)
    write_mesh(tmp_path / "a.ply", mesh)
    record = {TRANSFORM: np.eye(4).tolist(), SCAN: scan}
    (tmp_path / "a.json").write_text(json.dumps(record))
    out = tmp_path / "b.dcm"
    export(tmp_path / "a.ply", out, sandbox, like=tmp_path / "in")
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in files]
    made = hd.seg.segread(out).get_pixels_by_source_instance(uids)[..., 0] > 0
    # The head holder and other loose parts are not of the skull.
    bone = (values > THRESHOLD) & ndimage.binary_dilation(made, iterations=3)
    assert 2 * (bone & made).sum() / (bone.sum() + made.sum()) > 0.9


@pytest.mark.parametrize("out", [".nii.gz", ".nrrd", ".stl", ".ply", ".glb", ".obj"])
def test_without_a_scan_it_stays_in_the_skull_frame(tmp_path, sandbox, skull, out):
    bone = voxelise(skull, PAPER)
    write_volume(tmp_path / "a.mha", bone, PAPER)
    assert export(tmp_path / "a.mha", tmp_path / f"b{out}", sandbox) == ""
    if out in (".nii.gz", ".nrrd"):
        back, grid = read_volume(tmp_path / f"b{out}")
        assert np.array_equal(back, bone) and grid == PAPER
    else:
        distance = cKDTree(skull.points).query(
            read_mesh(tmp_path / f"b{out}").points[::9]
        )
        assert distance[0].mean() < 0.5


def test_what_cannot_be_put_back_is_said(tmp_path, sandbox, skull):
    write_mesh(tmp_path / "a.ply", skull)
    with pytest.raises(SkfmError, match="a.json is not the record of a scan.*--record"):
        export(tmp_path / "a.ply", tmp_path / "b.ply", sandbox, like=tmp_path / "a.ply")
    record = {TRANSFORM: np.eye(4).tolist(), SCAN: {"points": 5}}
    (tmp_path / "a.json").write_text(json.dumps(record))
    with pytest.raises(SkfmError, match="a.ply is not the scan of this skull"):
        export(tmp_path / "a.ply", tmp_path / "b.ply", sandbox, like=tmp_path / "a.ply")
    record[SCAN] = {"points": read_mesh(tmp_path / "a.ply").n_points}
    (tmp_path / "a.json").write_text(json.dumps(record))
    with pytest.raises(SkfmError, match="a mesh has no grid"):
        export(
            tmp_path / "a.ply", tmp_path / "b.nrrd", sandbox, like=tmp_path / "a.ply"
        )
    with pytest.raises(SkfmError, match="unknown file type .jpg"):
        export(tmp_path / "a.ply", tmp_path / "b.jpg", sandbox)
    with pytest.raises(SkfmError, match="b.dcm: .*add --like SERIES"):
        export(tmp_path / "a.ply", tmp_path / "b.dcm", sandbox)
    with pytest.raises(SkfmError, match="a.ply is no DICOM series.*--out FILE.nii.gz"):
        export(tmp_path / "a.ply", tmp_path / "b.dcm", sandbox, like=tmp_path / "a.ply")
    with pytest.raises(SkfmError, match="a.ply is a file of the scan"):
        export(tmp_path / "a.ply", tmp_path / "a.ply", sandbox, like=tmp_path / "a.ply")
