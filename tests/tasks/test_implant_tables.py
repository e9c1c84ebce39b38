"""Tables and sentences of the implants follow from the scores."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skfm_lib.tasks.implant_methods import COMPLETER, GIVEN, LINEAR, MIRRORED
from skfm_lib.tasks.implant_tables import by_kind, in_words, over_skulls, overall

DSC = {COMPLETER: 0.0, GIVEN: 0.6, MIRRORED: 0.4, LINEAR: 0.8}


@pytest.fixture
def found():
    rows = [
        {
            "skull": skull,
            "kind": kind,
            "method": method,
            "removed": 40.0,
            "volume": 20.0 if dsc else 0.0,
            "dsc": dsc + 0.012 * skull * bool(dsc),
            "border_dsc": dsc,
            "hd95": 3.0 + skull if dsc else None,
        }
        for skull, kind, (method, dsc) in product(range(6), "ab", DSC.items())
    ]
    return pd.DataFrame(rows).astype({"hd95": float})


def test_absent_implants_count_as_no_overlap(found):
    rows = overall(found)
    assert list(rows) == list(DSC)
    assert rows[COMPLETER]["implants"] == "0 of 12"
    assert rows[COMPLETER]["DSC"].value == 0
    assert rows[GIVEN]["implants"] == "12 of 12"
    assert rows[GIVEN]["DSC"].value == pytest.approx(0.63)
    assert rows[GIVEN]["HD95, mm"].value == rows[GIVEN]["HD95, median"] == 5.5
    assert rows[GIVEN]["volume, share"] == 0.5
    kinds = by_kind(found)
    assert list(kinds) == ["a", "b"]
    assert kinds["a"][MIRRORED] == "0.43 / 0.40, 5.5 mm"
    assert kinds["b"][COMPLETER] == "0.00 / 0.00, none"


def test_the_interval_is_that_of_skulls_not_of_defects(found):
    rows = found[found["method"] == GIVEN].set_index("skull")
    twice = pd.concat([rows] * 5)  # more defects of the same skulls
    assert over_skulls(twice["dsc"]) == pytest.approx(over_skulls(rows["dsc"]))
    values = rows["dsc"].groupby("skull").mean()
    known = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert over_skulls(rows["dsc"])[1:] == pytest.approx((known.low, known.high))
    assert over_skulls(rows.loc[[0], "dsc"])[1:] == (-np.inf, np.inf)


def test_the_sentence_says_which_is_better(found):
    text = in_words(found)
    assert f"the {LINEAR} has the largest mean DSC, 0.83" in text
    assert f"better than the {MIRRORED}" in text and f"worse than the {LINEAR}" in text
    assert "0 of 12 defects" in text
    equal = found.assign(dsc=found["dsc"].where(found["method"] != LINEAR, 0.63))
    assert f"not distinguishable from the {LINEAR}" in in_words(equal)
