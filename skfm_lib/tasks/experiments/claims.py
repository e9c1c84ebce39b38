"""The paper's claims on synthetic training data (§4.3), and the study's own."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from skfm_lib.tasks.experiments.plan import SCARCE, Published

FULL, HALF = "100% real", "50% real"
OTFM, DDPM = " + 25% OTFM", " + 25% DDPM"


class Claim(NamedTuple):
    """A weighted sum of the mean errors of sets is above 0.

    Attributes:
        text: the statement.
        contrast: set → weight.
        quality: the only score it is about, or None.
        papers: the contrast of the paper's sets that it stands for; None: the same.
        no_worse: it says that the sum is above minus the margin.
    """

    text: str
    contrast: Mapping[str, float]
    quality: int | None = None
    papers: Mapping[str, float] | None = None
    no_worse: bool = False

    def published(self, errors: Mapping[str, Mapping[str, float]]) -> float | None:
        """The difference in the paper, mm (`paper_errors`); None where it has none."""
        score = f"QS {self.quality}" if self.quality else "overall"
        weights = self.papers or self.contrast
        if any(score not in errors.get(name, {}) for name in weights):
            return None
        return sum(w * errors[name][score] for name, w in weights.items())


def better(first: str, second: str) -> dict[str, float]:
    """The contrast of "`first` has the smaller error than `second`"."""
    return {second: 1.0, first: -1.0}


CLAIMS = (
    Claim("OTFM is better than DDPM alone", better("100% OTFM", "100% DDPM")),
    Claim(
        f"25% OTFM helps {SCARCE}",
        better(SCARCE + OTFM, SCARCE),
        papers=better(HALF + OTFM, HALF),
    ),
    Claim("a balanced set is better on QS 6", better("OTFM-b", "OTFM-s"), 6),
    Claim(
        "OTFM alone is no worse than 100% real",
        better("100% OTFM", FULL),
        no_worse=True,
    ),
    Claim(
        "OTFM is better than DDPM beside 100% real", better(FULL + OTFM, FULL + DDPM)
    ),
    Claim("OTFM is better than DDPM beside 50% real", better(HALF + OTFM, HALF + DDPM)),
    Claim("25% OTFM helps 100% real", better(FULL + OTFM, FULL)),
    Claim("25% OTFM helps 50% real", better(HALF + OTFM, HALF)),
    Claim(
        "and helps 50% real more",
        {HALF: 1.0, HALF + OTFM: -1.0, FULL: -1.0, FULL + OTFM: 1.0},
    ),
    Claim("OTFM-b is better than real skulls on QS 6", better("OTFM-b", FULL), 6),
    Claim("OTFM-b is better over all scores", better("OTFM-b", "OTFM-s")),
)

# Equal exposure to QS 6, by synthesis and without: what is due to which.
BALANCE = (
    Claim("exposure: oversampled beats OTFM-s", better("oversampled", "OTFM-s"), 6),
    Claim("mirrored beats oversampled", better("mirrored", "oversampled"), 6),
    Claim("synthesis: OTFM-b beats oversampled", better("OTFM-b", "oversampled"), 6),
    Claim("synthesis: OTFM-b beats mirrored", better("OTFM-b", "mirrored"), 6),
)

OURS = (Claim("ours is better than OTFM alone", better("100% ours", "100% OTFM")),)


def paper_errors(*papers: Published) -> dict[str, dict[str, float]]:
    """The errors of each set in the paper's tables: "overall", and by score if stated.

    Of triples the first, the Chamfer distance, counts.
    """
    found: dict[str, dict[str, float]] = {}
    for table in papers:
        for row, values in table.items():
            if "overall" in values:
                found.setdefault(row, {}).update(values)
                continue
            for column, value in values.items():
                overall = float(np.atleast_1d(value)[0])
                found.setdefault(set_name(row, column), {})["overall"] = overall
    return found


def set_name(row: str, column: str) -> str:
    """The training set of a row and column of Tables 2, 3, 5 and 6."""
    if row == "real only":
        return column
    if row == "+25% OTFM":
        return f"{column} + 25% OTFM"
    return column.replace("synth", row)
