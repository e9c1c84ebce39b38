"""How few evaluations give what many give?

Every cell is compared with its reference: the paper's sampler at the most
evaluations, asked for the same scores from the same starting noise.  What chance can
do to the difference of their distances to the held-out skulls is seen by exchanging
them skull by skull, at random, again and again: 95 % of the differences then stay
below its reach (a paired randomisation test; Fisher 1935).  The reach between the
reference and its repeat, which differ in nothing but the starting noise, is the
reference's own noise.  A cell is within the noise when it is further from the
held-out skulls than the reference by no more than that.

Pairing sees much less than this noise: where a cell's own reach holds its whole
difference from the reference, the two are not told apart.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from skfm_lib import metrics
from skfm_lib.evaluation.sampling_steps.grid import REFERENCES
from skfm_lib.evaluation.sampling_steps.sampling import Drawn
from skfm_lib.metrics import Interval
from skfm_lib.utils.progress import track

DISTANCES = {"FID": metrics.frechet_distance, "KID": metrics.kernel_distance}
SHARES = ("PP", "PR")
HALVES = 40  # of half-sampling
EXCHANGES = 100


@dataclass(frozen=True)
class Point:
    """A cell and how good it is.

    values  FID, KID, PP and PR to the held-out skulls, with 95 % intervals
    worse   FID and KID less those of the reference, ± the reach of chance
    noise   of the reference's FID and KID
    within  for FID and KID: whether the cell is within that noise
    alike   for FID and KID: whether chance explains the whole difference
    """

    drawn: Drawn
    values: dict[str, Interval]
    worse: dict[str, Interval]
    noise: dict[str, float]
    within: dict[str, bool]

    @property
    def alike(self) -> dict[str, bool]:
        return {name: worse.low <= 0 for name, worse in self.worse.items()}

    @property
    def evaluations(self) -> int:
        """Of the network, for one skull."""
        return self.drawn.cell.sampler.evaluations

    @property
    def seconds(self) -> float:
        """From noise to volume, for one skull."""
        return self.drawn.sampling + self.drawn.decoding

    def reaching(self, name: str) -> Interval:
        """The distance `name`, ± the reach of chance in its difference."""
        value, worse = self.values[name].value, self.worse[name]
        reach = worse.high - worse.value
        return Interval(value, value - reach, value + reach)

    def reference(self, name: str) -> Interval:
        """The reference's distance `name`, ± its noise."""
        value, noise = self.values[name].value, self.noise[name]
        value -= self.worse[name].value
        return Interval(value, value - noise, value + noise)


def judge(drawn: Sequence[Drawn], held_out: np.ndarray, seed: int) -> list[Point]:
    """Every cell against the features (m, d) of held-out skulls and its reference.

    `drawn` holds the references and a repeat of each, as `grid.plan` has it.
    """
    by_cell = {one.cell: one.features for one in drawn}
    repeats = {cell.model: cell for cell in by_cell if cell.repeat}
    first = {m: by_cell[replace(cell, repeat=False)] for m, cell in repeats.items()}
    noise = {
        model: {k: v.high - v.value for k, v in found.items()}
        for model, cell in repeats.items()
        for found in [exchanged(held_out, by_cell[cell], first[model], seed)]
    }
    points = []
    for one in track(drawn, "Comparing"):
        model, _ = REFERENCES[one.cell.model]
        worse = exchanged(held_out, one.features, first[model], seed)
        within = {k: v.value <= noise[model][k] for k, v in worse.items()}
        found = _values(held_out, one.features, seed)
        points.append(Point(one, found, worse, noise[model], within))
    return points


def exchanged(
    real: np.ndarray, fake: np.ndarray, reference: np.ndarray, seed: int
) -> dict[str, Interval]:
    """FID and KID to `real` of `fake` less those of `reference` (n, d), ± the reach.

    The reach holds 95 % of the absolute differences that are left when each row of
    `fake` changes places with its row of `reference` or not, by the toss of a coin.
    """
    coins = np.random.default_rng(seed).integers(2, size=(EXCHANGES, len(fake), 1))
    difference = _difference(real, fake, reference)
    drawn = [
        _difference(real, np.where(c, fake, reference), np.where(c, reference, fake))
        for c in coins
    ]
    reach = np.quantile(np.abs(drawn), 0.95, axis=0)
    return {
        name: Interval(float(d), float(d - r), float(d + r))
        for name, d, r in zip(DISTANCES, difference, reach)
    }


def lines(points: Sequence[Point]) -> dict[str, list[Point]]:
    """The points of each method, by rising evaluations; without the repeats."""
    found: dict[str, list[Point]] = {}
    for point in sorted(points, key=lambda point: point.evaluations):
        if not point.drawn.cell.repeat:
            found.setdefault(point.drawn.cell.line, []).append(point)
    return found


def fewest(
    points: Sequence[Point], good: Callable[[Point], bool]
) -> dict[str, Point | None]:
    """For each method, the cell of the fewest evaluations that is `good`.

    And so must all its cells of more evaluations be, lest one be lucky.  None where
    not even that of the most is.
    """
    found = {}
    for line, these in lines(points).items():
        last = takewhile(good, reversed(these))
        found[line] = min(last, key=lambda point: point.evaluations, default=None)
    return found


def _difference(real: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(FID, KID) of `a` less those of `b`."""
    with warnings.catch_warnings():  # of few samples: equally many in both
        warnings.simplefilter("ignore")
        pairs = [[measure(real, x) for x in (a, b)] for measure in DISTANCES.values()]
    return np.array([first - second for first, second in pairs])


def _values(real: np.ndarray, fake: np.ndarray, seed: int) -> dict[str, Interval]:
    """FID, KID, PP and PR, with intervals by half-sampling."""
    with warnings.catch_warnings():  # of few samples: equally many in every cell
        warnings.simplefilter("ignore", metrics.FewSamples)
        draws = metrics.half_draws(_measures, real, fake, n=HALVES, seed=seed)
    return dict(zip((*DISTANCES, *SHARES), draws.intervals()))


def _measures(real: np.ndarray, fake: np.ndarray) -> list[float]:
    shares = metrics.probabilistic_precision_recall(real, fake)
    return [measure(real, fake) for measure in DISTANCES.values()] + list(shares)
