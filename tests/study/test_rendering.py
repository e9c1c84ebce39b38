"""Today's text stands around the outputs of a record whose code is the same."""

import copy

import pytest

from skfm_lib.study.rendering import rendered


def code(source, outputs=None, count=None, **metadata):
    cell = {"cell_type": "code", "source": source, "metadata": metadata}
    return cell | {"outputs": outputs or [], "execution_count": count}


def text(source):
    return {"cell_type": "markdown", "source": source, "metadata": {}}


SOURCE = {
    "cells": [
        text("# New title"),
        code("steps: int = 3  # of training", tags=["parameters"]),
        text("New prose"),
        code(["f(\n", "    steps\n", ")  # says why"], mystnb={"figure": {}}),
    ]
}
RECORD = {
    "metadata": {"papermill": {"input_path": "x"}},
    "cells": [
        text("# Title"),
        code("steps: int = 3", count=1, tags=["parameters"], papermill={"duration": 1}),
        code("# Parameters\nsteps = 5", count=2, tags=["injected-parameters"]),
        code("f(steps)", [{"output_type": "stream"}], 3, tags=["hide-input"]),
    ],
}


def test_outputs_are_kept_in_the_text_of_today():
    before = copy.deepcopy((RECORD, SOURCE))
    made = rendered(RECORD, SOURCE)
    assert (RECORD, SOURCE) == before
    title, first, injected, prose, last = made["cells"]
    assert made["metadata"] == RECORD["metadata"]
    assert (title, prose) == (SOURCE["cells"][0], SOURCE["cells"][2])
    assert first["source"] == SOURCE["cells"][1]["source"]
    assert first["metadata"] == {"tags": ["parameters"], "papermill": {"duration": 1}}
    assert injected == RECORD["cells"][2]
    assert last["source"] == SOURCE["cells"][3]["source"]
    assert last["metadata"] == {"mystnb": {"figure": {}}}  # no tag of the former one
    assert (last["outputs"], last["execution_count"]) == (
        [{"output_type": "stream"}],
        3,
    )


@pytest.mark.parametrize(
    "other", ["f(steps + 1)", "f(steps)\nf(steps)", "%time f(steps)", ""]
)
def test_other_code_is_not_what_made_the_outputs(other):
    source = copy.deepcopy(SOURCE)
    source["cells"][3]["source"] = other
    assert rendered(RECORD, source) is None


def test_another_number_of_cells_is_other_code():
    for cells in (SOURCE["cells"][:-1], [*SOURCE["cells"], code("1")]):
        assert rendered(RECORD, {"cells": cells}) is None
