"""The tables of claims: differences, tests and conclusions, beside the paper's."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from skfm_lib.tasks.experiments.claims import (
    BALANCE,
    CLAIMS,
    OURS,
    Claim,
    paper_errors,
)
from skfm_lib.tasks.experiments.conclusions import (
    ALPHA,
    NOT_TRIED,
    ClaimTest,
    conclusions,
)
from skfm_lib.tasks.experiments.plan import Plan
from skfm_lib.tasks.experiments.statistics import claim_test, generators

Rows = dict[str, dict[str, Any]]
DIFFERENCE = "better by, mm"


def every(table: pd.DataFrame, plan: Plan) -> dict[str, Rows]:
    """The tables of all claims, about the errors `plan.column` of a table.

    "primary" are those that the plan tests together, if there are any; "secondary" are
    the paper's others, each by itself, and so are the "further" ones, on the controls
    of balance and *ours*, of which only those that were tried are listed.
    """
    chosen = [claim for claim in CLAIMS if claim.text in plan.primary]
    others = [claim for claim in CLAIMS if claim.text not in plan.primary]
    tried = set(table["set"])
    more = [claim for claim in (*BALANCE, *OURS) if tried >= set(claim.contrast)]
    return {
        "primary": _rows(table, plan, chosen, family=len(chosen)),
        "secondary": _rows(table, plan, others),
        "further": _rows(table, plan, more),
    }


def chance_of_generators(table: pd.DataFrame) -> str:
    """What the intervals say of chance in the training of generators, in words."""
    count = generators(table)
    if count > 1:
        return f"intervals cover {count} trainings of each generator"
    return "one training of each generator, whose chance no interval covers"


def together(claims: Mapping[str, Rows]) -> Rows:
    """The rows of all tables."""
    return {text: row for rows in claims.values() for text, row in rows.items()}


def outcomes(claims: Mapping[str, Rows]) -> dict[str, str]:
    """For a stage's record: claim → conclusion."""
    return {text: row["conclusion"] for text, row in together(claims).items()}


def _rows(
    table: pd.DataFrame,
    plan: Plan,
    claims: Sequence[Claim],
    family: int = 1,
) -> Rows:
    """A row for each claim; those that were not tried count in a `family`, too.

    The power is that of confirming the claim if the difference in the paper were true.
    """
    errors = paper_errors(*plan.papers)
    published = {claim.text: claim.published(errors) for claim in claims}
    tests = {c.text: claim_test(table, c, plan, published[c.text]) for c in claims}
    tried = {text: test for text, test in tests.items() if test}
    done = dict(zip(tried, conclusions(list(tried.values()), family)))
    return {
        text: _row(test, published[text], *done[text], ALPHA / family)
        if test
        else _not_tried(published[text])
        for text, test in tests.items()
    }


def _row(
    test: ClaimTest, published: float | None, p_value: float, text: str, alpha: float
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
