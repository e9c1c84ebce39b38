"""Meshes as files: every format keeps place and shape, bad ones are named."""

import numpy as np
import pytest
import pyvista as pv
import trimesh
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from skfm_lib.data.io.meshes import MESH_SUFFIXES, in_millimetres, read_mesh, write_mesh
from skfm_lib.data.voxels import Grid, surface, voxelise
from skfm_lib.utils.errors import SkfmError

GRID = Grid((60, 60, 60), 4.0, (-115.0, -114.0, -113.0))


@pytest.mark.parametrize("kind", MESH_SUFFIXES)
def test_mesh_round_trip(tmp_path, kind):
    mesh = pv.Sphere(radius=80, center=(3, 4, 5))
    write_mesh(tmp_path / "ä b" / f"m{kind}", mesh)
    back = read_mesh(tmp_path / "ä b" / f"m{kind}")
    assert back.n_cells == mesh.n_cells and back.is_all_triangles
    assert back.n_points == mesh.n_points and back.n_open_edges == 0
    np.testing.assert_allclose(back.bounds, mesh.bounds, atol=1e-3)


@pytest.mark.parametrize("kind", [".stl", ".ply", ".obj", ".off", ".glb"])
def test_files_of_another_program(tmp_path, kind):
    pieces = trimesh.creation.box((150, 180, 170)), trimesh.creation.icosphere(2, 40)
    scene = trimesh.Scene(pieces)
    trimesh.util.concatenate(pieces).export(tmp_path / f"m{kind}")
    if kind == ".glb":  # parts of a scene are moved into their places
        scene = trimesh.Scene()
        shift = trimesh.transformations.translation_matrix((0, 0, 60))
        scene.add_geometry(pieces[0])
        scene.add_geometry(pieces[1], transform=shift)
        scene.export(tmp_path / f"m{kind}")
        assert read_mesh(tmp_path / f"m{kind}").bounds[5] == pytest.approx(100)
    else:
        assert read_mesh(tmp_path / f"m{kind}").bounds[5] == pytest.approx(85)


@pytest.mark.parametrize("ascii", [True, False])
@pytest.mark.parametrize("kind", [".stl", ".ply", ".vtp"])
def test_files_of_vtk(tmp_path, kind, ascii):
    mesh = pv.Sphere(radius=80)
    mesh.save(tmp_path / f"m{kind}", binary=not ascii)
    back = read_mesh(tmp_path / f"m{kind}")
    assert back.n_cells == mesh.n_cells
    np.testing.assert_allclose(back.bounds, mesh.bounds, atol=1e-3)


def test_polygons_become_triangles(tmp_path):
    pv.Box((-80, 80, -90, 90, -70, 70)).save(tmp_path / "quads.ply")
    assert read_mesh(tmp_path / "quads.ply").n_cells == 12


BALL = pv.Sphere(radius=80, center=(3, 4, 5))


@pytest.mark.parametrize("kind", [k for k in MESH_SUFFIXES if k != ".gltf"])
@pytest.mark.parametrize("name", ["a.stl", "a.ply", "a.obj"])
def test_a_suffix_that_is_not_the_format(tmp_path, kind, name):
    write_mesh(tmp_path / f"b{kind}", BALL)
    (tmp_path / f"b{kind}").rename(tmp_path / name)
    mesh = read_mesh(tmp_path / name)
    assert mesh.n_cells == BALL.n_cells
    np.testing.assert_allclose(mesh.bounds, BALL.bounds, atol=1e-3)


def test_text_of_another_format(tmp_path):
    plain = trimesh.Trimesh(BALL.points, BALL.regular_faces)
    (tmp_path / "a.obj").write_text(plain.export(file_type="stl_ascii"))
    (tmp_path / "b.stl").write_text("# a\no b\n" + plain.export(file_type="obj"))
    for name in ("a.obj", "b.stl"):
        assert read_mesh(tmp_path / name).n_cells == BALL.n_cells


