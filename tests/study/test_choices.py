"""Choices are made on validation skulls: who reads the test skulls is listed here."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEFINING = {
    "skfm_lib/data/manifest.py",
    "skfm_lib/data/splits.py",
    "skfm_lib/study/data_stage.py",
}
REPORTING = {  # results; nothing is set or selected by them
    "skfm_lib/evaluation/table1_protocol.py",  # chapter 6
    "skfm_lib/tasks/experiments/skull_pool.py",  # chapters 8, 9 and 15
    "skfm_lib/tasks/experiments/learning_curve.py",  # of chapter 8
    "skfm_lib/tasks/implant_benchmark.py",  # chapter 19
    "notebooks/01_preprocess.ipynb",
    "notebooks/02_train_vqvae.ipynb",
    "notebooks/05_generate.ipynb",
    "notebooks/06_metrics.ipynb",
    "notebooks/07_failures.ipynb",
    "notebooks/14_privacy.ipynb",
    "skfm_lib/reference_model/cards.py",  # what a finished set or model has
    "skfm_lib/reference_model/measuring.py",
    "skfm_lib/reference_model/privacy.py",
}
CHOOSING = (  # settings, weights, limits, numbers of steps
    "skfm_lib/presets",
    "skfm_lib/training",
    "skfm_lib/evaluation/ablations.py",
    "skfm_lib/evaluation/sampling_steps",
    "skfm_lib/evaluation/privacy",
    "skfm_lib/evaluation/screening",
    "notebooks/03_train_otfm.ipynb",
    "notebooks/04_train_ddpm.ipynb",
    "notebooks/10_ablations.ipynb",
    "notebooks/13_few_steps.ipynb",
    "notebooks/16_diffusion_baseline.ipynb",
    "notebooks/17_train_ours.ipynb",
    "notebooks/18_levers.ipynb",
    "skfm_lib/evaluation/diffusion_baseline",
    "skfm_lib/evaluation/levers",
)
BY_VALIDATION = (
    "10_ablations",
    "13_few_steps",
    "14_privacy",
    "16_diffusion_baseline",
    "18_levers",
)


def code(path: Path) -> str:
    """The Python of a module or of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def words(source: str, names: bool = True) -> set[str]:
    """The strings of some code, and its names, parameters and attributes."""
    kinds = ("value", "id", "arg", "attr") if names else ("value",)
    nodes = list(ast.walk(ast.parse(source)))
    found = {getattr(node, kind, None) for node in nodes for kind in kinds}
    return {word for word in found if isinstance(word, str)}


def files(place: str) -> list[Path]:
    """The modules and notebooks below a folder, or the one named."""
    path = ROOT / place
    found = path.rglob("*") if path.is_dir() else [path]
    return sorted(file for file in found if file.suffix in (".py", ".ipynb"))


@pytest.mark.parametrize(
    ("source", "asks"),
    [
        ("skulls(study, 'test')", True),
        ("[SkullSet(folder, s) for s in ('train', 'test')]", True),
        ("errors(model, pool.test)", True),
        ("def train(stage, test): ...", True),
        ("skulls(study, 'validation')", False),
        ("import pytest  # test", False),
    ],
)
def test_asking_for_test_skulls_is_noticed(source, asks):
    assert ("test" in words(source)) == asks


def test_only_what_reports_reads_the_test_skulls():
    reading = {
        path.relative_to(ROOT).as_posix()
        for place in ("skfm_lib", "notebooks")
        for path in files(place)
        if re.search("[\"']test[\"']", source := code(path))
        and "test" in words(source, names=False)
    }
    assert reading == DEFINING | REPORTING


@pytest.mark.parametrize("place", CHOOSING)
def test_what_chooses_never_sees_a_test_skull(place):
    assert files(place)
    for path in files(place):
        assert not {"test", "SkullPool"} & words(code(path)), path


@pytest.mark.parametrize("chapter", BY_VALIDATION)
def test_what_is_chosen_in_a_chapter_is_chosen_on_validation_skulls(chapter):
    assert "validation" in words(code(ROOT / f"notebooks/{chapter}.ipynb"))
