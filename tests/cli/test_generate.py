"""`skfm generate`: by the packed model or a run, and errors of one line each."""

import csv
import errno
import os

import numpy as np
import pytest

from skfm_lib import generate, generation
from skfm_lib.cli.main import main
from skfm_lib.data.io.meshes import in_millimetres, read_mesh
from skfm_lib.data.io.volumes import read_volume
from skfm_lib.reference_model import package
from skfm_lib.utils.errors import SkfmError


def says(capsys, line):
    """What a failing command says: one line on stderr, behind what it had begun."""
    assert main(line.split()) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("skfm: ")
    return last


@pytest.fixture
def unpictured(monkeypatch):
    """Rendering takes longest."""
    skip = lambda folder, summary: folder / "index.html"  # noqa: E731
    monkeypatch.setattr("skfm_lib.view.gallery.write_pages", skip)


def rows(folder):
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_without_a_run_the_packed_model_generates(project, packed, capsys):
    assert main("generate --qs 5 --count 2 --out skulls --mesh glb".split()) == 0
    told = capsys.readouterr().out
    assert "Packed model of 2026-12-01, preset tiny: trained on 6 phantom" in told
    assert "2 skulls in skulls; of 2 drawn," in told
    assert "next: open skulls/index.html in a browser" in told
    folder = project / "skulls"
    for name in ("sheet.png", "index.html", "settings.json"):
        assert (folder / name).stat().st_size > 100
    first, second = rows(folder)
    assert first["quality"] == "5" and first["seed"] != second["seed"]
    assert first["screening"] in ("passed", "failed")
    assert (first["checks"] == "ok") == (first["screening"] == "passed")
    volume, grid = read_volume(folder / first["file"])
    assert grid.spacing == pytest.approx(8.16)
    mesh, note = in_millimetres(read_mesh(folder / "meshes/ours-qs5-0001.glb"))
    low, high = grid.to_mm(np.array([[-1, -1, -1], volume.shape]))
    assert (mesh.points >= low - 1e-2).all() and (mesh.points <= high + 1e-2).all()
    assert not (project / "runs").exists()


def test_in_python_it_is_the_same_skull(project, packed, unpictured):
    assert main("generate --qs 4 --count 2 --seed 3 --out x --mesh none".split()) == 0
    skulls = generate(quality=4, count=2, seed=3)
    for number, skull in enumerate(skulls, 1):
        volume, grid = read_volume(project / f"x/volumes/ours-qs4-{number:04d}.nii.gz")
        assert skull.grid == grid and skull.quality == 4
        apart = np.abs(skull.volume.astype(int) - volume)
        assert apart.mean() < 1  # of 255; batches round differently
        assert skull.mesh().n_cells > 100
    assert [str(skull.seed) for skull in skulls] == [
        r["seed"] for r in rows(project / "x")
    ]
    assert not (project / "x/meshes").exists()
    assert "volume" not in repr(skulls[0])


@pytest.mark.parametrize(
    ("given", "found"),
    [({"quality": 7}, "quality 7; expected 2, 3, 4"), ({"count": 0}, "count 0")],
)
def test_in_python_what_is_wrong_is_named(packed, given, found):
    with pytest.raises(SkfmError, match=found):
        generate(**given)


def test_a_mix_has_the_scores_of_the_paper(project, packed, unpictured):
    assert main("generate --mix paper --count 6 --out x --mesh none".split()) == 0
    scores = [int(row["quality"]) for row in rows(project / "x")]
    assert scores == [2, 2, 3, 3, 4, 5]


