"""What a folder holds: every file is a scan, a problem, or left out with a reason."""

import errno
import inspect
import os
import socket
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
from scan_files import write_dicom

from skfm_lib.data.io.archives import LINKS
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.prepare import folder_walk, other_files
from skfm_lib.prepare.discovery import find_source, find_sources
from skfm_lib.prepare.folder_walk import Walk
from skfm_lib.prepare.found import Found
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import Progress

VALUES = np.zeros((12, 4, 4), np.int16)


def found(folder: Path, sandbox: Sandbox) -> Found:
    return find_sources(folder, folder / "-", sandbox)


def walked(folder: Path) -> tuple[list[str], Counter[str]]:
    left_out: Counter[str] = Counter()
    return [key for key, _, _ in Walk(folder, folder / "-", left_out)], left_out


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_links_are_followed_once_wherever_they_lead(tmp_path):
    touch(tmp_path / "pool" / "p1" / "a", tmp_path / "pool" / "p2" / "b")
    folder = tmp_path / "in"
    touch(folder / "z" / "own", folder / ".git" / "object")
    for name in ("p1", "p2"):
        (folder / name).symlink_to(tmp_path / "pool" / name)
    (folder / "a-copy").symlink_to("p1")  # a link to a link
    (folder / "a-own").symlink_to("z")
    (folder / "file").symlink_to(tmp_path / "pool" / "p1" / "a")
    (folder / "annexed").symlink_to(".git/object")
    (folder / "above").symlink_to(tmp_path)
    (folder / "z" / "loop").symlink_to("..")
    (folder / "broken").symlink_to("nowhere")
    (folder / "self").symlink_to("self")
    keys, left_out = walked(folder)
    assert keys == ["z/own", "a-copy/a", "annexed", "p2/b"]
    assert left_out == {
        other_files.HIDDEN: 1,
        folder_walk.ABOVE: 1,
        folder_walk.BROKEN: 2,
        folder_walk.MET: 4,
    }


def test_the_data_set_within_the_folder_is_passed_over(tmp_path):
    touch(tmp_path / "a", tmp_path / "set" / "volumes" / "b.nii.gz")
    (tmp_path / "link").symlink_to("set")
    left_out: Counter[str] = Counter()
    walk = Walk(tmp_path, tmp_path / "set", left_out)
    assert [key for key, _, _ in walk] == ["a"]
    assert left_out == {folder_walk.MET: 1}


def test_former_data_sets_are_no_scans(tmp_path):
    touch(tmp_path / "scan.stl", tmp_path / "volumes" / "b.stl")
    touch(*(tmp_path / "x" / n for n in ("settings.json", "volumes/a.nii.gz")))
    keys, left_out = walked(tmp_path)
    assert keys == ["scan.stl", "volumes/b.stl"]
    assert left_out == {folder_walk.MADE: 2}
    assert walked(tmp_path / "x")[0] == ["settings.json", "volumes/a.nii.gz"]


def test_a_file_of_two_names_is_one(tmp_path):
    touch(tmp_path / "in" / "a", tmp_path / "elsewhere")
    os.link(tmp_path / "in" / "a", tmp_path / "in" / "b")
    for name in ("c", "d"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "elsewhere")
    keys, left_out = walked(tmp_path / "in")
    assert keys == ["a", "c"]
    assert left_out == {folder_walk.TWICE: 1, folder_walk.MET: 1}


def test_special_files_are_never_opened(tmp_path, sandbox):
    os.mkfifo(tmp_path / "pipe.nii")  # would block whoever opens it
    (tmp_path / "zero.nii.gz").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.stl"))
        with pytest.raises(SkfmError, match="holds no scans .it holds 3 × pipes, sock"):
            found(tmp_path, sandbox)
        with pytest.raises(SkfmError, match="1 × pipes, sockets or devices"):
            found(tmp_path / "pipe.nii", sandbox)


