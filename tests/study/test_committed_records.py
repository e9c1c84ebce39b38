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

TO_RUN = {  # chapter: what differs
    "02_train_vqvae": "code",
    "03_train_otfm": "code",
    "04_train_ddpm": "code",
    "08_alignment": "code",
    "09_completion": "code",
    "11_real_scan": "code",
    "12_benchmarks": "code",
    "13_few_steps": "code",
    "14_privacy": "code",
    "17_train_ours": "code",
    "18_levers": "no run",
}


@cache
def read(folder, chapter):
    """A notebook as JSON."""
    return json.loads((ROOT / folder / f"{chapter}.ipynb").read_text("utf-8"))


@cache
def made(chapter):
    """What made a committed record; {} for one of before that was kept."""
    return made_by(read("book/walkthrough", chapter))


def known(chapters, *reasons):
    """Chapters as parameters; those to run anew for a reason are expected to fail."""
    return [
        pytest.param(name, marks=pytest.mark.xfail(strict=True, reason="to run anew"))
        if TO_RUN.get(name) in reasons
        else name
        for name in chapters
    ]


@pytest.mark.parametrize("chapter", known(CHAPTERS, "code", "no run"))
def test_records_are_of_the_code_of_today(chapter):
    assert made(chapter), f"skfm run {chapter[:2]}"
    source = read("notebooks", chapter)
    assert rendered(read("book/walkthrough", chapter), source), (
        f"skfm run {chapter[:2]}"
    )


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
    "chapter", known([n for n in CORE if n in fingerprints()], "settings")
)
def test_records_of_trainings_are_of_the_settings_of_today(chapter):
    found = fingerprints()[chapter]
    assert made(chapter)["fingerprint"] == found, f"skfm run {chapter[:2]}"


def test_the_core_is_of_one_run():
    records = {name: made(name) for name in CORE if name not in TO_RUN}
    assert {about["run"] for about in records.values()} == {"quick"}
    stages = {about["stage"]: about["fingerprint"] for about in records.values()}
    for about in records.values():
        inputs = about.get("inputs", {})  # older records do not have them
        assert {k: stages[k] for k in inputs if k in stages} == {
            k: v for k, v in inputs.items() if k in stages
        }
