"""glTF 2.0 and GLB: a scene's triangles, in metres, y upwards, facing +z.

Source: the Khronos Group's "glTF 2.0 Specification", version 2.0.1.
"""

import base64
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np
from scipy.spatial.transform import Rotation

from skfm_lib.data.io.mesh_formats.triangles import Mesh, Refused, fan, strip

MAGIC, JSON, BINARY = b"glTF", b"JSON", b"BIN\0"
CODES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
TRIANGLES, STRIP, FAN = 4, 5, 6
CUT = "it is cut short: data that it names are missing"
HARMLESS = re.compile(  # extensions that leave the shape as it is, or are read
    r"KHR_mesh_quantization|(KHR|EXT)_(materials|texture|lights|xmp|animation)\w*"
)
PACKED = {"KHR_draco_mesh_compression": "Draco", "EXT_meshopt_compression": "meshopt"}
PACKED["KHR_meshopt_compression"] = "meshopt"


def read_gltf(content: bytes, folder: Path) -> Mesh:
    """Points and triangles of the default scene, in its coordinates.

    Every instance of every mesh is moved by its nodes' transforms.  Triangles, strips
    and fans are read, quantised and sparse coordinates too.  Buffers are in the file,
    or in other files within `folder`.

    Refused if the file is cut short, of glTF 1.0, compressed (Draco, meshopt), bound
    to a skeleton, or needs another extension that may change the shape.
    """
    document, binary = _unpacked(content)
    version = str(document.get("asset", {}).get("version", "2.0"))
    if version.startswith("1") or isinstance(document.get("meshes"), dict):
        raise _old()
    for name in document.get("extensionsRequired", ()):
        if not HARMLESS.fullmatch(name):
            raise _unsupported(name)
    source = _Source(document, binary, folder)
    points, triangles, total = [], [], 0
    for index, matrix in _instances(document):
        for primitive in document["meshes"][index]["primitives"]:
            faces = _faces(primitive, source)
            if len(faces):
                own = source.array(primitive["attributes"]["POSITION"])
                points.append(own @ matrix[:3, :3].T + matrix[:3, 3])
                triangles.append(faces + total)
                total += len(own)
    if not triangles:
        raise Refused("it holds no triangles", "export the skull's surface")
    return np.concatenate(points), np.concatenate(triangles)


def _old() -> Refused:
    return Refused("it is glTF 1.0", "export it as glTF 2.0")


def _unsupported(extension: str) -> Refused:
    if extension in PACKED:
        found = f"it is compressed by {PACKED[extension]}"
        return Refused(found, "export it again without compression")
    proper = re.fullmatch(r"[A-Z0-9]{2,10}_\w{1,50}", extension)  # no one's name
    name = f"the extension {extension}" if proper else "an extension"
    return Refused(f"it needs {name}, which is not supported", "export it as STL")


def _unpacked(content: bytes) -> tuple[dict[str, Any], bytes | None]:
    """The JSON of a glTF or GLB, and the latter's binary chunk."""
    if not content.startswith(MAGIC):
        return json.loads(content), None
    version, length = np.frombuffer(content[4:12], "<u4").tolist()
    if version != 2:
        raise _old()
    if length > len(content):
        raise Refused(f"{CUT[:15]}: it states {length:,} bytes, has {len(content):,}")
    chunks: dict[bytes, bytes] = {}
    start = 12
    while start + 8 <= length:
        size = int.from_bytes(content[start : start + 4], "little")
        kind = content[start + 4 : start + 8]
        chunks.setdefault(kind, content[start + 8 : start + 8 + size])
        start += 8 + size
    return json.loads(chunks[JSON]), chunks.get(BINARY)


