"""A chapter's parameters are checked before anything is written."""

import pytest

from skfm_lib.presets import preset
from skfm_lib.study import open_chapter
from skfm_lib.utils.errors import SkfmError

DECLARED = """preset: str = "quick"  # tiny, quick, small or paper
run: str = None
seed: int = 0
steps: int = None
share: float = 0.5
peers: bool = True
seeds: list[int] = [0]
sets: list[str] = ["100% real"]
"""


def opened(injected="", declared=DECLARED):
    """The namespace of a kernel in which a chapter was opened with parameters."""
    cells = ["", declared, *([f"# Parameters\n{injected}"] if injected else [])]
    namespace = {"In": [*cells, "study = open_chapter(globals())"]}
    for cell in cells:
        exec(cell, namespace)
    namespace["study"] = open_chapter(namespace)
    return namespace


def test_without_parameters_a_chapter_opens_the_default_run(project):
    found = opened()
    assert found["study"].name == "quick" and found["steps"] is None
    assert not (project / "runs").exists()


def test_what_came_as_text_is_parsed(project):
    found = opened(
        'seeds = "[0, 1]"\nsteps = 2e5\npreset = "tiny"\nrun = 5\nsets = "all"\n'
        'peers = "false"\nshare = "1e-3"'
    )
    assert found["seeds"] == [0, 1] and found["sets"] == ["all"]
    assert found["steps"] == 200_000 and isinstance(found["steps"], int)
    assert found["peers"] is False and found["share"] == 0.001
    assert found["study"].name == "5" and found["study"].settings.name == "tiny"


def test_an_optional_setting_is_a_number_or_none(project):
    declared = DECLARED + "time_mean: str = None\n"
    for line, found in (("0.5", 0.5), ("'none'", None), ("-1", -1.0)):
        text = opened(f"time_mean = {line}", declared)["time_mean"]
        assert preset("tiny").ours.but(time_mean=text).time_mean == found
    assert opened("", declared)["time_mean"] is None  # the preset's


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("steps = 'abc'", "steps = 'abc'; expected a whole number of at least 1"),
        ("steps = 0", "steps = 0; expected a whole number"),
        ("steps = 2.5", "steps = 2.5"),
        ("steps = True", "steps = True"),
        ("seed = None", "seed = None; expected a whole number of at least 0"),
        ("seeds = '[0, one]'", "seeds = .*; expected a list, each a whole number"),
        ("share = float('nan')", "share = nan; expected a number"),
        ("share = -1", "share = -1; expected a number of at least 0"),
        ("peers = 3", "peers = 3; expected True or False"),
        ("preset = 'huge'", "unknown preset 'huge'"),
        ("run = '../x'", "without slashes"),
        ("stpes = 5", "no parameter 'stpes'; expected one of .*; next: -p steps"),
    ],
)
def test_wrong_parameters_end_the_chapter_and_leave_nothing(project, line, error):
    with pytest.raises(SkfmError, match=error):
        opened(line)
    assert not (project / "runs").exists()


def test_a_kernel_that_ran_more_cells_is_checked_by_the_last_declaration(project):
    later = DECLARED + "new: int = 3\n"
    namespace = {"In": [DECLARED, "%matplotlib inline", later, "x = 1"]}
    exec(later, namespace)
    open_chapter(namespace)
    namespace["new"] = "many"
    with pytest.raises(SkfmError, match="new = 'many'"):
        open_chapter(namespace)
