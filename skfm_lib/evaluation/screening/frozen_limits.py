"""Limits of screening that were set once, from phantoms, before models are compared.

    python -m skfm_lib.evaluation.screening quick

makes the training phantoms of a preset and writes `limits/quick.json` of this package.
Studies of phantoms are screened by that file, so that their results are comparable and
no study sets its own limits.  Skulls of a user's scans are another population: there,
and at presets without a file, limits are those of the study's own training skulls.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.manifest import proportional
from skfm_lib.data.phantom_set import PAPER_TRAIN, phantom_skulls
from skfm_lib.evaluation.screening.measures import (
    MEASURES,
    NAMES,
    Measurements,
    measure_skulls,
)
from skfm_lib.evaluation.screening.reference_ranges import (
    SHARE,
    ReferenceRanges,
    cross_fitted,
    fit_ranges,
    with_limits,
)
from skfm_lib.evaluation.screening.tolerance_limits import Limits, set_limits
from skfm_lib.presets import preset
from skfm_lib.study import Study, stage_names
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, replacing

FOLDER = Path(__file__).parent / "limits"
COMMAND = "python -m skfm_lib.evaluation.screening"
ERRORS = 6.0  # standard errors between the means of two samples of one population
KEYS = ("made", "population", "share", "measures")
ENDS = ("low", "high", "spread", "mean")


@dataclass(frozen=True)
class FrozenLimits:
    """Limits from a file, and the population that they were set on."""

    limits: Limits
    means: Float[np.ndarray, "scores measures"]  #: NaN where one does not apply
    population: Mapping[str, Any]  #: ``shape`` of the grid, skulls of each score
    made: str  #: date

    def check(
        self, values: np.ndarray, qualities: Sequence[int], shape: Sequence[int]
    ) -> None:
        """SkfmError unless training skulls are of the population of the limits.

        The fingerprint of a population is the grid, the number of skulls of each score,
        and the mean difference of each measure from those of its score, within ERRORS
        standard errors: another seed draws other skulls of the same population, and
        other processors round otherwise.
        """
        given = {"shape": list(shape), "skulls": _counts(qualities)}
        for key, value in given.items():
            if value != self.population[key]:
                raise self._another(f"{key} {value}", str(self.population[key]))
        means = pd.DataFrame(values).groupby(np.asarray(qualities)).mean().to_numpy()
        shifts = (means - self.means) / self.limits.spread
        numbers = np.unique(qualities, return_counts=True)[1][:, None]
        numbers = np.where(np.isnan(shifts), 0, numbers)
        shift = np.nansum(numbers * shifts, axis=0) / numbers.sum(axis=0)
        reach = ERRORS * np.sqrt(2 / numbers.sum(axis=0))
        for m in np.flatnonzero(np.abs(shift) > reach):
            found = f"{NAMES[m]} shifted by {shift[m]:.2g} standard deviations"
            raise self._another(found, f"at most {reach[m]:.2g}")

    def _another(self, found: str, expected: str) -> SkfmError:
        known = f"{expected}, by the phantoms of the limits of {self.made}"
        return SkfmError(
            f"training skulls of another population: {found}",
            known,
            f"make the data set again, or for new phantoms {COMMAND} PRESET",
        )


def study_ranges(
    study: Study,
    measured: Measurements,
    train: SkullSet,
    share: float | None = None,
) -> ReferenceRanges:
    """The reference ranges by which a study is screened.

    Models are those of the study's training skulls.  Limits are the frozen ones if the
    skulls are phantoms and there is a file for the preset; otherwise, and for a `share`
    of the user's choice, they are set on the training skulls (`fit_ranges`).

    Raises:
        SkfmError: for phantoms of another population than the file's.
    """
    made_from = study.finished(stage_names.DATA).results["made_from"]
    path, own = FOLDER / f"{study.settings.name}.json", train.qualities
    if share is not None or made_from != "phantoms" or not path.is_file():
        print(f"limits: set on the {len(train)} training skulls of this study")
        return fit_ranges(measured, own, share or SHARE, study.seed)
    frozen = read_limits(path)
    frozen.check(cross_fitted(measured, own, study.seed), own, train.shape)
    print(f"limits: those of the phantoms of preset {path.stem}, set {frozen.made}")
    return with_limits(measured, own, frozen.limits)


def read_limits(path: Path) -> FrozenLimits:
    """Read a file of `freeze`; SkfmError if it is damaged or of other measures."""
    content = read_json(path, *KEYS)
    if tuple(content["measures"]) != NAMES:
        found = f"{path} has limits of {', '.join(content['measures'])}"
        raise SkfmError(found, ", ".join(NAMES), f"{COMMAND} {path.stem}")
    scores = np.array([int(q) for q in content["population"]["skulls"]])
    tables = content["measures"].values()
    low, high, spread, mean = (
        np.array([[np.nan if x is None else x for x in t[end]] for t in tables]).T
        for end in ENDS
    )
    for end, sign, measures in ((low, -1, "high"), (high, 1, "low")):
        open_ = [m.tail == measures for m in MEASURES]
        end[:, open_] = np.where(np.isnan(mean[:, open_]), np.nan, sign * np.inf)
    expected = np.array([t["expected"] for t in tables])
    limits = Limits(scores, low, high, spread, expected)
    return FrozenLimits(limits, mean, content["population"], content["made"])


def write_limits(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of `freeze`, a list a line."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    text = re.sub(r"\[[^]]*\]", lambda found: " ".join(found[0].split()), text)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def freeze(
    measured: Measurements, qualities: Sequence[int], shape: Sequence[int], seed: int
) -> dict[str, Any]:
    """The content of a file of limits, set on training skulls by cross-fitting.

    For each measure and score: the limits, the spread and the mean (null where a
    measure does not apply or a tail is not limited), and the expected share beyond.
    """
    values = cross_fitted(measured, qualities, seed)
    limits = set_limits(values, np.asarray(qualities), MEASURES, SHARE, seed)
    mean = pd.DataFrame(values).groupby(np.asarray(qualities)).mean().to_numpy()
    columns = (limits.low, limits.high, limits.spread, mean)
    measures = {
        measure.name: {
            "unit": measure.unit,
            "expected": float(limits.share[m]),
            **{end: _plain(column[:, m]) for end, column in zip(ENDS, columns)},
        }
        for m, measure in enumerate(MEASURES)
    }
    return {
        "made": time.strftime("%Y-%m-%d"),
        "population": {"shape": list(shape), "skulls": _counts(qualities)},
        "share": SHARE,
        "measures": measures,
    }


def freeze_preset(name: str, folder: Path, seed: int = 0) -> dict[str, Any]:
    """`freeze` the limits of a preset: of its training phantoms, made in `folder`."""
    settings = preset(name)
    counts = proportional(PAPER_TRAIN, settings.data.train_skulls)
    shape = settings.vqvae.output_shape
    phantom_skulls(folder, shape, counts, {}, seed=seed)
    train = SkullSet(folder, "train")
    return freeze(measure_skulls(train, "train"), train.qualities, shape, seed)


def _counts(qualities: Sequence[int]) -> dict[str, int]:
    """Skulls of each score; keys as JSON has them."""
    scores, numbers = np.unique(qualities, return_counts=True)
    return dict(zip(map(str, scores.tolist()), numbers.tolist()))


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(f"{x:.6g}") if np.isfinite(x) else None for x in values]