OTHER_FILES = {
    b"PK\3\4": "a zip archive or 3MF.*next: unpack it",
    b"\x1f\x8b": "compressed by gzip.*next: unpack it",
    b"# vtk DataFile Version 3.0\n": "a legacy VTK file.*save it as .vtp",
    b"\n<!DOCTYPE html>": "a web page",
    b"version https://git-lfs": "a pointer of Git LFS",
    b'<?xml version="1.0"?><VTKFile type="UnstructuredGrid"></VTKFile>': "no surface",
    b"\n \n": "",
}


@pytest.mark.parametrize("content", OTHER_FILES)
@pytest.mark.parametrize("kind", MESH_SUFFIXES)
def test_files_that_are_no_meshes_are_named(tmp_path, content, kind):
    (tmp_path / f"a{kind}").write_bytes(content)
    with pytest.raises(SkfmError, match=f"cannot be read.*{OTHER_FILES[content]}"):
        read_mesh(tmp_path / f"a{kind}")


def test_nothing_of_a_file_but_its_surface_is_kept(tmp_path):
    labelled = BALL.copy()
    labelled.field_data["patient"] = ["Doe^Jane"]
    labelled.point_data["Doe"] = np.zeros(BALL.n_points)
    labelled.save(tmp_path / "a.vtp")
    mesh = read_mesh(tmp_path / "a.vtp")
    write_mesh(tmp_path / "b.vtp", mesh)
    assert set(mesh.field_data) == {"unit", "note", "axes"} and not mesh.point_data
    assert set(pv.read(tmp_path / "b.vtp").field_data) == {"SPACE"}


@pytest.mark.parametrize("mode", [0, 1, 2])  # text, base64, appended
@pytest.mark.parametrize("compressed", [True, False])
def test_vtp_of_every_encoding(tmp_path, mode, compressed):
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(BALL.strip())
    writer.SetFileName(str(tmp_path / "a.vtp"))
    writer.SetDataMode(mode)
    writer.SetEncodeAppendedData(0)
    if not compressed:
        writer.SetCompressorTypeToNone()
    writer.Write()
    mesh = read_mesh(tmp_path / "a.vtp")
    assert mesh.n_cells == BALL.n_cells
    np.testing.assert_allclose(mesh.bounds, BALL.bounds, atol=1e-3)


def test_a_mesh_of_slicer_in_lps_is_turned(tmp_path):
    mesh = pv.Sphere(radius=80, center=(3, 4, 5))
    write_mesh(tmp_path / "m.stl", mesh)
    content = (tmp_path / "m.stl").read_bytes()
    assert content[:80].rstrip() == b"SPACE=RAS"
    (tmp_path / "m.stl").write_bytes(content.replace(b"SPACE=RAS", b"SPACE=LPS"))
    turned = read_mesh(tmp_path / "m.stl")
    np.testing.assert_allclose(turned.center, (-3, -4, 5), atol=0.1)


@pytest.mark.parametrize(
    ("factor", "unit"),
    [
        (1e-3, "metres"),
        (0.1, "centimetres"),
        (1 / 25.4, "inches"),
        (1e3, "micrometres"),
    ],
)
def test_other_units_are_converted_and_noted(factor, unit):
    mesh = pv.Sphere(radius=100)
    converted, note = in_millimetres(mesh.scale(factor, inplace=False))
    assert note.startswith(f"converted from {unit}")
    np.testing.assert_allclose(converted.points, mesh.points, atol=1e-3)
    assert in_millimetres(mesh)[1] == ""


@pytest.mark.parametrize(
    ("extent", "message"),
    [
        (12.5, "12.5 units long .it may be in centimetres or inches"),
        (50.0, "50 units long; expected a skull in millimetres, 60–450"),
        (1000.0, "1000 units long;"),
        (0.01, "0.01 units long;"),
    ],
)
def test_what_may_be_any_unit_is_refused(extent, message):
    with pytest.raises(SkfmError, match=message):
        in_millimetres(pv.Cube(x_length=extent, y_length=1e-3, z_length=1e-3))


