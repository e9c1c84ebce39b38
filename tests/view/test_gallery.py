"""The page and the contact sheet of a set, and the meshes in the page."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
import pyvista as pv
from PIL import Image

from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import Skull, write_manifest
from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.utils.errors import SkfmError
from skfm_lib.view.gallery import inline, stored, write_pages
from skfm_lib.view.gallery.encoding import REACH, STEPS, encoded
from skfm_lib.view.meshes import smooth_surface


def decoded(mesh):
    """What the page's script makes of a mesh: points in mm, and triangles."""
    data = zlib.decompress(base64.b64decode(mesh["data"]))

    def words(start, count):
        low, high = (
            np.frombuffer(data, np.uint8, count, start + i * count) for i in (0, 1)
        )
        return low + 256 * high.astype(np.uint16)

    n, m = mesh["vertices"], mesh["faces"]
    steps = np.cumsum(words(0, 3 * n).reshape(n, 3), axis=0, dtype=np.uint16)
    faces, following = [], 0
    for code in words(6 * n, 3 * m).tolist():
        faces.append(following - code)
        following += code == 0
    assert len(data) == 6 * (n + m)
    points = steps.astype(np.int16) * REACH / STEPS
    return pv.PolyData.from_regular_faces(points, np.reshape(faces, (m, 3)))


def meshes_of(text):
    """The meshes in a page: key → parts."""
    (data,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text)
    return json.loads(data)


@pytest.mark.parametrize("triangles", [10**6, 2000])
def test_a_mesh_survives_its_encoding(phantoms, triangles):
    mesh = smooth_surface(phantoms.volume(4), phantoms.grid)
    record = encoded(mesh, triangles)
    found = decoded(record)
    assert record["faces"] <= triangles and found.n_points == record["vertices"]
    points = np.asarray(mesh.points, float)
    centre = (points.min(0) + points.max(0)) / 2
    apart = distance_to_surface(np.asarray(found.points, float) + centre, mesh)
    assert apart.max() < (0.01 if triangles == 10**6 else 8)
    assert apart.mean() < 0.5
    assert found.volume == pytest.approx(mesh.volume, rel=0.02)  # faces the same way
    assert len(record["data"]) < 9 * record["faces"]


@pytest.fixture
def folder(phantoms, tmp_path):
    """A set of two skulls, one of which failed, and of an empty volume."""
    rows = []
    for item, quality in ((0, 2), (4, 5), (-1, 5)):
        name = f"ours-qs{quality}-{item + 2:04d}"
        volume = phantoms.volume(item) if item >= 0 else 0 * phantoms.volume(0)
        write_volume(tmp_path / f"{name}.nii.gz", volume, phantoms.grid)
        checks = "vault holes 12 cm² <b>" if item == 4 else "ok"
        file = f"{name}.nii.gz"
        rows.append(Skull(name, "train", quality, file, "test", 8.16, checks))
    more = {"seed": [11, 12, 13], "screening": ["passed", "failed", "passed"]}
    write_manifest(tmp_path, rows, more)
    return tmp_path


def test_the_page_is_one_file_that_asks_for_nothing(folder):
    path = write_pages(folder, "Model <b> & co.")
    text = path.read_text(encoding="utf-8")
    assert "3 generated skulls" in text and "Model &lt;b&gt; &amp; co." in text
    assert not re.search(r"(src|href)=\"(?!data:)|https?://|@import|url\(", text)
    assert list(meshes_of(text)) == ["0", "1"]
    assert text.count('class="skull"') == 3 and text.count("data-mesh=") == 2
    assert "vault holes 12 cm² &lt;b&gt;" in text and "seed 12" in text
    assert text.count('src="data:image/png;base64,') == 3
    assert "$" not in re.sub(r"\$\{[^}]*\}", "", text)


def test_the_sheet_is_a_picture(folder):
    write_pages(folder, "Model")
    with Image.open(folder / "sheet.png") as picture:
        assert picture.width > 600 and picture.height > 200
        assert np.asarray(picture.convert("L")).std() > 5


def test_of_a_large_set_the_first_are_shown(folder, monkeypatch):
    monkeypatch.setattr("skfm_lib.view.gallery.pages.MOST", 1)
    text = write_pages(folder, "Model").read_text(encoding="utf-8")
    assert "3 generated skulls, of which the first 1 are shown" in text
    assert text.count('class="skull"') == 1


def test_a_set_that_is_gone_is_reported(tmp_path):
    with pytest.raises(SkfmError, match="manifest.csv does not exist"):
        write_pages(tmp_path, "Model")


@pytest.fixture
def viewer(phantoms):
    """A skull, a cube in two parts, and a volume without bone."""
    box = pv.Box((0, 10, 0, 10, 0, 10)).triangulate()
    parts = [(box, "#e8dfc8"), (box.translate((30, 0, 0)), "#c4622d")]
    skulls = {"skull <1>": phantoms.volume(4), "parts": parts}
    skulls["empty"] = 0 * phantoms.volume(0)
    return inline(skulls, phantoms.grid, {"parts": "a note & more"}, columns=3)


def test_an_inline_viewer_holds_all_that_it_needs(viewer):
    text = viewer._repr_html_()
    assert not re.search(r"(src|href)=\"(?!data:)|https?://|@import|url\(", text)
    assert "skull &lt;1&gt;" in text and "a note &amp; more" in text
    assert 'aria-label="parts, a note &amp; more"' in text and "empty: no bone" in text
    meshes = meshes_of(text)
    assert list(meshes) == ["0", "1"]
    assert [part["colour"] for part in meshes["1"]] == ["#e8dfc8", "#c4622d"]
    assert len(meshes["0"][0]["data"]) < 85_000


def test_parts_stay_where_they_are_to_each_other(viewer):
    (first, second) = (decoded(part) for part in viewer.exhibits[1].parts)
    gap = np.subtract(second.center, first.center)
    assert gap == pytest.approx((30, 0, 0), abs=0.02)
    assert np.add(first.center, second.center) == pytest.approx((0, 0, 0), abs=0.02)


def test_a_viewer_is_the_same_after_it_was_stored(viewer, tmp_path):
    stored.save(viewer, tmp_path / "a.json", "Made by a test.")
    found, about = stored.load(tmp_path / "a.json")
    assert found._repr_html_() == viewer._repr_html_() and about == "Made by a test."
    with pytest.raises(SkfmError, match="b.json"):
        stored.load(tmp_path / "b.json")


def test_the_first_skulls_of_a_set_are_taken(folder):
    found = stored.viewer_of(folder, count=2)
    assert [one.label for one in found.exhibits] == [
        "Generated, QS 2",
        "Generated, QS 5",
    ]
