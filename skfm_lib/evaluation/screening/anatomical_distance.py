"""Distance of two sets of skulls by their anatomy, without a network."""

import numpy as np
from jaxtyping import Float

from skfm_lib import metrics
from skfm_lib.evaluation.screening.measures import MEASURES, SINGLE
from skfm_lib.metrics import Draws, Interval
from skfm_lib.metrics.distributions import feature_pair
from skfm_lib.metrics.kernel import Labels
from skfm_lib.utils.errors import SkfmError


def anatomical_distance(
    real: Float[np.ndarray, "n single"], fake: Float[np.ndarray, "m single"]
) -> float:
    """Fréchet distance of the measures of single skulls, in spreads of the real ones.

    The mean and standard deviation of each measure are those of `real`, its deviation
    at least the `least` that the grid can tell: so a measure in which all real skulls
    agree, such as one part, is compared, too.  An empty volume has all measures 0 and
    counts as it is.  There are eleven dimensions, so that 182 skulls suffice, where
    the features of a network have hundreds.

    Raises:
        SkfmError: for NaN, another number of measures or fewer skulls than measures.

    >>> x = np.random.default_rng(0).normal(size=(200, SINGLE)) * 100
    >>> round(anatomical_distance(x, x + 2 * x.std(axis=0, ddof=1)), 6)  # 11 · 2²
    44.0
    """
    real, fake = feature_pair(real, fake, ("real", "fake"))
    fewest = min(len(real), len(fake))
    if fewest < SINGLE:
        found = f"{fewest} skulls for {SINGLE} measures"
        raise SkfmError(found, f"at least {SINGLE} in each set", "generate more")
    least = [measure.least for measure in MEASURES[:SINGLE]]
    spread = np.maximum(real.std(axis=0, ddof=1), least)
    centre = real.mean(axis=0)
    return metrics.frechet_distance((real - centre) / spread, (fake - centre) / spread)


def anatomical_draws(
    real: Float[np.ndarray, "n single"],
    fake: Float[np.ndarray, "m single"],
    seed: int,
    labels: Labels | None = None,
) -> Draws:
    """The `anatomical_distance` of two sets of measures, and of halves of them.

    `labels` are the quality scores of sets that are matched by them.

    Raises:
        SkfmError: as that, for half of each set.
    """
    statistic = lambda a, b: [anatomical_distance(a, b)]  # noqa: E731
    return metrics.deal_draws(statistic, real, fake, seed=seed, labels=labels)


def anatomical_interval(
    real: Float[np.ndarray, "n single"],
    fake: Float[np.ndarray, "m single"],
    seed: int = 0,
    labels: Labels | None = None,
) -> Interval:
    """The `anatomical_distance` of two sets of measures with its 95 % interval."""
    (found,) = anatomical_draws(real, fake, seed, labels).intervals()
    return metrics.bounded(found, 0, np.inf, len(fake))
