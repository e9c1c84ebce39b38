"""A folder of scans made into a data set; bad scans reported, bad orders refused."""

import csv
import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
import SimpleITK as sitk
from heads import CRANIUM, needs_cranium

from skfm_lib.cli import main
from skfm_lib.data.bone_fractions import as_fraction, is_bone, skull_surface
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.io.meshes import read_mesh, write_mesh
from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.manifest import read_manifest
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.registration.canonical_pose import register
from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.data.voxels import skull_grid
from skfm_lib.prepare.bone_segmentation import bone_voxels
from skfm_lib.prepare.extraction import (
    COVERAGE,
    KEPT,
    TRANSFORM,
    Job,
    _checks,
    finished,
    read_surface,
)
from skfm_lib.prepare.pipeline import DISCARDED, prepare, who_is_who
from skfm_lib.prepare.pseudonyms import salt_path
from skfm_lib.prepare.report import Report
from skfm_lib.prepare.source import Source
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils.errors import SkfmError

pytestmark = pytest.mark.usefixtures("warm")
SHAPE = scaled_shape(1 / 16)
POSE = pv.Transform().rotate_x(8).rotate_z(-5).translate((14, -25, 30)).matrix


def skull(seed: int, quality: int) -> pv.PolyData:
    shape = scaled_shape(1 / 8)
    return skull_surface(phantom_skull(seed, quality, shape), skull_grid(shape))


def ct(seed: int, quality: int) -> sitk.Image:
    shape = scaled_shape(1 / 8)
    bone = as_fraction(phantom_skull(seed, quality, shape)).transpose(2, 0, 1)
    image = sitk.GetImageFromArray((bone * 1500 - 500).astype(np.int16))
    image[0, 0, 0] = -1000
    image.SetSpacing([skull_grid(shape).spacing] * 3)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    return image


def own_sandboxes(monkeypatch) -> None:
    """`prepare` starts sandboxes, unlike in other tests."""
    for module in ("pipeline", "job_pool"):
        monkeypatch.setattr(f"skfm_lib.prepare.{module}.Sandbox", Sandbox)


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scans with spaces é")
    (folder / "deep").mkdir()
    moved = skull(1, 5).transform(POSE, inplace=False)
    write_mesh(folder / "mesh ü.stl", moved)
    sitk.WriteImage(ct(2, 6), str(folder / "deep" / "ct.nii.gz"))
    whole = (folder / "deep" / "ct.nii.gz").read_bytes()
    (folder / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "labels.csv").write_text("name,quality\nct.nii.gz,6\n", encoding="utf-8")
    (folder / "notes.txt").write_text("no scan")
    return folder


