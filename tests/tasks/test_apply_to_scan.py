"""A scan through the networks of a run: files that fit together, errors in words."""

import json

import numpy as np
import pytest
import torch
import trimesh

from skfm_lib.cli.main import main
from skfm_lib.data.bone_fractions import is_bone
from skfm_lib.data.io.meshes import read_mesh, write_mesh
from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.phantom_set import phantom_seed
from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.data.voxels import sample_surface, skull_grid, surface, voxelise
from skfm_lib.evaluation.real_scans import surface_distance
from skfm_lib.models import Aligner, PointAttN
from skfm_lib.presets.grid_sizes import PAPER_SPACING, scaled_shape
from skfm_lib.study import open_study
from skfm_lib.tasks import apply_to_scan, implant
from skfm_lib.tasks.skull_defects import cut_defect
from skfm_lib.training.checkpoints import save_weights


def chapter(study, name, group, network):
    """A finished chapter with an untrained network in its experiment."""
    settings = getattr(study.settings, group)
    chosen = {"set": "100% real", "seed": 0, group: settings.as_dict()}
    made = study.experiment(f"{name[:2]}_experiments", "100-real-0", chosen, ())
    save_weights(network(settings), made.folder / f"{group}.safetensors", {})
    made.finish(skulls=40)
    errors = {apply_to_scan.ERROR: {"mean": 9.0, "95 % below": 14.0}}
    study.stage(name, {}).finish(**{apply_to_scan.EXPERIMENT: made.name}, **errors)


@pytest.fixture
def study(warm, project):
    made = open_study("ward", "tiny")
    made.stage("01_preprocess", {}).finish(made_from="phantoms")
    chapter(made, "08_alignment", "aligner", Aligner)
    chapter(made, "09_completion", "completer", PointAttN)
    return made


@pytest.fixture
def scan(phantoms, tmp_path):
    """A mesh of a phantom (QS 5), 70 mm off its place."""
    mesh = phantoms.surface(4)
    path = tmp_path / "scan.ply"
    write_mesh(path, mesh.translate((70.0, 0.0, 0.0)))
    return path


def said(capsys, *words):
    """What a failing command says on stderr."""
    assert main([*map(str, words)]) == 1
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_an_aligned_skull_is_the_scan_moved_by_the_matrix(
    study, scan, tmp_path, capsys
):
    out = tmp_path / "out"
    assert main(["align", str(scan), "--out", str(out), "--run", "ward"]) == 0
    told = capsys.readouterr().out
    assert "40 phantom skulls" in told and "no medical device" in told
    matrix = np.loadtxt(out / "matrix.txt")
    moved, aligned = (
        apply(matrix, read_mesh(scan).points),
        read_mesh(out / "aligned.ply"),
    )
    assert np.allclose(np.sort(moved, 0), np.sort(aligned.points, 0), atol=1e-2)
    record = json.loads((out / "aligned.json").read_text(encoding="utf-8"))
    assert np.allclose(record["scan to skull frame"], matrix, atol=1e-5)
    assert "spread" in json.dumps(record) and "phantom" in record["trained on"]
    bone, grid = read_volume(out / "aligned.nii.gz")
    assert bone.shape == study.settings.vqvae.output_shape and bone.any()
    inside = grid.to_mm(np.argwhere(bone))  # an untrained aligner centres the skull
    assert np.abs(inside.mean(0)).max() < 12
    back = tmp_path / "back.ply"
    words = [out / "aligned.nii.gz", "--out", back, "--like", scan]
    assert main(["export", *map(str, words)]) == 0
    assert abs(read_mesh(back).points[:, 0].mean() - 70.0) < 8


