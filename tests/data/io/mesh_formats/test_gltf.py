"""glTF and GLB of other programs: the same ball in RAS mm, or a true refusal."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvista as pv
import trimesh
from ball_files import BALL, FACES, POINTS, check, read

from skfm_lib.data.io.meshes import in_millimetres, write_mesh
from skfm_lib.utils.errors import SkfmError

# Metres; x to the patient's left, y up, z to the front.
UPRIGHT = (POINTS @ np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0]]) / 1000).astype("<f4")
INDICES = FACES.astype("<u4")
FLOATS, SHORTS, UINTS = 5126, 5122, 5125
PACKED = "KHR_draco_mesh_compression"
PRIMITIVE: dict[str, Any] = {"attributes": {"POSITION": 0}, "indices": 1}


def document(**changed: Any) -> dict[str, Any]:
    """The JSON of a glTF with the ball in one node."""
    views = [
        {"buffer": 0, "byteLength": UPRIGHT.nbytes},
        {"buffer": 0, "byteOffset": UPRIGHT.nbytes, "byteLength": INDICES.nbytes},
    ]
    accessors = [
        {"componentType": FLOATS, "count": len(UPRIGHT), "type": "VEC3"},
        {"componentType": UINTS, "count": INDICES.size, "type": "SCALAR"},
    ]
    return {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": UPRIGHT.nbytes + INDICES.nbytes}],
        "bufferViews": views,
        "accessors": [{"bufferView": i, **one} for i, one in enumerate(accessors)],
        "meshes": [{"primitives": [PRIMITIVE]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
    } | changed


def glb(
    content: bytes = UPRIGHT.tobytes() + INDICES.tobytes(), **changed: Any
) -> bytes:
    """The same as a GLB."""
    text = json.dumps(document(**changed)).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(content), b"BIN\0") + content
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


MOVED = np.eye(4)
MOVED[:3, 3] = (0.01, 0.02, 0.03)
INSTANCES = {  # nodes → how far the ball is shifted, RAS mm
    "matrix": ([{"mesh": 0, "matrix": MOVED.T.ravel().tolist()}], (-10, 30, 20)),
    "nested": (
        [
            {"children": [1], "scale": [0.5] * 3},
            {"children": [2], "translation": [0, 0.02, 0]},
            {"mesh": 0, "scale": [2, 2, 2]},
        ],
        (0, 0, 10),
    ),
    "another scene": ([{"mesh": 0}, {"mesh": 0, "translation": [1, 0, 0]}], (0, 0, 0)),
}


@pytest.mark.parametrize("kind", INSTANCES)
def test_nodes_are_applied(tmp_path, kind):
    nodes, shift = INSTANCES[kind]
    mesh, note = in_millimetres(read(tmp_path, "a.glb", glb(nodes=nodes)))
    check(mesh, shift)
    assert note == "converted from metres, y up (glTF)"


def test_rotations_and_two_instances(tmp_path):
    quarter = [0.0, 0.0, 0.5**0.5, 0.5**0.5]  # about glTF's z, RAS y
    nodes = [{"children": [1, 2]}, {"mesh": 0, "rotation": quarter}, {"mesh": 0}]
    mesh = read(tmp_path, "a.glb", glb(nodes=nodes))
    assert mesh.n_cells == 2 * len(FACES)
    turned = POINTS @ np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]])
    low, high = np.vstack([turned, POINTS]).min(0), np.vstack([turned, POINTS]).max(0)
    np.testing.assert_allclose(mesh.bounds, np.c_[low, high].ravel(), atol=1e-3)


@pytest.mark.parametrize("normalized", [True, False])
def test_quantised_coordinates(tmp_path, normalized):
    rounded = np.zeros((len(UPRIGHT), 4), "<i2")  # 8 bytes apart
    rounded[:, :3] = np.round(UPRIGHT / 0.1 * 32767)
    views = [
        {"buffer": 0, "byteLength": rounded.nbytes, "byteStride": 8},
        {"buffer": 0, "byteOffset": rounded.nbytes, "byteLength": INDICES.nbytes},
    ]
    accessors = document()["accessors"]
    accessors[0] |= {"componentType": SHORTS, "normalized": normalized}
    file = glb(
        rounded.tobytes() + INDICES.tobytes(),
        bufferViews=views,
        accessors=accessors,
        nodes=[{"mesh": 0, "scale": [0.1 if normalized else 0.1 / 32767] * 3}],
        extensionsRequired=["KHR_mesh_quantization", "KHR_materials_unlit"],
    )
    mesh = read(tmp_path, "a.glb", file)
    assert mesh.n_cells == len(FACES) and mesh.n_open_edges == 0
    np.testing.assert_allclose(mesh.bounds, BALL.bounds, atol=0.003)


def test_sparse_coordinates(tmp_path):
    rows = np.arange(len(UPRIGHT), dtype="<u4")
    parts = [UPRIGHT, INDICES, rows]
    starts = np.cumsum([0, *(part.nbytes for part in parts)]).tolist()
    views = [
        {"buffer": 0, "byteOffset": start, "byteLength": part.nbytes}
        for start, part in zip(starts, parts)
    ]
    accessors = document()["accessors"]
    del accessors[0]["bufferView"]
    at = {"bufferView": 2, "componentType": UINTS}
    count = len(UPRIGHT)
    accessors[0]["sparse"] = {
        "count": count,
        "indices": at,
        "values": {"bufferView": 0},
    }
    content = b"".join(part.tobytes() for part in parts)
    check(read(tmp_path, "a.glb", glb(content, bufferViews=views, accessors=accessors)))


@pytest.mark.parametrize(("mode", "cells"), [(5, 2), (6, 2), (4, 1), (1, 0)])
def test_strips_fans_and_lines(tmp_path, mode, cells):
    square = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0.1, 0.1, 0]], "<f4")
    used = square[: 3 if mode == 4 else 4]
    file = glb(
        used.tobytes(),
        bufferViews=[{"buffer": 0, "byteLength": used.nbytes}],
        accessors=[
            {
                "bufferView": 0,
                "componentType": FLOATS,
                "count": len(used),
                "type": "VEC3",
            }
        ],
        meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": mode}]}],
    )
    if cells:
        assert read(tmp_path, "a.glb", file).n_cells == cells
    else:
        with pytest.raises(SkfmError, match="it holds no triangles"):
            read(tmp_path, "a.glb", file)


def named(uri: str) -> str:
    """A glTF whose points are elsewhere."""
    size = UPRIGHT.nbytes + INDICES.nbytes
    return json.dumps(document(buffers=[{"byteLength": size, "uri": uri}]))


def test_buffers_within_the_folder(tmp_path):
    content = UPRIGHT.tobytes() + INDICES.tobytes()
    (tmp_path / "a" / "data").mkdir(parents=True)
    (tmp_path / "a" / "data" / "scene 1.bin").write_bytes(content)
    check(read(tmp_path / "a", "a.gltf", named("data/scene%201.bin")))
    text = base64.b64encode(content).decode()
    embedded = named(f"data:application/octet-stream;base64,{text}")
    check(read(tmp_path, "b.gltf", embedded))
    check(read(tmp_path, "c.glb", embedded))  # read by content
    with pytest.raises(SkfmError, match="is not beside it.*export it as GLB"):
        read(tmp_path / "a", "a.gltf", named("scene.bin"))
    (tmp_path / "a" / "data" / "scene 1.bin").write_bytes(content[:-9])
    with pytest.raises(SkfmError, match="it is cut short: data that it names"):
        read(tmp_path / "a", "a.gltf", named("data/scene%201.bin"))


@pytest.mark.parametrize(
    "uri",
    ["../out.bin", "{}/out.bin", "file://{}/out.bin", "%2e%2e/out.bin", "link.bin"],
)
def test_buffers_outside_the_folder_are_refused(tmp_path, uri):
    (tmp_path / "a").mkdir()
    (tmp_path / "out.bin").write_bytes(UPRIGHT.tobytes() + INDICES.tobytes())
    (tmp_path / "a" / "link.bin").symlink_to(tmp_path / "out.bin")
    with pytest.raises(SkfmError, match="its points are in a file outside its folder"):
        read(tmp_path / "a", "a.gltf", named(uri.format(tmp_path)))


WITHOUT = [
    {key: value for key, value in one.items() if key != "bufferView"}
    for one in document()["accessors"]
]
REFUSED = {
    "compressed by Draco.*without compression": glb(extensionsRequired=[PACKED]),
    "compressed by Draco": glb(
        accessors=WITHOUT,
        meshes=[{"primitives": [PRIMITIVE | {"extensions": {PACKED: {}}}]}],
    ),
    "compressed by meshopt": glb(extensionsRequired=["EXT_meshopt_compression"]),
    "needs the extension FB_geometry": glb(extensionsRequired=["FB_geometry"]),
    "needs an extension, which": glb(extensionsRequired=["Doe^Jane"]),
    "moved by a skeleton": glb(nodes=[{"mesh": 0, "skin": 0}]),
    "glTF 1.0.*export it as glTF 2.0": struct.pack("<4sIII", b"glTF", 1, 100, 60),
    "it is glTF 1.0": json.dumps({"meshes": {"a": {}}}).encode(),
    "it holds no triangles": glb(nodes=[{}]),
    "it is damaged": glb(nodes=[{"children": [1]}, {"children": [0], "mesh": 0}]),
    "cut short: data that it names": glb(UPRIGHT.tobytes()),
    "cut short: it states": glb()[:-8],
    "triangles name points": glb(UPRIGHT.tobytes() + (INDICES + 1).tobytes()),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_read_is_named(tmp_path, message):
    with pytest.raises(SkfmError, match=message) as error:
        read(tmp_path, "a.glb", REFUSED[message])
    assert "Doe" not in str(error.value)


@pytest.mark.parametrize("kind", [".glb", ".gltf"])
def test_out_as_gltf_says_and_in_again(tmp_path: Path, kind: str) -> None:
    small = pv.Sphere(radius=15, center=(40, 50, 60))  # smaller than any head
    for mesh in (BALL, small):
        write_mesh(tmp_path / f"a{kind}", mesh)
        (x0, y0, z0), (x1, y1, z1) = trimesh.load_scene(tmp_path / f"a{kind}").bounds
        inside = np.array([-x1, -x0, z0, z1, y0, y1]) * 1000
        np.testing.assert_allclose(inside, mesh.bounds, atol=1e-3)
        back = read(tmp_path, f"b{kind}", (tmp_path / f"a{kind}").read_bytes())
        np.testing.assert_allclose(back.bounds, mesh.bounds, atol=1e-3)
    with pytest.raises(
        SkfmError, match="the mesh is 30 mm long, converted from metres"
    ):
        in_millimetres(back)


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (
            1000,
            "taken as millimetres, although a glTF is in metres .160,000 mm.; its axes",
        ),
        (100, "converted from centimetres, although a glTF is in metres"),
    ],
)
def test_other_units_and_axes(tmp_path, factor, message):
    mesh = BALL.scale(factor / 1000, inplace=False)
    file = trimesh.Trimesh(mesh.points, mesh.regular_faces).export(file_type="glb")
    back, note = in_millimetres(read(tmp_path, "a.glb", file))
    check(back)
    assert note.startswith(message.replace(".", "(", 1).replace(".", ")", 1))
