"""Comparison of each set of skulls with a reference of many more evaluations.

The reference is the paper's sampler at the most evaluations, with the same quality
scores and starting noise.  A paired randomisation test (Fisher 1935) gives the range
of chance for the difference of their distances to the held-out skulls: those of the
validation, since the number of evaluations is chosen by it.

The range between a reference and its repeat, which differ in the starting noise only,
is the noise of the reference.  A set is within the noise if its distance exceeds that
of the reference by no more.  Pairs from the same starting noise vary less: where a
set's own range covers the entire excess, it is indistinguishable from the reference.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from skfm_lib import metrics
from skfm_lib.evaluation import table1_columns
from skfm_lib.evaluation.sampling_steps.grid import REFERENCES
from skfm_lib.evaluation.sampling_steps.sampling import SampledSet
from skfm_lib.evaluation.table1_columns import DISTANCES
from skfm_lib.generation import LABELS
from skfm_lib.metrics import Interval
from skfm_lib.metrics.kernel import Labels
from skfm_lib.utils.progress import track
from skfm_lib.view.curves import Panels

DEALS = 25  # into halves, for the intervals
EXCHANGES = 100

Rows = dict[str, dict[str, object]]  # of a table


@dataclass(frozen=True)
class Comparison:
    """A set compared with the held-out skulls and with its reference."""

    sampled: SampledSet
    values: Mapping[str, Interval]  # of `BETWEEN_SETS`, with 95 % intervals
    excess: Mapping[str, Interval]  # over the reference's FID and KID, ± chance
    noise: Mapping[str, float]  # of the reference's FID and KID

    @property
    def within_noise(self) -> dict[str, bool]:
        """For FID and KID: whether the excess is within the reference's noise."""
        return {k: excess.value <= self.noise[k] for k, excess in self.excess.items()}

    @property
    def indistinguishable(self) -> bool:
        """Whether chance explains the entire excess of both FID and KID."""
        return all(excess.low <= 0 for excess in self.excess.values())

    @property
    def evaluations(self) -> int:
        """Of the network, per skull."""
        return self.sampled.setting.sampler.evaluations

    @property
    def seconds(self) -> float:
        """From noise to volume, per skull."""
        return self.sampled.sampling + self.sampled.decoding

    def distance(self, name: str) -> Interval:
        """FID or KID, ± the range of chance of its excess."""
        value, excess = self.values[name].value, self.excess[name]
        reach = excess.high - excess.value
        return Interval(value, value - reach, value + reach)

    def reference(self, name: str) -> Interval:
        """FID or KID of the reference, ± its noise."""
        value = self.values[name].value - self.excess[name].value
        return Interval(value, value - self.noise[name], value + self.noise[name])


def compare(
    sets: Sequence[SampledSet],
    held_out: np.ndarray,
    seed: int,
    labels: Labels | None = None,
) -> list[Comparison]:
    """Every set against the features (m, d) of held-out skulls and its reference.

    `sets` include the references and their repeats (`grid.sampler_settings`).
    `labels` are the quality scores of the held-out skulls and of every set.
    """
    features = {s.setting: s.features for s in sets}
    first = {s.model: features[replace(s, repeat=False)] for s in features if s.repeat}
    noise: dict[str, dict[str, float]] = {model: {} for model in first}
    found = []
    for one in track(sets, "Comparing"):
        model, _ = REFERENCES[one.setting.model]
        compared = table1_columns.compare(held_out, one.features, seed, DEALS, labels)
        values = table1_columns.in_range(compared.row(), len(one.features))
        excess = exchange_test(held_out, one.features, first[model], seed, labels)
        if one.setting.repeat:  # all comparisons of the model share this noise
            noise[model].update({k: v.high - v.value for k, v in excess.items()})
        found.append(Comparison(one, values, excess, noise[model]))
    return found


def exchange_test(
    real: np.ndarray,
    fake: np.ndarray,
    reference: np.ndarray,
    seed: int,
    labels: Labels | None = None,
) -> dict[str, Interval]:
    """FID and KID to `real` of `fake` minus those of `reference` (n, d), ± chance.

    The range of chance holds 95 % of the absolute differences that result when each
    row of `fake` is exchanged with its row of `reference` with probability one half.
    """
    difference = _difference(real, fake, reference, labels)
    masks = np.random.default_rng(seed).integers(2, size=(EXCHANGES, len(fake), 1))
    exchanged = []
    for m in masks:
        kept, other = np.where(m, fake, reference), np.where(m, reference, fake)
        exchanged.append(_difference(real, kept, other, labels))
    reach = np.quantile(np.abs(exchanged), 0.95, axis=0)
    ends = zip(difference, difference - reach, difference + reach)
    return {k: Interval(*map(float, end)) for k, end in zip(DISTANCES, ends)}