class _Source:
    """The numbers behind a document's accessors."""

    def __init__(
        self, document: dict[str, Any], binary: bytes | None, folder: Path
    ) -> None:
        self.document, self.binary, self.folder = document, binary, folder
        self.buffers: dict[int, bytes] = {}

    def array(self, index: int) -> np.ndarray:
        """The values (count, width) of an accessor; normalised ones as fractions."""
        accessor = self.document["accessors"][index]
        code, width = CODES[accessor["componentType"]], WIDTHS[accessor["type"]]
        if "bufferView" in accessor:
            values = self._view(accessor, accessor["count"], code, width)
        else:
            values = np.zeros((accessor["count"], width), code)
        if sparse := accessor.get("sparse"):
            at, changed = sparse["indices"], sparse["values"]
            rows = self._view(at, sparse["count"], CODES[at["componentType"]], 1)
            values = values.copy()
            values[rows[:, 0]] = self._view(changed, sparse["count"], code, width)
        if accessor.get("normalized"):
            values = np.maximum(values / np.iinfo(code).max, -1.0)
        return values

    def _view(self, where: dict, count: int, code: str, width: int) -> np.ndarray:
        """`count` rows of `width` numbers of a buffer view, `byteStride` apart."""
        view = self.document["bufferViews"][where["bufferView"]]
        for extension in PACKED.keys() & view.get("extensions", {}).keys():
            raise _unsupported(extension)
        size = np.dtype(code).itemsize
        stride = view.get("byteStride", width * size)
        offset = where.get("byteOffset", 0)
        start = view.get("byteOffset", 0) + offset
        end = start + (count - 1) * stride + width * size
        content = self._buffer(view["buffer"])
        last = start - offset + view["byteLength"]
        if not (0 <= start and end <= min(len(content), last) and stride > 0):
            raise Refused(CUT)
        return np.ndarray((count, width), code, content, start, (stride, size))

    def _buffer(self, index: int) -> bytes:
        if index not in self.buffers:
            uri = self.document["buffers"][index].get("uri")
            if uri is None:
                if self.binary is None or index:
                    raise Refused(CUT)
                self.buffers[index] = self.binary
            elif uri.startswith("data:"):
                self.buffers[index] = base64.b64decode(uri.partition(",")[2])
            else:
                self.buffers[index] = _beside(self.folder, unquote(uri))
        return self.buffers[index]


def _beside(folder: Path, name: str) -> bytes:
    """The content of a file that must lie in a folder or below it."""
    parts, remedy = PurePosixPath(name).parts, "export it as GLB, which is one file"
    path = folder.joinpath(*parts)
    inside = path.resolve().is_relative_to(folder.resolve())
    if not inside or not parts or name[0] == "/" or re.search(r"\\|:|\0", name):
        raise Refused("its points are in a file outside its folder", remedy)
    if not path.is_file():
        raise Refused("the file with its points is not beside it", remedy)
    return path.read_bytes()


def _instances(document: dict[str, Any]) -> list[tuple[int, np.ndarray]]:
    """Index and 4×4 of every mesh in the default scene; without one, of all nodes."""
    nodes = document.get("nodes", [])
    children = {child for node in nodes for child in node.get("children", ())}
    roots = [i for i in range(len(nodes)) if i not in children]
    if scenes := document.get("scenes"):
        roots = scenes[document.get("scene", 0)].get("nodes", [])
    found, seen = [], set()
    waiting = [(root, np.eye(4)) for root in roots]
    while waiting:
        index, above = waiting.pop()
        if index in seen:  # nodes are a tree
            raise ValueError("a node has two parents")
        seen.add(index)
        node = nodes[index]
        matrix = above @ _matrix(node)
        if "mesh" in node:
            if "skin" in node:
                remedy = "apply the pose and export a mesh without a skeleton"
                raise Refused("its surface is moved by a skeleton", remedy)
            found.append((node["mesh"], matrix))
        waiting += [(child, matrix) for child in node.get("children", ())]
    return found


def _matrix(node: dict[str, Any]) -> np.ndarray:
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T
    matrix = np.eye(4)
    turn = Rotation.from_quat(node.get("rotation", (0, 0, 0, 1))).as_matrix()
    matrix[:3, :3] = turn * node.get("scale", (1, 1, 1))
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def _faces(primitive: dict[str, Any], source: _Source) -> np.ndarray:
    """The triangles (m, 3) of a primitive; none for points and lines."""
    position = source.document["accessors"][primitive["attributes"]["POSITION"]]
    if "bufferView" not in position and "sparse" not in position:
        for extension in PACKED.keys() & primitive.get("extensions", {}).keys():
            raise _unsupported(extension)
        raise Refused(CUT)
    if "indices" in primitive:
        indices = source.array(primitive["indices"])[:, 0].astype(np.int64)
    else:
        indices = np.arange(position["count"])
    if np.any(indices >= position["count"]):
        raise Refused("its triangles name points that do not exist")
    mode = primitive.get("mode", TRIANGLES)
    if mode == STRIP:
        return strip(indices)
    if mode == FAN:
        return np.array(fan(indices.tolist())).reshape(-1, 3)
    return indices.reshape(-1, 3) if mode == TRIANGLES else np.zeros((0, 3), np.int64)
