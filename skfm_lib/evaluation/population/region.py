"""Where a head lies within a population: each measure, and all of them together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from skfm_lib.utils.errors import SkfmError

Measures = Mapping[str, float]
INSIDE = 0.95  # share of the population within a region


@dataclass(frozen=True)
class Position:
    """A head within a population.

    Attributes:
        scores: of each measure of the region, standard deviations from the mean.
        distance: Mahalanobis distance of all measures together.
        limit: the distance within which INSIDE of further individuals lie.
        outside: measures beyond the interval of INSIDE of further individuals.
    """

    scores: dict[str, float]
    distance: float
    limit: float
    outside: tuple[str, ...]

    @property
    def inside(self) -> bool:
        """Whether the head lies within the region of all measures together."""
        return self.distance <= self.limit


class Population:
    """The measures of n individuals, as a multivariate normal population.

    Limits are those of prediction: they hold for a further individual of the same
    population, and so allow for mean and covariance being estimated from n
    (T², Hotelling 1931).  Measures in `apart` are not normal: they have no part in the
    region, and are outside beyond the central INSIDE of the individuals.

    Raises:
        SkfmError: unless there are more individuals than measures.
    """

    def __init__(self, rows: Sequence[Measures], apart: Sequence[str] = ()) -> None:
        names = tuple(rows[0]) if rows else ()
        if len(rows) < len(names) + 2:
            found = f"{len(rows)} individuals with {len(names)} measures"
            raise SkfmError(found, "more individuals than measures", "measure more")
        self.values = {name: np.array([row[name] for row in rows]) for name in names}
        self.joint = tuple(name for name in names if name not in apart)

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def central(self, name: str) -> tuple[float, float]:
        """The interval that holds the central INSIDE of the individuals."""
        tail = (1 - INSIDE) / 2
        low, high = np.quantile(self.values[name], (tail, 1 - tail)).tolist()
        return low, high

    def locate(self, head: Measures) -> Position:
        """Where a head with the same measures lies."""
        n, k = len(self), len(self.joint)
        values = np.stack([self.values[name] for name in self.joint])
        gap = np.array([head[name] for name in self.joint]) - values.mean(axis=1)
        score = gap / values.std(axis=1, ddof=1)
        distance = np.sqrt(score @ np.linalg.solve(np.corrcoef(values), score))
        quantile = stats.f.ppf(INSIDE, k, n - k) * k * (n * n - 1) / n / (n - k)
        single = stats.t.ppf((1 + INSIDE) / 2, n - 1) * np.sqrt(1 + 1 / n)
        outside = [name for name, s in zip(self.joint, score) if abs(s) > single]
        for name in self.values.keys() - {*self.joint}:
            low, high = self.central(name)
            outside += [name] * (not low <= head[name] <= high)
        return Position(
            dict(zip(self.joint, score.tolist())),
            float(distance),
            float(np.sqrt(quantile)),
            tuple(outside),
        )
