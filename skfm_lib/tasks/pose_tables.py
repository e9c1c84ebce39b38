"""Tables and sentences of the `pose_baselines`."""

from typing import Any

import numpy as np
import pandas as pd

from skfm_lib import metrics
from skfm_lib.metrics import Interval
from skfm_lib.tasks.pose_baselines import ALIGNER, BOTH, FRAME, REGISTRATION

FAR = 5.0  # mm; errors above it are counted: a few of them dominate a mean
Rows = dict[str, dict[str, Any]]


def overall(errors: pd.DataFrame) -> Rows:
    """A row for each method of `pose_errors`, of all skulls."""
    return {
        str(method): {
            "mean, mm": _mean(rows["distance"]),
            "median, mm": float(rows["distance"].median()),
            f"above {FAR:g} mm": metrics.share((rows["distance"] > FAR).to_numpy()),
            "mean, °": _mean(rows["rotation"]),
            "median, °": float(rows["rotation"].median()),
        }
        for method, rows in errors.groupby("method", sort=False)
    }


def by_score(errors: pd.DataFrame) -> Rows:
    """Method → quality score → the same, without intervals, as one text."""
    return {
        str(method): {
            f"QS {score}": _text(part) for score, part in rows.groupby("quality")
        }
        for method, rows in errors.groupby("method", sort=False)
    }


def in_words(errors: pd.DataFrame) -> str:
    """What the two tables say of the network and the registration."""
    distance = errors.pivot(index="name", columns="method", values="distance")
    number, text = len(distance), []
    near = {m: int((distance[m] <= FAR).sum()) for m in (ALIGNER, REGISTRATION, BOTH)}
    text.append(
        f"Of {number} skulls, {near[REGISTRATION]} are within {FAR:g} mm by "
        f"registration, {near[ALIGNER]} by the aligner, {near[BOTH]} by both."
    )
    gap = _mean(distance[ALIGNER] - distance[REGISTRATION])
    text.append(
        f"Registration is {_closer(gap)} the aligner: the mean difference, paired by "
        f"skull, is {gap} mm."
    )
    changed = (distance[BOTH] != distance[REGISTRATION]).to_numpy()
    helped = (distance[BOTH] < distance[REGISTRATION] - 1).to_numpy()
    harmed = (distance[BOTH] > distance[REGISTRATION] + 1).to_numpy()
    text.append(
        f"With the network's pose as one more start, the pose is another one for "
        f"{changed.sum()} of {number} skulls: closer by more than 1 mm for "
        f"{helped.sum()}, farther by as much for {harmed.sum()}."
    )
    if FRAME in distance:
        text.append(
            f"The phantoms lie {distance[FRAME].mean():.1f} mm from their own skull "
            "frames, at random: a method that finds these exactly has this error."
        )
    return " ".join(text)


def _closer(gap: Interval) -> str:
    """How the first of two methods compares, by how much larger the other's error is.

    >>> _closer(Interval(1.0, 0.5, 1.5)), _closer(Interval(0.1, -0.5, 0.7))
    ('closer than', 'not distinguishable from')
    """
    if gap.low > 0:
        return "closer than"
    return "farther off than" if gap.high < 0 else "not distinguishable from"


def _mean(values: pd.Series) -> Interval:
    """Mean with the bootstrap interval over skulls; that of one skull is infinite."""
    if len(values) < 2:
        return Interval(float(values.mean()), -np.inf, np.inf)
    return metrics.bootstrap(np.mean, values.to_numpy())


def _text(rows: pd.DataFrame) -> str:
    """``mean / median mm, number above FAR of all, mean °``."""
    distance, rotation = rows["distance"], rows["rotation"]
    far = f"{(distance > FAR).sum()} of {len(rows)}"
    return (
        f"{distance.mean():.1f} / {distance.median():.1f} mm, {far}, "
        f"{rotation.mean():.1f}°"
    )
