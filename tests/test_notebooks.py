"""The notebooks, run in sequence at preset tiny in a project of their own."""

import base64
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest
from forked_kernels import forked_kernels
from heads import CRANIOTOMY, CRANIUM, needs_cranium

from skfm_lib.cli.main import main
from skfm_lib.evaluation import table1
from skfm_lib.evaluation.levers import shares, trainings
from skfm_lib.evaluation.levers.parameters import plan_of
from skfm_lib.evaluation.privacy import shares as privacy_shares
from skfm_lib.evaluation.privacy import trainings as privacy_trainings
from skfm_lib.evaluation.privacy.plan import plan_of as privacy_plan
from skfm_lib.study import open_study
from skfm_lib.utils.files import read_json

ROOT = Path(__file__).parents[1]
SOURCES = {path.stem[:2]: path for path in sorted(ROOT.glob("notebooks/*.ipynb"))}
STAGES = {
    "01": "01_preprocess",
    "02": "02_train_vqvae",
    "03": "03_train_otfm",
    "04": "04_train_ddpm",
    "17": "17_train_ours",
    "05": "05_generate",
    "06": "06_metrics",
    "07": "07_failures",
}
LEVERS = ["average", "autoguidance 2"]  # of chapter 18
# Training sets of chapters 08 and 09, one of them scarce, and a control.
SETS = ["100% real", "100% real + 25% OTFM", "8 real", "blurred"]
SHORT = {  # parameters
    "04": {"steps": "20"},
    "06": {"pairs": "50"},
    "07": {"classifier_steps": "50", "doses": "[100]", "worst": "2"},
}
FIGURES = {"01": 6, "02": 3, "03": 3, "04": 3, "17": 3, "05": 3, "06": 1, "07": 4}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with copies of the notebooks; its runs/ is the test's own."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SKFM_HEADS", str(folder / "none"))  # whatever this machine has
        with forked_kernels():
            yield folder


@pytest.fixture(scope="module")
def study(project):
    """The chapters of a study up to 07 run once, in order."""
    for number in STAGES:
        given = SHORT.get(number, {})
        assert main(["run", number, "--preset", "tiny", *options(given)]) == 0
    return open_study("tiny", "tiny")


def options(parameters):
    """A chapter's parameters as words of the command line."""
    return [word for name, text in parameters.items() for word in ("-p", name, text)]


def record(study, number):
    path = study.folder / "notebooks" / SOURCES[number].name
    return nbformat.read(path, as_version=4)