@pytest.fixture(scope="module")
def prepared(scans, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "set"
    return out, prepare(scans, out, shape=SHAPE)


def test_good_scans_become_a_data_set_and_bad_ones_are_reported(scans, prepared):
    out, report = prepared
    assert read_manifest(out) == report.skulls
    locations = who_is_who(scans, out)
    rows = {locations[s.name]: (s.split, s.quality, s.source) for s in report.skulls}
    codes = {location: name for name, location in locations.items()}
    assert rows == {
        "deep/ct.nii.gz": ("train", 6, f"scan of {codes['deep/ct.nii.gz']}"),
        "mesh ü.stl": ("unlabelled", None, f"scan of {codes['mesh ü.stl']}"),
    }
    assert list(report.problems) == [codes["cut.nii.gz"]]
    assert "cut short" in str(report) and "1 without a quality score" in str(report)
    assert SkullSet(out, "unlabelled")[0][0].shape == (1, *SHAPE)


def test_the_stored_transform_takes_the_scan_back_to_its_pose(scans, prepared):
    out, report = prepared
    (skull,) = [s for s in report.skulls if s.split == "unlabelled"]
    entry = json.loads((out / "volumes" / f"{skull.name}.json").read_text("utf-8"))
    mesh = read_mesh(scans / "mesh ü.stl")
    moved = apply(np.array(entry["scan to skull frame"]), mesh.points)
    truth = apply(np.linalg.inv(POSE), mesh.points)
    assert np.linalg.norm(moved - truth, axis=1).mean() < 5  # see `register`
    bone = SkullSet(out, "unlabelled").occupancy(0)
    assert (bone & is_bone(phantom_skull(1, 5, SHAPE))).sum() > 0.4 * bone.sum()


def test_finished_scans_are_kept_and_other_settings_refused(scans, prepared):
    out, _ = prepared
    before = {p: p.stat().st_mtime_ns for p in (out / "volumes").iterdir()}
    prepare(scans, out, shape=SHAPE)
    assert before == {p: p.stat().st_mtime_ns for p in (out / "volumes").iterdir()}
    with pytest.raises(SkfmError, match="threshold is 200.0 there, 300.0 here"):
        prepare(scans, out, shape=SHAPE, threshold=300.0)


def test_the_report_shows_every_skull_and_what_was_skipped(scans, prepared):
    out, report = prepared
    page = (out / "report.html").read_text("utf-8")
    for skull in report.skulls:
        assert f'<img src="pictures/{skull.name}.png"' in page
        content = (out / "pictures" / f"{skull.name}.png").read_bytes()
        assert content.startswith(b"\x89PNG") and len(content) > 5000
        assert report.records[skull.name]["what it shows"] in page
    (why,) = report.problems.values()
    assert f"<li>{why}" in page and "cut.nii.gz" not in page
    assert "<li>2 × texts, tables and documents" in page
    assert page.index("Left out") < page.index("Problems") < page.index("<figure")
    with (out / "report.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["result"] for row in rows[:2]] == ["left out", "problem"]
    assert {row["proposed"] for row in rows[2:]} == {"5", "6"}
    assert sum(int(row["files"]) for row in rows) == report.total == 5
    text = str(report)
    assert ", from 2 of 5 files" in text
    assert text.index("2 × texts") < text.index("Problems:") < text.index("Pictures")


def test_the_label_of_a_segmentation_is_part_of_the_stamp(tmp_path, monkeypatch):
    image, jobs = ct(3, 5) > 0, []
    image += 2 * sitk.BinaryDilate(image, [2, 2, 2]) - 2 * image
    (tmp_path / "in").mkdir()
    sitk.WriteImage(image, str(tmp_path / "in" / "a.nii.gz"))

    def caught(found, *_):
        jobs.extend(found)
        raise SkfmError("caught")

    monkeypatch.setattr("skfm_lib.prepare.pipeline.run_jobs", caught)
    for label in ("", "1", "1", "2"):
        with pytest.raises(SkfmError, match="caught"):
            prepare(tmp_path / "in", tmp_path / "out", shape=SHAPE, label=label)
    assert [job.label for job in jobs] == ["", "1", "1", "2"]
    stamps = [job.stamp for job in jobs]
    assert stamps[1] == stamps[2] and len(set(stamps)) == 3
    with pytest.raises(SkfmError, match="labels: 2: .* ml, 1: .* ml; .*--label NAME"):
        read_surface(jobs[0].source, 200.0, jobs[0].label)
    mesh, notes, _ = read_surface(jobs[1].source, 200.0, jobs[1].label)
    assert notes[0] == "label 1 of 2" and mesh.n_points > 1000


def test_a_long_list_of_problems_is_shortened():
    problems = {f"p{n}": f"p{n}: damaged" for n in range(10_000)}
    report = Report(Path("out"), problems, Counter({"pictures": 90_000}), Counter())
    lines = str(report).splitlines()
    assert len(lines) < 30 and "  90,000 × pictures" in lines
    assert "  and 9,980 more, in report.csv" in lines


def test_names_are_of_what_was_made(scans, prepared, tmp_path):
    out, report = prepared
    made = {skull.name for skull in report.skulls} | set(report.problems)
    assert set(who_is_who(scans, out)) == made
    with pytest.raises(SkfmError, match="nothing is prepared in .*none yet; .*next: "):
        who_is_who(scans, tmp_path / "none")
    assert not list(tmp_path.iterdir())
    empty = tmp_path / "empty"
    write_mesh(empty / "other.stl", pv.Sphere())
    assert set(who_is_who(empty, out).values()) == {""}  # those scans are not there


def test_an_expert_corrects_the_proposed_scores(scans, prepared):
    out, report = prepared
    (mesh,) = [s.name for s in report.skulls if s.split == "unlabelled"]
    table = (out / "labels.csv").read_text("utf-8")
    assert f"{mesh},,5,cap whole, orbits whole" in table.replace('"', "")
    accepted = prepare(scans, out, shape=SHAPE, accept=True)
    assert {s.name: s.quality for s in accepted.skulls}[mesh] == 5
    assert not accepted.new
    (out / "labels.csv").write_text(f"name,quality\n{mesh},4\n", "utf-8")
    again = prepare(scans, out, shape=SHAPE, accept=True)
    assert {s.name: s.quality for s in again.skulls}[mesh] == 4
    assert f"{mesh},4,5" in (out / "labels.csv").read_text("utf-8")
    (out / "labels.csv").write_text(f"name,quality\n{mesh},0\n", "utf-8")
    others = prepare(scans, out, shape=SHAPE)
    assert mesh not in [s.name for s in others.skulls]
    assert others.left_out[DISCARDED] == 1 and others.total == 5
    zeros = "".join(f"{skull.name},0\n" for skull in report.skulls)
    (out / "labels.csv").write_text(f"name,quality\n{zeros}", "utf-8")
    with pytest.raises(SkfmError, match="all 2 skulls are scored 0"):
        prepare(scans, out, shape=SHAPE)
    assert read_manifest(out) == []
    (out / "labels.csv").write_text(table, "utf-8")


def test_a_data_set_without_its_salt_is_not_gone_on_with(scans, prepared):
    salt = salt_path(prepared[0])
    kept = salt.read_text()
    salt.unlink()
    with pytest.raises(SkfmError, match=r"set.salt is missing"):
        prepare(scans, prepared[0], shape=SHAPE)
    salt.write_text(kept)


def test_a_changed_scan_is_done_anew(tmp_path):
    (tmp_path / "in").mkdir()
    stamps = set()
    for seed in (1, 3):
        write_mesh(tmp_path / "in" / "a.ply", skull(seed, 4))
        report = prepare(tmp_path / "in", tmp_path / "out", SHAPE, keep_names=True)
        record = tmp_path / "out" / "volumes" / "a.json"
        stamps.add(json.loads(record.read_text("utf-8"))["stamp"])
        assert [s.name for s in report.skulls] == ["a"]
    assert len(stamps) == 2


def test_a_prepared_skull_is_not_made_thicker(tmp_path):
    """Its fractions and pose are kept on its grid; elsewhere it is a scan."""
    shape = scaled_shape(1 / 8)
    bone, grid = phantom_skull(1, 5, shape), skull_grid(shape)
    write_volume(tmp_path / "in" / "a.nii.gz", bone, grid)
    moved = replace(grid, origin=tuple(o + 5.0 for o in grid.origin))
    write_volume(tmp_path / "in" / "b.nii.gz", bone, moved)
    out = tmp_path / "out"
    report = prepare(tmp_path / "in", out, shape, keep_names=True)
    volumes = {n: read_volume(out / "volumes" / f"{n}.nii.gz") for n in ("a", "b")}
    kept, made = (as_fraction(volumes[name][0]) for name in ("a", "b"))
    assert volumes["a"][1] == grid and np.array_equal(kept, as_fraction(bone))
    assert made.sum() > 1.1 * kept.sum()  # the surface encloses more
    a, b = (report.records[name] for name in ("a", "b"))
    assert np.array_equal(a[TRANSFORM], np.eye(4)) and b[TRANSFORM][0][3] < -2
    assert KEPT in a["checks"] and KEPT not in b["checks"]


def test_what_an_earlier_version_made_is_made_anew(tmp_path):
    def job(stamp: str) -> Job:
        return Job(Source("a", (), "a"), tmp_path / "a.nii.gz", SHAPE, 200.0, stamp)

    record = {"stamp": "s", "checks": "ok"}
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "a.json").write_text(json.dumps(record))
    assert not finished(job("s"))
    record |= {COVERAGE: 1.0}
    (tmp_path / "a.json").write_text(json.dumps(record))
    assert finished(job("s")) == record
    assert not finished(job("other"))


def test_a_threshold_of_its_own(scans, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("name,quality,threshold\ndeep/ct.nii.gz,,1200\n", "utf-8")
    report = prepare(
        scans, tmp_path / "out", SHAPE, labels=table, keep_names=True, workers=1
    )
    assert [s.name for s in report.skulls] == ["mesh ü"]
    assert "no voxel above 1200 HU" in report.problems["ct"]


def test_strict_raises_at_the_first_bad_scan(scans, tmp_path, monkeypatch):
    own_sandboxes(monkeypatch)  # which are ended while they work
    with pytest.raises(SkfmError, match="cannot be read .the file is cut short"):
        prepare(scans, tmp_path / "out", shape=SHAPE, strict=True)
    assert not (tmp_path / "out" / "manifest.csv").exists()
    assert "cut.nii.gz" in who_is_who(scans, tmp_path / "out").values()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,quality\nct,1\n", "line 2: quality '1'"),
        ("name,quality\nct,7\n", "line 2: quality '7'"),
        ("name,quality\nct,\n", "line 2: no quality"),
        ("name,quality,threshold\nct,,high\n", "line 2: threshold 'high'"),
        ("name,quality\nother,3\n", "line 2: 0 scans have that name"),
        ("name,quality\nct,3\ndeep/ct.nii.gz,3\n", "line 3: a scan labelled twice"),
        ("id,qs\nct,3\n", "columns"),
        ("", "columns"),
    ],
)
def test_bad_labels_stop_before_any_work(scans, tmp_path, table, message):
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(SkfmError, match=message):
        prepare(scans, tmp_path / "out", labels=tmp_path / "labels.csv")
    assert not (tmp_path / "out").exists()