def test_what_is_missing_comes_as_points_and_a_closed_mesh(
    study, scan, tmp_path, capsys, monkeypatch
):
    whole = read_mesh(scan).translate((-70.0, 0.0, 0.0))
    cloud = sample_surface(whole, 60_000, seed=0)
    monkeypatch.setattr(implant, "complete", lambda *_: torch.tensor(cloud)[None])
    placed = tmp_path / "placed.ply"
    write_mesh(placed, whole.clip("x", origin=(45, 0, 0), invert=True).triangulate())
    out = tmp_path / "filled"
    words = ["complete", str(placed), "--out", str(out), "--run", "ward", "--aligned"]
    assert main([*words, "--near", "60", "0", "40"]) == 0
    assert (out / "implant.ply").is_file()
    assert main([*words, "--near", "-500", "0", "0"]) == 0  # all is there
    assert "Nothing is missing" in capsys.readouterr().out
    assert not (out / "implant.ply").exists()
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "points are missing" in told and "no medical device" in told
    assert np.allclose(trimesh.load(out / "completed.ply").vertices, cloud, atol=1e-3)
    made = trimesh.load(out / "implant.ply")
    assert made.is_watertight and made.volume > 0
    record = json.loads((out / "implant.json").read_text(encoding="utf-8"))
    assert np.allclose(record["scan to skull frame"], np.eye(4))
    assert record["kind"] == "implant"  # for DICOM segmentations


def test_the_shape_model_completes_without_a_network(project, tmp_path, capsys):
    seed, shape = phantom_seed(0, "test", 5, 0), scaled_shape(PAPER_SPACING / 2.0)
    grid = skull_grid(shape)
    bone = is_bone(phantom_skull(seed, 5, shape))
    removed = cut_defect(bone, "parietotemporal", grid, seed)
    place = grid.to_mm(np.argwhere(removed)).mean(axis=0)
    placed, out = tmp_path / "placed.ply", tmp_path / "filled"
    write_mesh(placed, surface(bone & ~removed, grid, 0.5))
    words = ["complete", str(placed), "--out", str(out), "--aligned"]
    words += ["--by", "shape-model"]
    assert main([*words, "--near", *map(str, place)]) == 0
    told = capsys.readouterr().out
    assert "no network" in told and "no medical device" in told
    made = voxelise(read_mesh(out / "implant.ply"), grid)
    assert 2 * (made & removed).sum() / (made.sum() + removed.sum()) > 0.6
    line = said(capsys, *words, "--run", "ward")
    assert "--by shape-model with --run ward; expected a run is of a network" in line


def test_a_skull_is_aligned_before_it_is_completed(study, scan, tmp_path, capsys):
    out = tmp_path / "filled"
    assert main(["complete", str(scan), "--out", str(out), "--run", "ward"]) == 0
    record = json.loads((out / "implant.json").read_text(encoding="utf-8"))
    shift = np.array(record["scan to skull frame"])[:3, 3]
    assert shift[0] == pytest.approx(-70, abs=5)
    assert len(trimesh.load(out / "completed.ply").vertices) == implant.CLOUD


def test_what_is_wrong_is_said_in_one_line(study, scan, tmp_path, capsys):
    out = tmp_path / "out"
    line = said(capsys, "align", scan, "--out", out, "--run", "gone")
    assert "no run 'gone'; expected ward" in line
    line = said(capsys, "align", tmp_path / "none.stl", "--out", out, "--run", "ward")
    assert "none.stl does not exist" in line
    (tmp_path / "two").mkdir()
    for name in ("a.ply", "b.ply"):
        (tmp_path / "two" / name).write_bytes(scan.read_bytes())
    line = said(capsys, "complete", tmp_path / "two", "--out", out, "--run", "ward")
    assert "2 scans; expected one scan" in line
    open_study("young", "tiny").stage("01_preprocess", {}).finish()
    line = said(capsys, "complete", scan, "--out", out, "--run", "young")
    assert "no finished 09_completion" in line and "skfm run 09 --run young" in line
    assert not out.exists()


def test_a_volume_is_read_like_a_mesh(study, phantoms, tmp_path):
    path = tmp_path / "mask.nii.gz"
    write_volume(path, phantoms.occupancy(4), phantoms.grid)
    mesh = apply_to_scan.read_one(path, 200.0).mesh
    middle = phantoms.surface(4).points.mean(0)
    assert np.abs(mesh.points.mean(0) - middle).max() < 8


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_the_projects_own_volumes_are_read_as_they_are(phantoms, tmp_path, suffix):
    path = tmp_path / f"skull{suffix}"
    write_volume(path, phantoms.volume(4), phantoms.grid)
    mesh = apply_to_scan.read_one(path, 200.0).mesh
    assert surface_distance(mesh, phantoms.surface(4)) < 1e-3  # mm