def outputs(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [output for cell in cells for output in cell.outputs]


def pictures(notebook):
    data = [output.get("data", {}) for output in outputs(notebook)]
    return [base64.b64decode(d["image/png"]) for d in data if "image/png" in d]


def papermill():
    """The command."""
    return Path(sys.executable).with_name("papermill")


def times(folder):
    """When each file of a folder was written."""
    return {p.name: p.stat().st_mtime_ns for p in folder.iterdir() if p.is_file()}


@pytest.mark.parametrize("path", SOURCES.values(), ids=SOURCES)
def test_sources_are_clean_and_take_parameters(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.cells[0].source.startswith("# ")
    assert not outputs(notebook) and {cell.execution_count for cell in code} == {None}
    tagged = [c for c in code if "parameters" in c.metadata.get("tags", [])]
    assert tagged == code[:1]
    names = [line.split(":")[0] for line in tagged[0].source.splitlines()]
    assert names[:3] == ["preset", "run", "seed"]
    assert 'preset: str = "quick"' in tagged[0].source


def test_training_before_its_input_names_the_command(project, capfd):
    # In a run of its own, so that the order of the tests does not matter.
    words = ["run", "03", "--preset", "tiny", "--run", "early"]
    assert main(words) == 1
    line = capfd.readouterr().err.strip().splitlines()[-1]
    assert "next: skfm run 01 02 --run early --preset tiny" in line
    assert "Traceback" not in line
    assert not (project / "runs" / "early" / "03_train_otfm").exists()


def test_plain_papermill_checks_parameters_too(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    words = ["notebooks/03_train_otfm.ipynb", "out.ipynb", "-p", "steps", "abc"]
    done = subprocess.run(
        [papermill(), *words, "-p", "preset", "tiny"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("skfm: steps = 'abc'; expected a whole number of at least 1")
    assert not (tmp_path / "runs").exists()
    notebook = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    (failure,) = [o for o in outputs(notebook) if o.output_type == "error"]
    assert len(failure.traceback) == 1  # no trace of the library's inside


def test_the_flow_trains_in_a_kernel_on_another_device(study, project, tmp_path):
    # The kernel's start-up makes the device; see test_foreign_device.py.
    folder, startup = tmp_path / "project", tmp_path / "ipython/profile_default/startup"
    shutil.copytree(project, folder)
    startup.mkdir(parents=True)
    code = "import foreign\n_device = foreign.active()\n_device.__enter__()\n"
    (startup / "device.py").write_text(code, encoding="utf-8")
    environment = {
        **os.environ,
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PYTHONPATH": str(ROOT / "tests" / "helpers"),
        "SKFM_DEVICE": "foreign",
    }
    words = ["-p", "preset", "tiny", "-p", "steps", "5"]
    done = subprocess.run(
        [papermill(), "notebooks/03_train_otfm.ipynb", "out.ipynb", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    stage = read_json(folder / "runs/tiny/03_train_otfm/done.json")
    assert stage["device"] == "foreign:0, bfloat16"
    assert stage["settings"]["denoiser"]["steps"] == 5


def test_every_stage_is_done(study):
    for name in STAGES.values():
        done = read_json(study.folder / name / "done.json")
        assert done["results"] and done["seconds"] > 0
        assert study.finished(name).fingerprint == done["fingerprint"]
    assert not list(study.folder.glob("*.????????????????"))  # nothing set aside


@pytest.mark.parametrize("number", STAGES)
def test_records_hold_figures_and_no_errors(study, number):
    notebook = record(study, number)
    kinds = {output.output_type for output in outputs(notebook)}
    assert "error" not in kinds
    found = pictures(notebook)
    assert len(found) == FIGURES[number]
    assert all(len(picture) > 3000 for picture in found)  # an empty page has less
    text = json.dumps(notebook)
    assert "Made by stage" in text and "application/vnd.jupyter.widget" not in text
    assert notebook.metadata.papermill.exception is None


def test_chapter_1_without_real_heads_says_what_is_missing(study):
    text = json.dumps(outputs(record(study, "01")), ensure_ascii=False)
    assert "no real heads are compared" in text and "no test head" in text
    assert "howells1973" in text and "participation ratio" in text


@pytest.mark.parametrize("number", STAGES)
def test_progress_leaves_one_line_not_hundreds(study, number):
    streams = [o.text for o in outputs(record(study, number)) if "text" in o]
    assert sum(len(text.splitlines()) for text in streams) < 40


def test_results_are_possible_values(study):
    results = {name: study.finished(name).results for name in STAGES.values()}
    first = results["02_train_vqvae"]
    assert 0 < first["error"] < 2 and 0 <= first["worst_dice"] <= first["dice"] <= 1
    assert 1 <= first["codes_used"] <= study.settings.vqvae.codes
    for name in ("03_train_otfm", "04_train_ddpm", "17_train_ours"):
        assert all(0 < value < 10 for value in results[name]["loss"])
    rows = results["06_metrics"]
    assert set(rows) == {"ref", "DDPM", "OTFM", "ours"}
    fid = {name: row["FID ↓"]["value"] for name, row in rows.items()}
    assert fid["ref"] < min(fid["DDPM"], fid["OTFM"])
    rows = results["07_failures"]
    assert set(rows) == {"held out", "autoencoder", "DDPM", "OTFM", "ours"}
    shares = [row["failed generations"]["value"] for row in rows.values()]
    assert shares[0] < min(shares[2:]) <= 1  # networks that hardly learned


def test_a_second_run_skips_training_and_gives_the_same(study):
    stage = study.folder / "02_train_vqvae"
    before = times(stage)
    latents = times(stage / "latents")
    former = pictures(record(study, "02"))
    weights = (stage / "vqvae.safetensors").read_bytes()
    assert main(["run", "02", "--preset", "tiny"]) == 0
    again = record(study, "02")
    assert "is finished: kept" in json.dumps(again)
    assert "VQ-VAE  " not in json.dumps(again)  # no line of training
    for name in ("checkpoint.pt", "done.json"):
        assert times(stage)[name] == before[name]
    assert (stage / "vqvae.safetensors").read_bytes() == weights
    assert latents == {
        p.name: p.stat().st_mtime_ns for p in (stage / "latents").iterdir()
    }
    assert pictures(again) == former


@pytest.mark.skipif("11" not in SOURCES, reason="there is no notebook 11")
@needs_cranium
def test_real_heads_are_prepared_reconstructed_and_put_back(study, tmp_path):
    heads = [path for path in (CRANIUM, CRANIOTOMY) if path.is_file()]
    for path in heads:
        shutil.copy(path, tmp_path)
    given = ["--preset", "tiny", "-p", "scans", str(tmp_path)]
    assert main(["run", "11", *given]) == 0
    notebook = record(study, "11")
    assert "error" not in {output.output_type for output in outputs(notebook)}
    assert len(pictures(notebook)) == 3
    text = json.dumps(notebook)
    assert "test head | yes" in text and "no: `skfm sample plastic`" in text
    rows = study.finished("11_real_scan").results
    assert list(rows) == ["cranium", "craniotomy"][: len(heads)]
    for row in rows.values():
        assert 0 < row["Dice"] <= 1 and 0 < row["reconstruction error"] < 2
        # In the scan's own frame only the voxels of 8 mm are between skull and bone.
        assert row["prepared skull, mm"] < min(3, row["reconstruction, mm"])


def test_benchmarks_at_a_small_size(project):
    small = {"size": "0.0625", "rounds": "1", "seconds": "0", "peers": "false"}
    words = ["run", "12", "--preset", "tiny", "--run", "speed", *options(small)]
    assert main(words) == 0
    study = open_study("speed", "tiny")
    notebook = record(study, "12")
    assert "error" not in {output.output_type for output in outputs(notebook)}
    assert "pip install" in json.dumps(outputs(notebook))  # how to have the peers
    measured = study.finished("12_benchmarks").results
    assert set(measured["vqvae_step"]) == set(measured["unet_step"]) == {"skfm"}
    assert measured["nearest"]["skfm"]["wrong codes"] == "0 of 176"
    assert set(measured["aligner_step"]) == set(measured["completer_step"]) == {"skfm"}
    for row in measured["paper_size"].values():
        median, low, high = row["× floor"].values()
        assert 0 < low <= median <= high and row["TFLOP"] > 0


def test_ablations_are_trained_and_judged(study):
    words = ["--preset", "tiny", "-p", "steps", "3"]
    assert main(["run", "10", *words]) == 0
    notebook = record(study, "10")
    assert "error" not in {output.output_type for output in outputs(notebook)}
    found = pictures(notebook)
    assert len(found) == 2 and all(len(picture) > 3000 for picture in found)
    rows = study.finished("10_ablations").results
    assert len(rows) == 10 and "LPIPS" not in "".join(rows)  # no weights were given
    assert "the study's own features" in json.dumps(outputs(notebook))
    for row in rows.values():
        assert 0 < row["error ↓"]["low"] < row["error ↓"]["high"] < 2
    first, other, *_ = rows.values()
    assert first["minus the first row"] == 0 != other["minus the first row"]["value"]
    assert len(list(study.folder.glob("10_experiments/*/*.pt"))) == 20


@pytest.fixture(scope="module")
def compared(study):
    """Runs chapter 08 or 09 with a few training sets, once."""

    @cache
    def run(number):
        given = {"sets": json.dumps(SETS), "seeds": "[0, 1]", "steps": "2"}
        given |= {"evaluations": "3", "grid_steps": "1"}
        assert main(["run", number, "--preset", "tiny", *options(given)]) == 0

    return run


@pytest.mark.parametrize("number", ["08", "09"])
def test_the_tasks_compare_their_training_sets(study, compared, number):
    compared(number)
    notebook = record(study, number)
    assert "error" not in {output.output_type for output in outputs(notebook)}
    found = pictures(notebook)
    assert len(found) == 4  # with the learning curve
    assert all(len(picture) > 3000 for picture in found)
    done = list(study.folder.glob(f"{number}_experiments/100-*/done.json"))
    assert len(done) == 5  # one is also trained for more steps
    skulls = {read_json(path)["results"]["skulls"] for path in done}
    assert min(skulls) == 40 < max(skulls) <= 50  # without generated fragments
    assert list(study.folder.glob("08_skulls/*/otfm-3/qs2/manifest.csv"))
    text = json.dumps(notebook, ensure_ascii=False)
    assert "25% OTFM helps 100% real" in text and "better by, mm" in text
    assert "assay is not sensitive" in text or "is not known: 9 real" in text
    (stage,) = study.folder.glob(f"{number}_*/done.json")
    errors = read_json(stage)["results"]
    assert set(SETS) <= set(errors["sets"]) and errors["error of the tools"]["mean"] > 0
    assert [row["skulls"] for row in errors["learning_curve"].values()] == [8, 40]
    assert errors["controls"]["blurred, 1 steps"]["trainings"] == 2
    assert errors["conclusions"]["OTFM is better than DDPM alone"] == "not tried"
    scan = next((study.folder / "01_preprocess" / "skulls" / "volumes").glob("*qs5*"))
    command = {"08": "align", "09": "complete"}[number]
    words = [command, str(scan), "--out", f"tried-{number}", "--run", study.name]
    # At 8 mm a voxel, a skull does not fit upon the reference.
    assert main(words + ["--aligned"] * (number == "09")) == 0


def test_both_networks_stand_beside_their_baselines(study, compared):
    compared("09")
    assert main(["run", "08", "--preset", "tiny", "-p", "steps", "2"]) == 0
    given = ["-p", "phantoms", "2", "-p", "spacing", "4"]
    assert main(["run", "19", "--preset", "tiny", *given]) == 0
    notebook = record(study, "19")
    assert "error" not in {output.output_type for output in outputs(notebook)}
    results = study.finished("19_baselines").results
    aligned = {name: row["mean, mm"] for name, row in results["alignment"].items()}
    assert aligned["registration"]["value"] < aligned["aligner"]["value"]
    assert aligned["own skull frame"]["value"] < aligned["registration"]["value"]
    assert results["implants"]["linear shape model"]["implants"] == "10 of 10"
    assert set(results["kinds"]) >= {"bilateral", "frontoorbital", "parietotemporal"}
    text = json.dumps(notebook, ensure_ascii=False)
    assert "within 5 mm by registration" in text
    assert "Over 10 defects of 2 skulls" in text


@needs_cranium
def test_the_tools_are_put_to_a_real_scan(study, compared):
    compared("09")
    assert main(["run", "08", "--preset", "tiny", "-p", "steps", "2"]) == 0
    given = ["-p", "scans", str(CRANIUM), "-p", "trials", "1"]
    assert main(["run", "15", "--preset", "tiny", *given]) == 0
    notebook = record(study, "15")
    assert "error" not in {output.output_type for output in outputs(notebook)}
    assert len(pictures(notebook)) == 2
    results = study.finished("15_patient").results
    assert results["apart"] > 0 and results["trial"]["all"]["found"].endswith("of 5")
    text = json.dumps(notebook)
    assert "phantom skulls" in text and "no medical device" in text


@pytest.fixture(scope="module")
def velocity(study):
    """The study with a second diffusion model, trained for a few steps."""
    words = ["-p", "prediction", "v", "-p", "steps", "3"]
    assert main(["run", "04", "--preset", "tiny", *words]) == 0
    return study


def test_a_second_diffusion_model_lives_beside_the_first(velocity, project, tmp_path):
    stages = [velocity.finished(f"04_train_ddpm{end}") for end in ("", "_v")]
    assert [one.settings["objective"] for one in stages] == ["ddpm", "ddpm-v"]
    assert [one.settings["denoiser"]["steps"] for one in stages] == [20, 3]
    weights = [(one.folder / "denoiser.safetensors").read_bytes() for one in stages]
    assert weights[0] != weights[1]
    words = ["--qs", "4", "--preset", "tiny", "--run", velocity.name]
    made = ["generate", *words, "--model", "ddpm-v", "--out", str(tmp_path / "v")]
    assert main(made) == 0
    folder = tmp_path / "project"  # chapter 5 is run again, in a copy
    shutil.copytree(project, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", "05", "--preset", "tiny", "-p", "count", "12"]) == 0
        copy = open_study("tiny", "tiny")
        sets = table1.generated_sets(copy)
        assert all(len(sets[name]) == 12 for name in ("DDPM", "DDPM-v", "OTFM"))
        inputs = copy.finished("05_generate").inputs
        assert {"04_train_ddpm", "04_train_ddpm_v"} < set(inputs)


def test_diffusion_is_compared_by_its_steps(velocity):
    given = {"seeds": "[1]", "training_steps": "[2, 4]", "sampling_steps": "[2]"}
    given |= {"starts": "[300, 270]", "count": "12", "feature_steps": "20"}
    words = options(given)
    assert main(["run", "16", "--preset", "tiny", *words]) == 0
    notebook = record(velocity, "16")
    assert "error" not in {output.output_type for output in outputs(notebook)}
    found = pictures(notebook)
    assert len(found) == 3 and all(len(picture) > 3000 for picture in found)
    results = velocity.finished("16_diffusion_baseline").results
    points = results["points"]
    assert len(points) == 3 * 3  # models, points
    assert {p["model"] for p in points} == {"OTFM", "DDPM", "DDPM-v"}
    for point in points:
        assert point["FID ↓"] > results["reference"]["FID ↓"] > 0
        assert point["anatomical distance ↓"] > 0 and 0 <= point["failed ↓"] <= 1
    errors = results["errors"]
    assert set(errors) == {"DDPM, seed 1", "DDPM-v, seed 1"}
    last = [errors[f"{model}, seed 1"]["free"][-1] for model in ("DDPM", "DDPM-v")]
    assert last[0] > 100 > 10 > last[1]  # hardly trained: the division shows in full
    assert len(results["starts"]) == 2 * 2 * 2  # models; starts; clamped and free
    spreads = {name: row["spread"] for name, row in results["starts"].items()}
    clamped, free = (
        spreads[f"DDPM, seed 1, from τ = 300, {word}"] for word in ("clamped", "free")
    )
    assert 0 < clamped < free
    done = list(velocity.folder.glob("16_experiments/*/done.json"))
    assert len(done) == 3
    assert not list(velocity.folder.glob("16_experiments/*/checkpoint.pt"))
    before = [times(path.parent)["denoiser-000004.safetensors"] for path in done]
    assert main(["run", "16", "--preset", "tiny", *words]) == 0  # nothing is repeated
    after = [times(path.parent)["denoiser-000004.safetensors"] for path in done]
    assert before == after


def test_each_lever_is_added_and_taken_away(study, monkeypatch):
    given = {"steps": 8, "full_steps": 8, "seeds": [0], "count": 12}
    given |= {"levers": LEVERS, "best": ["symmetry"]}
    more = {"shown": "2", "feature_steps": "20"}
    words = options({name: json.dumps(v) for name, v in given.items()} | more)
    assert main(["run", "18", "--preset", "tiny", *words]) == 0
    notebook = record(study, "18")
    assert "error" not in {output.output_type for output in outputs(notebook)}
    found = pictures(notebook)
    assert len(found) == 4 and all(len(picture) > 3000 for picture in found)
    results = study.finished("18_levers").results
    added, taken = results["added"], results["taken"]
    assert list(added) == ["OTFM", "OTFM + average", "OTFM + autoguidance 2"]
    assert list(taken) == ["ours", "ours − average", "ours + autoguidance 2"]
    for row in (*added.values(), *taken.values()):
        assert row["training steps"] == 8 and row["skulls"] == 12
        assert row["TFLOP"] > 0 < row["seconds"] and row["FID ↓"] > 0
        assert 0 <= row["failed ↓"]["low"] <= row["failed ↓"]["value"]
    assert [row["evaluations"] for row in added.values()] == [4, 4, 8]
    assert len({row["FID ↓"] for row in (*added.values(), *taken.values())}) == 6
    assert set(results["gains"]) == set(added) - {"OTFM"}
    expected = results["references"]
    assert set(expected) == {"real skulls", "autoencoder", "linear model alone"}
    assert expected["linear model alone"]["evaluations"] == 0
    models = [point["model"] for point in results["seeds"]]
    assert models == ["OTFM", "ours", "ours − symmetry"]
    assert [p["training steps"] for p in results["stopping"]] == [1, 2, 4, 8]
    done = list(study.folder.glob("18_experiments/*/done.json"))
    assert len(done) == 2  # those of both bases; the levers share them
    assert not list(study.folder.glob("18_experiments/*/checkpoint.pt"))
    for name in ("train_denoiser", "generate_skulls", "measure_skulls"):
        monkeypatch.setattr(trainings, name, lambda *_: pytest.fail("repeated"))
    shares.train_share(plan_of(study, given))


def test_few_steps_are_trained_and_swept(velocity):
    study = velocity
    given = {"evaluations": "[1, 2, 8]", "count": "12", "shift": "2.0"}
    given |= {"ours_count": "12", "ours_steps": "[1, 2]", "few_steps": "[2]"}
    words = options(given)
    assert main(["run", "13", "--preset", "tiny", *words]) == 0
    notebook = record(study, "13")
    assert "error" not in {output.output_type for output in outputs(notebook)}
    found = pictures(notebook)
    assert len(found) == 4 and all(len(picture) > 3000 for picture in found)
    text = json.dumps(outputs(notebook), ensure_ascii=False)
    assert "The fewest evaluations in which no measure is worse" in text
    swept = study.finished("13_sweep").results
    assert len(swept) >= 20 and "OTFM, euler, shift 2, 2" in swept
    for name in (
        "OTFM, euler, 8",
        "ours, euler, 9",  # one for the symmetry
        "DDPM, ancestral, 8",
        "DDPM-v, ancestral, 8",
    ):  # the references
        assert swept[name]["excess"]["FID ↓"]["value"] == 0
        assert all(swept[name]["within noise"].values())
    one, eight = (swept[f"OTFM, euler, {n}"]["sampling seconds"] for n in (1, 8))
    assert 0 < one < eight
    few = swept["steps"]
    assert list(few) == ["ours, 1 step", "ours, 2 steps", "shortcut, 2 steps"]
    assert [row["evaluations"] for row in few.values()] == [1, 3, 3]
    for row in few.values():
        failed = row["failed ↓"]
        assert 0 <= failed["low"] <= failed["value"] <= failed["high"] <= 1
        assert row["seconds per skull"] > 0
    differences = few["shortcut, 2 steps"]["minus the most steps"]
    assert {"failed ↓", "FID ↓", "IR ↑", "PR ↑"} < set(differences)
    shortcut = study.finished("13_train_shortcut")
    assert all(0 < value < 10 for value in shortcut.results["loss"])
    words = ["--qs", "4", "--out", "few", "--model", "shortcut", "--preset", "tiny"]
    words += ["--vault", "whole"]
    assert main(["generate", *words, "--run", study.name]) == 0


def test_privacy_is_attacked(study, monkeypatch):
    given = {"shadows": 4, "shadow_steps": 4, "canary_steps": 4, "times": 2}
    words = options({name: str(value) for name, value in given.items()})
    assert (
        main(["run", "14", "--preset", "tiny", *words, "-p", "feature_steps", "20"])
        == 0
    )
    notebook = record(study, "14")
    assert "error" not in {output.output_type for output in outputs(notebook)}
    found = pictures(notebook)
    assert len(found) == 3 and all(len(picture) > 3000 for picture in found)
    results = study.finished("14_privacy").results
    assert set(results["planted"]["voxels"]) > {"as it is", "as decoded"}
    doses = ["dose 0", "dose 1", "dose 10", "dose 50", "validation"]
    assert list(results["canaries"]) == doses
    assert results["canaries"]["validation"]["skulls"] == 12
    assert set(results["similarity"]) == set(results["copies"])
    assert "NNDR" not in results["copies"]["voxels: test"]
    rows = results["membership"]
    assert {"OTFM: loss", "ours: linear start", "autoencoder"} < set(rows)
    for row in (*rows.values(), results["shadow"]["likelihood ratio"]):
        assert 0 <= row["AUC"]["low"] <= row["AUC"]["value"] <= row["AUC"]["high"] <= 1
        assert 0.5 < row["detectable AUC"] <= 1
    assert "not measured" in results["shadow"]["calibrated loss, QS 6"]["AUC"]
    assert len(results["jaws"]) == 2 * 3
    done = list(study.folder.glob("14_experiments/*/done.json"))
    assert len(done) == 5
    assert not list(study.folder.glob("14_experiments/*/checkpoint.pt"))
    for name in ("train_denoiser", "generate_skulls", "latent_losses"):
        stop = lambda *_: pytest.fail("repeated")  # noqa: E731
        monkeypatch.setattr(privacy_trainings, name, stop)
    privacy_shares.train_share(privacy_plan(study, given))
