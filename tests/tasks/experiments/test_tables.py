"""The paper's tables for this study, with their sets and places."""

import pandas as pd
import pytest
from made_errors import noisy, table

from skfm_lib.presets import paper_tables
from skfm_lib.tasks.experiments import MIXES, tables


def test_tables_have_the_papers_places():
    found = table({name: 5.0 for name in MIXES})
    rows = tables.comparison(found, paper_tables.TABLE_3, {"mm": "raw"})
    assert rows["50% real"] == {"mm": (5, 5, 5), "paper: mm": 30.8}
    assert rows["100% real + 25% OTFM"]["paper: mm"] == 6.48
    columns = {"CD": "raw", "Acc": "raw", "Comp": "raw"}
    rows = tables.comparison(found, paper_tables.TABLE_5, columns)
    alone = list(rows["100% OTFM"].values())
    assert alone == 3 * [(5, 5, 5)] + [3.36, 4.09, 2.63]
    few = table({"100% real": 5.0})
    rows = tables.comparison(few, paper_tables.TABLE_2, {"mm": "raw"})
    assert rows["100% OTFM"]["mm"] is None
    rows = tables.by_quality(few, paper_tables.TABLE_4, "raw")
    assert rows["100% real"]["QS 6"] == (5, 5, 5) and rows["OTFM-b"]["QS 6"] is None
    assert rows["paper: OTFM-b"]["QS 6"] == 8.12
    own = {"100% real": {f"seed {s}": 5.0 for s in range(3)}}
    assert tables.over_seeds(few, "raw") == own


def test_ways_of_filling_are_compared_on_their_own_set():
    errors = noisy(0, 5.0)
    one = table({"100% real": errors}).assign(way="completer")
    other = table({"100% real": errors + 2.0}).assign(way="mirror")
    found = pd.concat([one, other, table({"OTFM-b": 9.0}).assign(way="completer")])
    found = found.rename(columns={"raw": "cd"})
    rows = tables.against(found, "100% real", "completer", "mirror")
    gap = rows["completer against mirror"]["closer by, mm"]
    assert tuple(gap) == pytest.approx((2, 2, 2))
    rows = tables.columns_by_quality(one, "100% real", ["raw"])
    assert rows["raw"]["overall"].value == pytest.approx(errors.mean())
    assert list(rows["raw"])[1:] == [f"QS {q}" for q in (2, 3, 4, 5, 6)]