@pytest.fixture
def handed_on(monkeypatch):
    """The arguments of `generate_skulls` and the run that the model is of."""
    given = {}
    runs = lambda made, model: given.update(run=made.name, model=model)  # noqa: E731

    def stop(*all):
        given["arguments"] = all
        raise SkfmError("enough")

    monkeypatch.setattr(generation, "load_generator", runs)
    monkeypatch.setattr(generation, "generate_skulls", stop)
    return given


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("", None),
        ("--vault whole", "whole"),
        ("--field-of-view -70 110.5", (-70.0, 110.5)),
    ],
)
def test_a_field_of_view_is_handed_on(words, asked, project, handed_on):
    assert main(f"generate --qs 4 --out x --preset tiny {words}".split()) == 1
    assert handed_on["arguments"][-2:] == (asked, None)


@pytest.mark.parametrize(
    ("words", "run", "model"),
    [
        ("--preset tiny", "tiny", "ours"),
        ("--model ddpm", "quick", "ddpm"),
        ("--run-seed 4", "quick-seed4", "ours"),
        ("--run mine --preset tiny", "mine", "ours"),
    ],
)
def test_what_only_a_run_has_is_taken_from_one(
    words, run, model, project, packed, handed_on
):
    assert main(f"generate --qs 4 --out x {words}".split()) == 1
    assert (handed_on["run"], handed_on["model"]) == (run, model)


def test_without_a_packed_model_the_run_quick_generates(
    project, monkeypatch, tmp_path, handed_on
):
    monkeypatch.delenv("SKFM_WEIGHTS", raising=False)
    monkeypatch.setattr(package, "FOLDER", tmp_path)
    assert main("generate --qs 4 --out x".split()) == 1
    assert handed_on["run"] == "quick"


def test_what_is_missing_is_named_with_the_next_command(project, monkeypatch, capsys):
    monkeypatch.delenv("SKFM_WEIGHTS", raising=False)
    monkeypatch.setattr(package, "FOLDER", project)
    line = says(capsys, "generate --qs 5 --out x")
    assert line.endswith("next: skfm run 01 02 17 --run quick --preset quick --seed 0")
    line = says(capsys, "generate --qs 5 --out x --run gone")
    assert "no run 'gone'" in line
    line = says(capsys, "generate --qs 5 --out x --run new --preset tiny --screen")
    assert "there is no finished 07_failures; next: skfm run" in line
    assert "no run 'gone'" in says(capsys, "pack --run gone")
    assert not (project / "x").exists()


def test_bad_input_is_one_line_and_nothing_is_lost(project, packed, unpictured, capsys):
    assert "--count 0; expected at least 1" in says(
        capsys, "generate --qs 5 --count 0 --out x"
    )
    assert not (project / "x").exists()
    assert main("generate --qs 5 --out x --mesh stl".split()) == 0
    before = {p: p.read_bytes() for p in (project / "x").rglob("*") if p.is_file()}
    line = says(capsys, "generate --qs 5 --out x --seed 1")
    assert "x holds another data set: seed is 0 there, 1 here" in line
    line = says(capsys, "generate --qs 4 --out x")
    assert "x holds 1 other skulls, such as ours-qs5-0001" in line
    line = says(capsys, "generate --qs 5 --out x --screen")
    assert "screened is not set there, True here" in line
    (packed / "denoiser.safetensors").write_bytes(b"damaged")
    line = says(capsys, "generate --qs 5 --count 3 --out x")
    assert f"{packed}/denoiser.safetensors is damaged or was altered" in line
    assert "next: install skfm again" in line
    assert before == {p: p.read_bytes() for p in before}


def test_a_full_disk_is_reported_and_the_same_command_goes_on(
    project, packed, unpictured, capsys, monkeypatch
):
    command, replace, done = "generate --qs 5 --count 3 --out x", os.replace, []

    def full(source, target):
        if str(target).endswith(".nii.gz"):
            done.append(target)
            if len(done) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        line = says(capsys, command)
    assert "could not be written" in line and "No space left on device" in line
    assert "next: free some space" in line
    assert [p.name for p in (project / "x/volumes").iterdir()] == [
        "ours-qs5-0001.nii.gz"
    ]
    assert main(command.split()) == 0
    assert len(list((project / "x/volumes").iterdir())) == 3