def test_a_table_of_another_encoding_is_said(scans, tmp_path):
    (tmp_path / "labels.csv").write_bytes("name,quality\nMüller,3\n".encode("cp1252"))
    with pytest.raises(SkfmError, match="labels.csv cannot be read.*next: save it as"):
        prepare(scans, tmp_path / "out", labels=tmp_path / "labels.csv")


def test_folders_without_usable_scans(tmp_path):
    with pytest.raises(SkfmError, match="none does not exist"):
        prepare(tmp_path / "none", tmp_path / "out")
    with pytest.raises(SkfmError, match="holds no scans"):
        prepare(tmp_path, tmp_path / "out")
    with pytest.raises(SkfmError, match="is the folder of the scans"):
        prepare(tmp_path, tmp_path)
    (tmp_path / "empty.stl").write_bytes(b"")
    with pytest.raises(
        SkfmError, match="the only scan could not be used .*it is empty"
    ):
        prepare(tmp_path, tmp_path / "out")
    (name,) = who_is_who(tmp_path, tmp_path / "out")
    assert name in (tmp_path / "out" / "report.html").read_text("utf-8")
    (other := tmp_path / "other").mkdir()
    (other / "cut.ply").write_bytes(b"ply")
    with pytest.raises(
        SkfmError, match="the only scan could not be used .*its header has no end"
    ):
        prepare(other, tmp_path / "out")  # nothing was there that it could harm