def test_meshes_without_triangles_are_refused(tmp_path):
    (tmp_path / "empty.stl").write_bytes(b"")
    (tmp_path / "none.stl").write_bytes(bytes(84))
    pv.PolyData(np.eye(3) * 100.0).save(tmp_path / "points.ply")
    broken = pv.Sphere(radius=80)
    broken.points[7] = np.nan
    broken.save(tmp_path / "nan.vtp")
    (tmp_path / "names.obj").write_text("v 0 0 0\nv 0 9 0\nv 9 0 0\nf 1 2 7\n")
    (tmp_path / "flat.obj").write_text("v 0 0\nv 0 9\nv 9 0\nf 1 2 3\n")
    names = ("empty.stl", "none.stl", "points.ply", "nan.vtp", "names.obj", "flat.obj")
    for name in names:
        with pytest.raises(SkfmError, match=f"{name} cannot be read"):
            read_mesh(tmp_path / name)


@pytest.mark.parametrize("kind", MESH_SUFFIXES)
@pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
def test_cut_short_meshes_are_refused(tmp_path, kind, keep):
    distance = 80 - np.linalg.norm(GRID.to_mm(np.argwhere(np.ones(GRID.shape))), axis=1)
    ball = surface(distance.reshape(GRID.shape), GRID, 0.0)
    write_mesh(tmp_path / f"m{kind}", ball)
    content = (tmp_path / f"m{kind}").read_bytes()
    (tmp_path / f"m{kind}").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(SkfmError, match=f"m{kind} cannot be read"):
        read_mesh(tmp_path / f"m{kind}")


def test_voxels_do_not_depend_on_the_normals():
    ball = pv.Sphere(radius=90, theta_resolution=40, phi_resolution=40)
    some = ball.regular_faces.copy()
    some[::3] = some[::3, ::-1]  # every third triangle looks inwards
    inverted = pv.PolyData.from_regular_faces(ball.points, ball.regular_faces[:, ::-1])
    mixed = pv.PolyData.from_regular_faces(ball.points, some)
    truth = voxelise(ball, GRID)
    volume = 4 / 3 * np.pi * 90**3
    assert truth.sum() * 4.0**3 == pytest.approx(volume, rel=0.02)
    for mesh in (inverted, mixed):
        assert np.array_equal(voxelise(mesh, GRID), truth)


def test_voxels_of_meshes_that_are_no_manifold(tmp_path):
    ball = pv.Sphere(radius=90, theta_resolution=40, phi_resolution=40)
    truth = voxelise(ball, GRID)
    fin = pv.Plane(i_size=40, j_size=40).triangulate()  # inside, ends in nothing
    faces = np.vstack([ball.regular_faces, ball.regular_faces[:50]])  # there twice
    twice = pv.PolyData.from_regular_faces(ball.points, faces)
    holes = pv.PolyData.from_regular_faces(ball.points, ball.regular_faces[5::])
    for mesh in (ball.merge(fin), twice, holes):
        write_mesh(tmp_path / "m.ply", mesh)
        got = voxelise(read_mesh(tmp_path / "m.ply"), GRID)
        assert (got ^ truth).sum() < 0.02 * truth.sum()


def test_a_skull_cut_by_the_field_of_view_is_not_papered_over():
    wall = pv.Sphere(radius=90, theta_resolution=60, phi_resolution=60)
    shell = wall.merge(wall.scale(0.9, inplace=False))
    open_below = shell.clip("z", origin=(0, 0, -40), invert=False).triangulate()
    bone = voxelise(open_below, GRID)
    lowest = np.flatnonzero(bone.any(axis=(0, 1)))[0]
    ring = bone[:, :, lowest + 1]
    assert ring.any() and not ring[29:31, 28:30].any()  # no plate across


def test_a_million_triangles():
    fine = pv.Icosphere(radius=90, nsub=8)
    assert fine.n_cells > 1_000_000
    bone = voxelise(fine, GRID)
    assert bone.sum() * 4.0**3 == pytest.approx(4 / 3 * np.pi * 90**3, rel=0.01)
