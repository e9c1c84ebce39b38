"""Real scans are called by what they are, and skulls return to their places."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from skfm_lib.data.bone_fractions import skull_surface
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.io import sample_scan
from skfm_lib.data.io.meshes import read_mesh, write_mesh
from skfm_lib.data.io.sample_scan import CRANIOTOMY, CRANIUM
from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.manifest import Skull, write_manifest
from skfm_lib.evaluation import real_scans
from skfm_lib.evaluation.real_scans import OWN, overview, put_back
from skfm_lib.prepare.extraction import SCAN, TRANSFORM, describe, record_path
from skfm_lib.prepare.pseudonyms import pseudonym, read_salt

MOVED = np.array([40.0, -30.0, 20.0])  # mm from the skull frame to the scan
FILES = ("a mesh.stl", "b mine.nii.gz", "c known.nii.gz")


@pytest.fixture
def prepared(phantoms, tmp_path, monkeypatch):
    """A folder of three scans, the last a public head, and the set made from them."""
    heads, out = tmp_path / "heads", tmp_path / "out"
    heads.mkdir()
    salt, rows = read_salt(out), []
    for item, file in enumerate(FILES):
        bone, grid = phantoms.volume(item), phantoms.grid
        moved = replace(grid, origin=tuple(np.add(grid.origin, MOVED)))
        name = pseudonym(salt, file)
        volume = out / "volumes" / f"{name}.nii.gz"
        write_volume(volume, bone, grid)
        if item:
            write_volume(heads / file, bone, moved)
            image = sitk.ReadImage(str(heads / file))
            scan = describe(sitk.DICOMOrient(image, "RAS"))
        else:
            write_mesh(heads / file, skull_surface(bone, moved))
            scan = {"points": read_mesh(heads / file).n_points}  # coinciding ones once
        matrix = np.eye(4)
        matrix[:3, 3] = -MOVED
        record = {TRANSFORM: matrix.tolist(), SCAN: scan}
        record_path(volume).write_text(json.dumps(record))
        place = f"volumes/{name}.nii.gz"
        rows.append(Skull(name, "unlabelled", None, place, "scan", grid.spacing))
    write_manifest(out, rows)
    digest = hashlib.sha256((heads / FILES[-1]).read_bytes()).hexdigest()
    known = replace(CRANIOTOMY, sha256=digest)
    for module in (sample_scan, real_scans):
        monkeypatch.setattr(module, "HEADS", (CRANIUM, known))
    return heads, SkullSet(out, "unlabelled")


def test_public_heads_come_first_and_others_keep_their_codes(prepared):
    heads, skulls = prepared
    scans = real_scans.real_scans(heads, skulls)
    assert [scan.item for scan in scans] == [2, 0, 1]
    own = [skull.name for skull in skulls.skulls[:2]]
    assert [scan.label for scan in scans] == ["craniotomy", *own]
    rows = overview(scans, {"0123456789": "0123456789: it is empty"})
    assert list(rows) == ["cranium", "craniotomy", *own, "0123456789"]
    assert rows["0123456789"] == {"here": "no: 0123456789: it is empty"}
    assert rows["cranium"]["here"] == "no: `skfm sample cranium`"
    assert rows["cranium"]["role"] == "test head"
    assert rows["craniotomy"]["role"] == "development data"
    assert rows["craniotomy"]["here"] == "yes" and rows[own[0]]["it is"] == OWN
    assert list(overview(scans[1:], {})) == own  # samples are not mentioned
    assert not any(file[2:] in repr(rows) for file in FILES)


def test_a_skull_returns_to_its_scan(prepared, tmp_path, sandbox):
    heads, skulls = prepared
    scans = real_scans.real_scans(heads, skulls)[:2]  # a volume and a mesh
    thicker = [skulls[scan.item][0][0].numpy() for scan in scans]
    for x in thicker:
        x[2:] = np.maximum(x[2:], x[:-2])  # by 2 voxels to one side
    given = skulls, tmp_path / "back", 200.0, sandbox
    backs = [put_back(scan, x, *given) for scan, x in zip(scans, thicker)]
    for own, other in (back.distances.values() for back in backs):
        assert own < 1e-3 and 0.2 < other / skulls.grid.spacing < 2
    volume, mesh = backs
    assert mesh.scan is mesh.outline is None
    assert volume.scan is not None and volume.outline is not None
    values, grid = read_volume(volume.outline)
    assert grid.origin == pytest.approx(np.add(skulls.grid.origin, MOVED))
    assert np.mean((values > 0.5) == (thicker[0] > 0)) > 0.99
    assert volume.scan.GetSize() == sitk.ReadImage(str(volume.outline)).GetSize()


def test_scans_of_an_archive_return_one_by_one(prepared, tmp_path, sandbox):
    heads, skulls = prepared
    shutil.make_archive(str(tmp_path / "pool" / "all"), "zip", heads)
    out, new = skulls.folder, tmp_path / "new"
    shutil.copytree(out, new)
    salt, rows = read_salt(new), []
    for skull, file in zip(skulls.skulls, FILES):
        rows.append(replace(skull, name=pseudonym(salt, f"all.zip/{file}")))
    write_manifest(new, rows)
    scans = real_scans.real_scans(tmp_path / "pool", SkullSet(new, "unlabelled"))
    assert [scan.head for scan in scans] == [None] * 3  # not read within archives
    x = skulls[1][0][0].numpy()
    given = SkullSet(new, "unlabelled"), tmp_path / "back", 200.0, sandbox
    own, made = put_back(scans[1], x, *given).distances.values()
    assert own == pytest.approx(made, abs=1e-4) and own < 1e-3
