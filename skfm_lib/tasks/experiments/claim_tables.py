"""The tables of claims: differences, tests and conclusions, beside the paper's."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from skfm_lib.tasks.experiments.claims import (
    BALANCE,
    CLAIMS,
    OURS,
    Claim,
    Published,
    paper_errors,
)
from skfm_lib.tasks.experiments.conclusions import (
    ALPHA,
    NOT_TRIED,
    Test,
    conclusions,
)
from skfm_lib.tasks.experiments.plan import Plan
from skfm_lib.tasks.experiments.statistics import claim_test, generators

Rows = dict[str, dict[str, Any]]
DIFFERENCE = "better by, mm"


def primary(table: pd.DataFrame, plan: Plan, *papers: Published) -> Rows:
    """The claims that the plan tests together; empty where it has none."""
    chosen = [claim for claim in CLAIMS if claim.text in plan.primary]
    return _rows(table, plan, chosen, papers, corrected=True)


def secondary(table: pd.DataFrame, plan: Plan, *papers: Published) -> Rows:
    """The paper's other claims, each by itself."""
    chosen = [claim for claim in CLAIMS if claim.text not in plan.primary]
    return _rows(table, plan, chosen, papers, corrected=False)


def further(table: pd.DataFrame, plan: Plan) -> Rows:
    """The controls of balance and *ours*, each by itself; none is the paper's."""
    tried = set(table["set"])
    chosen = [claim for claim in (*BALANCE, *OURS) if tried >= set(claim.contrast)]
    return _rows(table, plan, chosen, (), corrected=False)


def chance_of_generators(table: pd.DataFrame) -> str:
    """What the intervals say of chance in the training of generators, in words."""
    count = generators(table)
    if count > 1:
        return f"intervals cover {count} trainings of each generator"
    return "one training of each generator, whose chance no interval covers"


def outcomes(*parts: Rows) -> dict[str, str]:
    """For a stage's record: claim → conclusion."""
    rows = {text: row for part in parts for text, row in part.items()}
    return {text: row["conclusion"] for text, row in rows.items()}


def _rows(
    table: pd.DataFrame,
    plan: Plan,
    claims: Sequence[Claim],
    papers: Sequence[Published],
    corrected: bool,
) -> Rows:
    """A row for each claim; those that were not tried count in the family, too.

    The power is that of confirming the claim if the difference in the paper were true.
    """
    errors = paper_errors(*papers)
    published = {claim.text: claim.published(errors) for claim in claims}
    tests = {c.text: claim_test(table, c, plan, published[c.text]) for c in claims}
    tried = {text: test for text, test in tests.items() if test}
    family = len(claims) if corrected else 1
    done = dict(zip(tried, conclusions(list(tried.values()), family)))
    return {
        text: _row(test, published[text], *done[text], ALPHA / family)
        if test
        else _not_tried(published[text])
        for text, test in tests.items()
    }


def _row(
    test: Test, published: float | None, p_value: float, text: str, alpha: float
) -> dict[str, Any]:
    several, power = test.units > 1, None
    if several and published is not None and published > test.threshold:
        power = test.found.power(published - test.threshold, alpha)
    return {
        DIFFERENCE: test.found.interval(),
        "in the paper": published,
        "margin": test.margin,
        "trainings": test.units,
        "p": f"{p_value:.2g}" if several else None,
        "conclusion": text,
        "power": None if power is None else f"{power:.0%}",
    }


def _not_tried(published: float | None) -> dict[str, Any]:
    return {DIFFERENCE: None, "in the paper": published, "conclusion": NOT_TRIED}
