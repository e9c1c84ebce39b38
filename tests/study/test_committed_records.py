"""The records that come with the book are of today's notebooks, settings and one run.

A record whose code or settings differ has to be run anew (``skfm run NN``, then ``skfm
book --publish``).  A change of text only needs nothing: the book shows today's text.
Records in `TO_RUN` are known to be old; each leaves this list when it has been run.
"""

import json
from functools import cache
from pathlib import Path

import pytest

from skfm_lib.presets import preset
from skfm_lib.study import Study, stage_names
from skfm_lib.study.records import made_by
from skfm_lib.study.rendering import rendered
from skfm_lib.study.store import Stage
from skfm_lib.training.denoiser import OBJECTIVES

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path.stem for path in ROOT.glob("notebooks/[0-9][0-9]_*.ipynb"))
# The other chapters are of longer runs, which may have another name.
CORE = [name for name in CHAPTERS if name[:2] in {f"{n:02d}" for n in range(1, 10)}]
CORE += [stage_names.OURS]

CODE, SETTINGS, INPUTS = "code", "settings", "inputs"
TO_RUN = {  # chapter: in what its record differs, or does not say
    "08_alignment": {CODE, INPUTS},
    "09_completion": {CODE, INPUTS},
    "10_ablations": {CODE},
    "12_benchmarks": {CODE},
    "13_few_steps": {CODE},
    "14_privacy": {CODE},
    "16_diffusion_baseline": {CODE},
}


@cache
def read(folder, chapter):
    """A notebook as JSON."""
    return json.loads((ROOT / folder / f"{chapter}.ipynb").read_text("utf-8"))


@cache
def made(chapter):
    """What made a committed record; {} for one of before that was kept."""
    return made_by(read("book/walkthrough", chapter))


def known(chapters, reason):
    """Chapters as parameters; those to run anew for a reason are expected to fail."""
    old = pytest.mark.xfail(strict=True, reason="to run anew, then to leave TO_RUN")
    return [
        pytest.param(name, marks=[old] if reason in TO_RUN.get(name, ()) else [])
        for name in chapters
    ]


@pytest.mark.parametrize("chapter", known(CHAPTERS, CODE))
def test_records_are_of_the_code_of_today(chapter):
    assert made(chapter), f"skfm run {chapter[:2]}"
    source = read("notebooks", chapter)
    assert rendered(read("book/walkthrough", chapter), source), (
        f"skfm run {chapter[:2]}"
    )


@cache
def fingerprints():
    """Stage → its fingerprint with the settings of preset quick and seed 0."""
    settings = preset("quick")
    study = Study("quick", settings, 0, Path())
    groups = {stage_names.DATA: {"data": settings.data.as_dict()}}
    groups[stage_names.VQVAE] = {"vqvae": settings.vqvae.as_dict()}
    for one in OBJECTIVES.values():
        own = getattr(settings, one.group).as_dict()
        groups[one.stage] = {"objective": one.name, one.group: own}
    found = {}
    for name, group in groups.items():
        plain = json.loads(json.dumps({"seed": 0, **group}))
        inputs = {above: found[above] for above in stage_names.NEEDS[name]}
        found[name] = Stage(study, name, plain, inputs).fingerprint
    return found


@pytest.mark.parametrize(
    "chapter", known([name for name in CORE if name in fingerprints()], SETTINGS)
)
def test_records_of_trainings_are_of_the_settings_of_today(chapter):
    found = fingerprints()[chapter]
    assert made(chapter)["fingerprint"] == found, f"skfm run {chapter[:2]}"


def test_the_core_is_of_one_run():
    runs = {made(name)["run"] for name in CORE if made(name)}
    assert runs == {"quick"}


@pytest.mark.parametrize("chapter", known(CORE, INPUTS))
def test_a_record_was_made_from_the_stages_of_the_other_records(chapter):
    every = [made(name) for name in CORE]
    others = {about["stage"]: about["fingerprint"] for about in every if about}
    inputs = made(chapter)["inputs"]  # which older records do not have
    assert {k: others.get(k, v) for k, v in inputs.items()} == inputs
