"""The `skfm` command: what it says when all is well, and in one line when not."""

from pathlib import Path

import pytest

from skfm_lib.cli import study
from skfm_lib.cli.main import main
from skfm_lib.study import notebooks, open_study, parallel
from skfm_lib.tasks import experiments
from skfm_lib.tasks.experiments.grid import Grid
from skfm_lib.utils.errors import Interrupted, SkfmError

SOURCES = Path(__file__).parents[2] / "notebooks"
COMMANDS = ("study", "run", "train", "prepare", "export", "sample", "generate")
COMMANDS += ("status", "book", "align", "complete", "pack", "card")


@pytest.fixture
def sources(project):
    """A project with the repository's notebooks, and runs/ of its own."""
    (project / "notebooks").rmdir()
    (project / "notebooks").symlink_to(SOURCES)
    return project


def says(capsys, *words):
    """What a failing command says: one line on stderr."""
    assert main(words) == 1
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("skfm: ")
    return lines[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: skfm {command}") and len(text.splitlines()) > 4


def test_the_help_lists_every_command_and_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert (
        all(f"    {command} " in text for command in COMMANDS) and "skfm run 03" in text
    )


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["paint"],
        ["run"],
        ["generate", "--qs", "1", "--out", "x"],
        ["generate", "--qs", "7", "--out", "x"],
        ["generate", "--qs", "5"],
        ["generate", "--out", "x"],
        ["generate", "--qs", "five", "--out", "x"],
        "generate --qs 5 --mix paper --out x".split(),
        "generate --mix mine --out x".split(),
        ["generate", "--qs", "5", "--out", "x", "--mesh", "obj"],
        ["pack"],
        ["generate", "--qs", "5", "--out", "x", "--model", "gan"],
        ["generate", "--qs", "5", "--out", "x", "--vault", "half"],
        ["generate", "--qs", "5", "--out", "x", "--field-of-view", "-70"],
        "generate --qs 5 --out x --vault cut --field-of-view -70 60".split(),
        ["run", "03", "--seed", "one"],
        ["run", "03", "-p", "steps"],
        ["train", "05"],
        ["train", "02", "--devices", "two"],
    ],
)
def test_words_it_does_not_know_end_with_two(words, project, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err and "skfm" in said.err.splitlines()[-1]
    assert not (project / "runs").exists()


@pytest.mark.parametrize("words", [["study"], ["run", "01"], ["generate"], ["prepare"]])
def test_an_unknown_preset_lists_the_valid_ones(words, project, capsys):
    more = {
        "generate": ["--qs", "5", "--out", "x"],
        "prepare": [str(project), "--out", "x"],
    }
    line = says(capsys, *words, *more.get(words[0], []), "--preset", "huge")
    assert "'huge'" in line and "tiny, quick, small, paper" in line
    assert not (project / "runs").exists()


def test_an_unknown_notebook_lists_the_valid_ones(sources, capsys):
    line = says(capsys, "run", "77", "--preset", "tiny")
    assert "no notebook '77'" in line and "03_train_otfm" in line


def test_an_unknown_parameter_lists_the_valid_ones(sources, capsys):
    line = says(capsys, "run", "03", "--preset", "tiny", "-p", "stpes", "3")
    assert "03_train_otfm has no parameter 'stpes'" in line
    assert "steps" in line and "learning_rate" in line
    assert not (sources / "runs" / "tiny" / "notebooks").exists()


def test_a_run_of_another_preset_is_refused(project, capsys):
    open_study("mine", "tiny").stage("01_preprocess", {})
    line = says(capsys, "run", "01", "--run", "mine")
    assert "run 'mine' has preset tiny and seed 0" in line


def test_generating_before_training_names_the_command(project, capsys):
    words = ["generate", "--qs", "5", "--out", "skulls", "--preset", "tiny"]
    assert "next: skfm run 01 02 17 --run tiny --preset tiny" in says(capsys, *words)
    line = says(capsys, *words, "--model", "ddpm")
    assert "next: skfm run 01 02 04 --run tiny --preset tiny" in line
    assert "--count 0; expected at least 1" in says(capsys, *words, "--count", "0")
    assert not (project / "skulls").exists()


def test_preparing_a_missing_folder_is_reported(project, capsys):
    line = says(capsys, "prepare", "nowhere", "--out", "x", "--preset", "tiny")
    assert "nowhere" in line and not (project / "x").exists()


def test_exporting_what_is_not_there_is_reported(project, capsys):
    line = says(capsys, "export", "no.nii.gz", "--out", "a.stl")
    assert "no.nii.gz does not exist" in line and not (project / "a.stl").exists()
    line = says(capsys, "export", "no.nii.gz", "--out", "a.png")
    assert "unknown file type .png" in line and ".stl" in line


def test_a_wrong_sample_says_where_the_right_one_is(project, capsys):
    (project / "my.inv3").write_bytes(b"x")
    line = says(capsys, "sample", "--file", "my.inv3")
    assert "invesalius-examples" in line and not (project / "sample").exists()


def test_samples_are_listed_with_role_and_licence(project, monkeypatch, capsys):
    monkeypatch.setattr("skfm_lib.data.io.sample_scan.CACHE", project)
    (project / "craniotomy.nrrd").touch()
    assert main(["sample"]) == 0
    text = capsys.readouterr().out
    assert "test head; licence GPL-2; 19 MB\n  skfm sample cranium\n" in text
    assert f"licence MIT; 0.1 MB\n  {project / 'craniotomy.nrrd'}\n" in text
    assert text.count("development data; licence") == 2


def test_status_without_runs_says_what_is_next(project, capsys):
    assert main(["status"]) == 0
    assert capsys.readouterr().out == "no runs yet; next: skfm study\n"


def test_status_tells_open_and_finished_stages(project, capsys):
    study = open_study("mine", "tiny", 2)
    study.stage("01_preprocess", {}).finish()
    study.stage("02_train_vqvae", {}, ("01_preprocess",))
    capsys.readouterr()
    assert main(["status"]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "mine: preset tiny, seed 2"
    assert second.split()[0] == "01_preprocess" and second.endswith(" s")
    assert third.split() == ["02_train_vqvae", "open"]
    study.stage("02_train_vqvae", {}, ("01_preprocess",)).finish()
    study.stage("01_preprocess", {"other": "data"}).finish()
    capsys.readouterr()
    assert main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[1] == "stale"


def test_several_chapters_run_in_their_order(sources, capsys, monkeypatch):
    done = []
    run = lambda source, target, given: done.append((source.stem, given["run"]))  # noqa: E731
    monkeypatch.setattr(notebooks, "run_notebook", run)
    assert main(["run", "01", "02", "3", "--preset", "tiny"]) == 0
    assert [name[:2] for name, _ in done] == ["01", "02", "03"]
    line = says(capsys, "run", "01", "02", "--preset", "tiny", "-p", "steps", "3")
    assert "one chapter with its parameters" in line and len(done) == 3


def test_an_interruption_says_how_to_go_on(project, capsys, monkeypatch):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("skfm_lib.cli.study.open_study", interrupted)
    assert main(["run", "01"]) == 130
    assert capsys.readouterr().err.strip() == (
        "skfm: interrupted; the same command resumes"
    )


def chapters_run(monkeypatch, errors, given=None):
    """What a study runs, given the errors of its chapters; `given` gets parameters."""
    tried, given = [], {} if given is None else given

    def run(options):
        (number,) = options.notebooks
        tried.append(number)
        given[number] = dict(options.parameters)
        if number in errors:
            raise errors[number]

    monkeypatch.setattr(study, "run", run)
    monkeypatch.setattr(parallel, "cores_for", lambda count: count == 1)
    return tried


def test_a_chapter_that_cannot_judge_stops_no_other(project, capsys, monkeypatch):
    tried = chapters_run(monkeypatch, {"06": SkfmError("one skull", "two")})
    assert main(["study", "--preset", "tiny"]) == 1
    assert tried[:10] == "01 02 08 03 04 17 09 05 06 07".split()
    assert "skfm: one skull; expected two\n" in capsys.readouterr().err


def test_a_whole_study_runs_the_whole_grids(project, monkeypatch):
    part, whole = {}, {}
    chapters_run(monkeypatch, {}, part)
    assert main(["study", "--preset", "tiny"]) == 0
    chapters_run(monkeypatch, {}, whole)
    assert main(["study", "--preset", "tiny", "--all"]) == 0
    assert part["08"] == part["09"] == {} and set(part) < set(whole)
    assert whole["08"] == whole["09"] == {"plan": "all"}


def test_chapters_without_need_of_each_other_share_the_cores(project, monkeypatch):
    pairs = []

    def beside(commands):
        pairs.append(commands)
        return {}

    tried = chapters_run(monkeypatch, {})
    monkeypatch.setattr(parallel, "cores_for", lambda count: count <= 2)
    monkeypatch.setattr(parallel, "side_by_side", beside)
    monkeypatch.setattr(notebooks, "find_notebook", lambda n: Path(f"{n}.ipynb"))
    assert main(["study", "--preset", "tiny", "--seed", "4"]) == 0
    found = [list(pair) for pair in pairs]
    assert found == [["02", "08"], ["03", "04"], ["17", "09"], ["06", "07"]]
    assert not {number for pair in pairs for number in pair} & set(tried)
    assert pairs[1]["04"] == "run 04 --preset tiny --seed 4".split()


@pytest.mark.parametrize("wrong", [None, SkfmError("no surface")])
def test_skulls_of_both_grids_are_drawn_before_they_run(project, monkeypatch, wrong):
    done = []

    def gather(made, names, base, screening):
        done.append((made.name, names, base))
        if wrong:
            raise wrong  # which the chapters would say again

    def beside(commands):
        done.append(list(commands))
        return {}

    chapters_run(monkeypatch, {})
    monkeypatch.setattr(parallel, "cores_for", lambda count: count <= 2)
    monkeypatch.setattr(parallel, "side_by_side", beside)
    monkeypatch.setattr(notebooks, "find_notebook", lambda n: Path(f"{n}.ipynb"))
    grids = {task: Grid({f"set of {task}": [0]}, 36) for task in experiments.PLANS}
    monkeypatch.setattr(experiments, "planned_grid", lambda _, task, __: grids[task])
    monkeypatch.setattr(experiments, "gather", gather)
    assert main(["study", "--preset", "tiny", "--all"]) == 0
    first = ("tiny", ["set of aligner"], 36)
    second = [] if wrong else [("tiny", ["set of completer"], 36)]
    assert done[2:] == [first, *second, ["08", "09"]]  # after the two other pairs


@pytest.mark.parametrize(
    ("number", "error", "status"),
    [("03", SkfmError("no latents"), 1), ("07", Interrupted("told to stop"), 75)],
)
def test_what_others_need_and_being_told_to_stop_end_a_study(
    number, error, status, project, capsys, monkeypatch
):
    tried = chapters_run(monkeypatch, {number: error})
    assert main(["study", "--preset", "tiny"]) == status
    assert tried[-1] == number
    assert capsys.readouterr().err == f"skfm: {error}\n"
