"""`skfm prepare` as typed: exit status, what is printed, --names."""

from pathlib import Path

import numpy as np
import pytest
from scan_files import write_dicom

from skfm_lib.cli.main import main
from skfm_lib.data.bone_fractions import skull_surface
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.manifest import claim
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import skull_grid
from skfm_lib.prepare.pseudonyms import read_salt
from skfm_lib.presets.grid_sizes import scaled_shape


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """A mesh reached by a link, and objects that are no scans."""
    folder, pool = tmp_path_factory.mktemp("in"), tmp_path_factory.mktemp("pool")
    shape = scaled_shape(1 / 8)
    mesh = skull_surface(phantom_skull(1, 5, shape), skull_grid(shape))
    write_mesh(pool / "p" / "Doe.stl", mesh)
    (folder / "link").symlink_to(pool / "p")
    write_dicom(folder / "sr", np.zeros((3, 4, 4), np.int16), Modality="SR")
    (folder / "DICOMDIR").write_bytes(b"x")
    return folder


@pytest.fixture
def run(warm, scans, tmp_path, capsys):
    def run(*words: str, folder: Path = scans, out: Path = tmp_path / "out"):
        command = ["prepare", str(folder), "--out", str(out), "--preset", "tiny"]
        status = main([*command, *words])
        said = capsys.readouterr()
        last = [line for line in said.err.splitlines() if line.startswith("skfm: ")]
        return status, said.out, last

    return run


def test_other_objects_are_no_problem_and_names_are_of_what_was_made(run, scans):
    status, _, errors = run("--names")
    assert status == 1 and "nothing is prepared in" in errors[0]
    status, out, errors = run()
    assert status == 0 and not errors and "Problems" not in out
    lines = out.splitlines()
    assert lines[0].startswith("1 skull in ")
    assert lines[0].endswith(", 1 new, from 1 of 5 files")
    assert lines[1] == "Left out:" and lines[2].startswith("  3 × DICOM objects")
    status, names, _ = run("--names")
    assert status == 0 and names.count("\n") == 1
    assert names.split() == [names.split()[0], "link/Doe.stl"]
    (scans / "broken.zip").write_bytes(b"PK")
    status, out, errors = run()
    assert status == 1 and not errors
    assert "Doe" not in out and ", 0 new, from 1 of 6 files" in out
    assert out.index("Left out:") < out.index("Problems:") < out.index("Pictures")
    status, names, _ = run("--names")
    assert status == 0
    assert {line.split()[1] for line in names.splitlines()} == {
        *("broken.zip", "link/Doe.stl")
    }


def test_nothing_made_is_never_a_success(run, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.pdf").write_bytes(b"x")
    status, out, errors = run(folder=tmp_path / "in")
    assert status == 1 and not out and len(errors) == 1
    assert "1 × texts, tables and documents" in errors[0]
    (tmp_path / "in" / "a.stl").touch()
    status, out, errors = run(folder=tmp_path / "in")
    assert status == 1 and not out and len(errors) == 1
    assert "the only scan could not be used" in errors[0]
    assert "it is empty" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_the_share_for_validation_is_checked_before_any_work(run, tmp_path):
    status, _, errors = run("--validation", "0.9")
    error = "skfm: shares of 0.2 for test and 0.9 for validation; expected shares"
    assert status == 1 and errors[0].startswith(error)
    assert not (tmp_path / "out").exists()
    read_salt(tmp_path / "out")  # a data set of other scans, of an earlier version
    claim(tmp_path / "out", {"made from": "scans", "test fraction": 0.2})
    status, _, errors = run("--validation", "0.05")
    assert status == 1 and "validation is not set there, 0.05 here" in errors[0]
    status, _, errors = run()
    assert status == 1 and "validation is" not in errors[0]