def test_what_may_not_be_read_is_said(tmp_path, sandbox, monkeypatch):
    touch(tmp_path / "a" / "x.stl", tmp_path / "b.nii", tmp_path / "IM1")
    scandir, access = os.scandir, os.access

    def denied(path):
        if Path(path).name == "a":
            raise PermissionError(errno.EACCES, "denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    inside = tmp_path.is_relative_to
    monkeypatch.setattr(
        os, "access", lambda path, mode: access(path, mode) and not inside(path.parent)
    )
    result = found(tmp_path, sandbox)
    assert list(result.problems) == ["b.nii"] and "permission" in str(result.problems)
    assert result.left_out == {folder_walk.LOCKED: 2}


def test_deep_trees_and_many_files_are_bounded(tmp_path, monkeypatch):
    folder, limit = tmp_path, sys.getrecursionlimit()
    for _ in range(400):
        folder = folder / "d"
        folder.mkdir()
    touch(tmp_path / "a", folder / "a")
    sys.setrecursionlimit(len(inspect.stack(0)) + 200)
    try:
        keys, left_out = walked(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert keys == ["a", "d/" * 400 + "a"] and not left_out
    touch(*(tmp_path / f"{n}" for n in range(101)))
    monkeypatch.setattr(folder_walk, "MOST_FILES", 100)
    with pytest.raises(SkfmError, match="more than 100 files"):
        walked(tmp_path)


def test_names_of_any_bytes(tmp_path):
    touch(tmp_path / os.fsdecode(b"M\xfcller\n.stl"))
    assert walked(tmp_path)[0] == ["M\udcfcller\n.stl"]


def fill(folder: Path) -> None:
    """One file or more of each kind, 12 slices and a mesh among them."""
    write_dicom(folder / "ct", VALUES, (1.0, 1.0, 2.0))
    write_dicom(folder / "mr", VALUES[:3], Modality="MR")
    for path in write_dicom(folder / "bad", VALUES[:2]):
        path.write_bytes(path.read_bytes()[:140] + b"\xff" * 300)
    write_mesh(folder / "skull.stl", pv.Sphere())
    touch(*(folder / name for name in ("a.png", "b.JPG", "notes.txt", "t.csv")))
    touch(
        folder / "viewer.EXE",
        folder / "scan.mgz",
        folder / "x.7z",
        folder / "voxels.raw",
    )
    touch(folder / ".DS_Store", folder / ".git" / "x", folder / "IM0001")
    (folder / "empty").touch()
    (folder / "empty.nrrd").touch()
    (folder / "nowhere").symlink_to("gone")
    with tarfile.open(folder / "in.tar", "w") as archive:
        archive.add(folder / "skull.stl", "a/skull.stl")
        archive.add(folder / "nowhere", "a/link")
        archive.add(folder / ".DS_Store", "__MACOSX/._skull.stl")
    with zipfile.ZipFile(folder / "in.zip", "w") as archive:
        archive.write(folder / "in.tar", "nested.tar")
        archive.write(folder / "ct" / "CT000000.dcm", "one/slice")
    (folder / "broken.zip").write_bytes(b"PK")


def test_every_file_is_accounted_for(tmp_path, sandbox):
    fill(tmp_path)
    result = found(tmp_path, sandbox)
    plain = [p for p in tmp_path.rglob("*") if p.is_file() or p.is_symlink()]
    assert result.files == len(plain) + (3 - 1) + (2 - 1)  # members, not the archives
    assert sorted(source.location for source in result.sources) == [
        *("ct", "empty.nrrd", "in.tar/a/skull.stl", "skull.stl")
    ]
    assert set(result.problems) == {"broken.zip", "bad"}
    assert result.problem_files == {"broken.zip": 1, "bad": 2}
    about_dicom = {why: n for why, n in result.left_out.items() if " CT " in why}
    assert sorted(about_dicom.values()) == [1, 3]  # a copy, and the MR
    assert result.left_out - Counter(about_dicom) == {
        other_files.PICTURES: 2,
        other_files.TEXTS: 2,
        other_files.PROGRAMS: 1,
        other_files.OTHER_SCANS: 1,
        other_files.PACKED: 2,
        other_files.VOXELS: 1,
        other_files.HIDDEN: 3,
        other_files.UNKNOWN: 1,
        other_files.EMPTY: 1,
        folder_walk.BROKEN: 1,
        LINKS: 1,
    }


def test_a_folder_without_scans_says_what_it_holds(tmp_path, sandbox):
    with pytest.raises(SkfmError, match="holds no scans .it holds nothing."):
        found(tmp_path, sandbox)
    touch(tmp_path / "Jane.Doe", tmp_path / "a.mgz", tmp_path / "b.mgz")
    with pytest.raises(SkfmError, match="2 × scans or meshes in other formats") as said:
        found(tmp_path, sandbox)
    assert "1 × files of unknown kinds" in str(said.value)
    assert "Doe" not in str(said.value) and str(tmp_path) not in str(said.value)


def test_the_one_scan_of_a_folder_with_other_objects(tmp_path, sandbox):
    write_dicom(tmp_path / "ct", VALUES, (1.0, 1.0, 2.0))
    write_dicom(tmp_path / "sr", VALUES[:1], Modality="SR")
    touch(tmp_path / "DICOMDIR", tmp_path / "a.pdf")
    assert find_source(tmp_path, sandbox).location == "ct"
    write_mesh(tmp_path / "skull.stl", pv.Sphere())
    with pytest.raises(SkfmError, match="2 scans; expected one scan; next: name the"):
        find_source(tmp_path, sandbox)
    (tmp_path / "skull.stl").unlink()
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(SkfmError, match="1 scan and 1 that cannot be used, the first"):
        find_source(tmp_path, sandbox)
    with pytest.raises(SkfmError, match="a.zip: .*a.zip cannot be read"):
        find_source(tmp_path / "a.zip", sandbox)


def test_progress_counts_files(tmp_path, sandbox, monkeypatch):
    write_dicom(tmp_path / "ct", VALUES, (1.0, 1.0, 2.0))
    touch(tmp_path / "a.txt")
    lines = []
    show = Progress._show
    monkeypatch.setattr(
        Progress, "_show", lambda self, **end: (lines.append(self.line()), show(self))
    )
    found(tmp_path, sandbox)
    assert lines[-1].startswith("Looking for scans  13/13")