def _difference(
    real: np.ndarray, a: np.ndarray, b: np.ndarray, labels: Labels | None
) -> np.ndarray:
    """(FID, KID) of `a` minus those of `b`."""
    with warnings.catch_warnings():  # of few samples: equally many in both
        warnings.simplefilter("ignore", metrics.FewSamples)
        fid = metrics.frechet_distance(real, a) - metrics.frechet_distance(real, b)
    kid = metrics.kernel_distance(real, a, labels)
    return np.array([fid, kid - metrics.kernel_distance(real, b, labels)])


def by_method(comparisons: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    """The comparisons of each method, by ascending evaluations; without repeats."""
    found: dict[str, list[Comparison]] = {}
    for one in sorted(comparisons, key=lambda one: one.evaluations):
        if not one.sampled.setting.repeat:
            found.setdefault(one.sampled.setting.method, []).append(one)
    return found


def fewest_evaluations(comparisons: Sequence[Comparison]) -> Rows:
    """Method → the fewest evaluations within the noise, and indistinguishable.

    Within the noise, all larger numbers of evaluations must be so, too, since a
    single set may be so by chance.  For "indistinguishable" the first set counts:
    by chance, some of many sets are not.
    """
    rows: Rows = {}
    for method, line in by_method(comparisons).items():
        found = {
            "FID ↓": _fewest(line, lambda one: one.within_noise["FID ↓"]),
            "KID ↓": _fewest(line, lambda one: one.within_noise["KID ↓"]),
            "both": _fewest(line, lambda one: all(one.within_noise.values())),
            "indistinguishable": next((c for c in line if c.indistinguishable), None),
            "largest tested": line[-1],
        }
        both = found["both"]
        rows[method] = {key: one and one.evaluations for key, one in found.items()}
        rows[method]["seconds per skull"] = both and both.sampled.sampling
    return rows


def _fewest(
    line: Sequence[Comparison], good: Callable[[Comparison], bool]
) -> Comparison | None:
    """The first of a method's comparisons from which on all are `good`, if any."""
    last = list(takewhile(good, reversed(line)))
    return last[-1] if last else None


def table(comparisons: Sequence[Comparison], name: str) -> Rows:
    """Method → evaluations along the path → value; ✓: distance within the noise."""
    counts = sorted({one.sampled.setting.along for one in comparisons})
    rows: Rows = {}
    for method, line in by_method(comparisons).items():
        rows[method] = dict.fromkeys(map(str, counts))
        for one in line:
            mark = " ✓" if one.within_noise.get(name) else ""
            value = f"{one.values[name].value:.3g}{mark}"
            rows[method][str(one.sampled.setting.along)] = value
    return rows


def costs(comparisons: Sequence[Comparison]) -> Rows:
    """Method → the cost of a skull, measured at its most evaluations."""
    rows: Rows = {}
    for method, (*_, most) in by_method(comparisons).items():
        rows[method] = {
            "evaluations": most.evaluations,
            "ms per evaluation": 1e3 * most.sampled.sampling / most.evaluations,
            "ms to decode": 1e3 * most.sampled.decoding,
            "peak GiB": most.sampled.memory / 2**30,
        }
    return rows


def record(comparisons: Sequence[Comparison]) -> Rows:
    """The values of every setting, for `Stage.finish`."""
    return {
        one.sampled.setting.name: {
            **one.values,
            "excess": one.excess,
            "noise": one.noise,
            "within noise": one.within_noise,
            "sampling seconds": one.sampled.sampling,
            "decoding seconds": one.sampled.decoding,
            "peak bytes": one.sampled.memory,
        }
        for one in comparisons
    }


def panels(
    comparisons: Sequence[Comparison], name: str, over: str = "evaluations"
) -> Panels:
    """FID or KID over "evaluations" or "seconds", for `view.curves.sweep_curves`."""
    found: Panels = {}
    for method, line in by_method(comparisons).items():
        model, solver = REFERENCES[line[0].sampled.setting.model]
        band, title = line[0].reference(name), f"reference: {LABELS[model]}, {solver}"
        _, panel = found.setdefault(title, (band, {}))
        panel[method] = [(getattr(one, over), one.distance(name)) for one in line]
    return found