def test_messages_of_a_relative_folder_are_left_in_one_piece(tmp_path, monkeypatch):
    """With the folder called "in", only paths are replaced, not the "in" of "again"."""
    monkeypatch.chdir(tmp_path)
    folder = Path("in")
    (folder / "it").mkdir(parents=True)
    (folder / "it" / "again.stl").touch()
    (folder / "it.zip").write_bytes(b"PK")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("in/again/it.stl", b"")
    with pytest.raises(SkfmError, match="none of the 3 scans could be used"):
        prepare(folder, Path("out"))
    paths = who_is_who(folder, Path("out"))
    with Path("out/report.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    said = {paths[row["name"]]: (row["name"], row["checks"]) for row in rows}
    end = "file; next: copy or export it again"
    for path, why, kind in (
        ("it/again.stl", "it is empty", ".stl"),
        ("a.zip/in/again/it.stl", "it is empty", ".stl"),
        ("it.zip", "it is damaged", ".zip"),
    ):
        name, text = said[path]
        assert text == f"{name} cannot be read ({why}); expected a whole {kind} {end}"


def test_two_files_of_one_name(tmp_path):
    for name in ("a.stl", "a.nii.gz"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SkfmError, match="names are of several scans, such as a;"):
        prepare(tmp_path, tmp_path / "out", keep_names=True)


def test_an_output_that_cannot_be_written_is_said_at_once(scans, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SkfmError, match="out.settings.json could not be written"):
        prepare(scans, tmp_path / "out")
    if os.geteuid():  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(SkfmError, match="out.salt could not be written"):
            prepare(scans, tmp_path / "locked" / "out")


def test_a_full_disk_is_said_and_leaves_no_half_file(scans, tmp_path):
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (250, 250))

    one = str(scans / "deep" / "ct.nii.gz")
    words = ["prepare", one, "--out", str(tmp_path / "out"), "--preset", "tiny"]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from skfm_lib.cli.main import main; exit(main({words}))",
        ],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    for path in (tmp_path / "out").rglob("*.gz"):  # small enough, and whole
        gzip.decompress(path.read_bytes())


