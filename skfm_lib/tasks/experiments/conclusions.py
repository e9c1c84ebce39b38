"""What a measured difference says of a claim, with several claims corrected for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skfm_lib.tasks.experiments.crossed import Estimate

ALPHA = 0.05
CONFIRMED, REFUTED = "confirmed", "refuted"
EQUIVALENT, UNDECIDED = "equivalent", "undecided"
NOT_TRIED, ONE_SEED = "not tried", "undecided: one training"


@dataclass(frozen=True)
class ClaimTest:
    """A claim's test: that the difference μ exceeds a threshold.

    Attributes:
        found: the estimate of μ, mm.
        margin: mm; the largest difference that counts as none.
        no_worse: the claim is that μ exceeds −margin, and not 0.
        units: the seeds or generators of the estimate; one decides nothing.
    """

    found: Estimate
    margin: float
    no_worse: bool
    units: int

    @property
    def threshold(self) -> float:
        """What the claim says that μ exceeds."""
        return -self.margin if self.no_worse else 0.0

    @property
    def p_value(self) -> float:
        """Of the two-sided test against the threshold."""
        return self.found.p_value(self.threshold)

    @property
    def p_within(self) -> float:
        """Of the test of equivalence; 1 where the claim itself is of that kind."""
        return 1.0 if self.no_worse else self.found.p_within(self.margin)

    def conclude(self, p_value: float, p_within: float) -> str:
        """The conclusion at ALPHA, with both p values as they are or corrected."""
        if self.units < 2:
            return ONE_SEED
        if p_value < ALPHA:
            above = self.found.value > self.threshold
            return CONFIRMED if above else REFUTED
        return EQUIVALENT if p_within < ALPHA else UNDECIDED


def conclusions(tests: Sequence[ClaimTest], family: int = 1) -> list[tuple[float, str]]:
    """The p value and the conclusion of each test.

    In a `family` of several claims, of which some may not have been tried, the tests
    of differences and those of equivalence are each corrected by `holm`.
    """
    differences = holm([test.p_value for test in tests], family)
    equivalences = holm([test.p_within for test in tests], family)
    pairs = zip(tests, differences, equivalences)
    return [(p, test.conclude(p, within)) for test, p, within in pairs]


def holm(p_values: Sequence[float], family: int) -> list[float]:
    """Adjusted p values in a family of tests (Holm 1979); of one, as they are.

    Where the family has more tests than there are p values, the others have p = 1.

    >>> holm([0.01, 0.04, 0.03], 3), holm([0.01, 0.04], 1)
    ([0.03, 0.06, 0.06], [0.01, 0.04])
    """
    if family == 1:
        return list(p_values)
    order = np.argsort(p_values, kind="stable")
    factors = family - np.arange(len(p_values))
    raised = np.maximum.accumulate(np.array(p_values, float)[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted.tolist()