@pytest.mark.skipif(sys.platform == "win32", reason="other signals there")
def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    scans, out = tmp_path / "scans", tmp_path / "set"
    scans.mkdir()
    for i in range(3):
        write_mesh(scans / f"{i}.stl", skull(i, 5))
    words = ["prepare", str(scans), "--out", str(out), "--preset", "tiny"]
    command = [sys.executable, "-m", "skfm_lib", *words]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    # In a shell's background SIGINT is ignored, and so it would be here.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    running = subprocess.Popen(
        command, start_new_session=True, preexec_fn=heard, **pipes
    )
    deadline = time.monotonic() + 120
    while not list(out.glob("pictures/[!.]*.png")) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert stderr.strip().endswith("skfm: interrupted; the same command resumes")
    assert all_ended(running.pid)
    whole = {p: p.stat().st_mtime_ns for p in out.glob("pictures/[!.]*.png")}
    assert 1 <= len(whole) < 3 and not (out / "manifest.csv").exists()
    killed = out / "volumes" / f".{running.pid}-half.nii.gz"
    killed.write_bytes(b"half")  # as if a process had been killed while writing
    alive = out / "volumes" / f".{os.getpid()}-half.nii.gz"
    alive.write_bytes(b"half")
    assert main.main([*words, "--workers", "1"]) == 0
    assert len(read_manifest(out)) == 3
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    assert list(out.glob("*/.[0-9]*-*")) == [alive]


def all_ended(group: int, seconds: float = 10.0) -> bool:
    """Whether no process of a group is left, soon."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_mesh_in_lps_is_turned():
    truth = skull(3, 4)
    turned = truth.rotate_z(180)
    registration = register(turned)
    assert registration.matrix[0, 0] < 0
    away = np.linalg.norm(registration.mesh.points - truth.points, axis=1)
    assert away.mean() < 5
    grid = skull_grid(SHAPE)
    about = bone_voxels(registration.mesh, grid), grid
    assert "half a turn" in " ".join(_checks(registration, *about))
    large = replace(registration, shape=np.array([-6.2, 0.3]))
    assert "size or shape 6 deviations" in " ".join(_checks(large, *about))
    assert "size or shape" not in " ".join(_checks(registration, *about))


def test_what_is_no_skull_is_refused():
    with pytest.raises(SkfmError, match="is there"):
        register(pv.Box((-70, 70, -90, 90, -80, 80)).triangulate().subdivide(4))


@needs_cranium
def test_a_real_head(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / CRANIUM.name).symlink_to(CRANIUM)
    report = prepare(tmp_path / "in", tmp_path / "out")
    assert report.skulls[0].checks == "touches lower border"
    items = SkullSet(tmp_path / "out", "unlabelled")
    points = items.grid.to_mm(np.argwhere(items.occupancy(0)))
    x, y, z = points.T
    assert abs(x.min() + x.max()) < 10 and np.ptp(x) < 160  # no holder
    assert 110 < z.max() < 130 and -75 < z.min() < -35  # ends at the upper teeth
    forehead = (y > 70) & (z > 50) & (z < 80)
    assert (x[forehead] > 15).sum() < 0.8 * (x[forehead] < -15).sum()  # defect: right
