"""Sanity checks of the metrics: their response to known alterations of real skulls."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from torch import Tensor

from skfm_lib.data.bone_fractions import as_bytes, as_fraction
from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.evaluation import table1
from skfm_lib.evaluation.table1 import stratified_sample
from skfm_lib.evaluation.table1_columns import (
    BETWEEN_SETS,
    WITHIN_SET,
    Row,
    compare,
    in_range,
)
from skfm_lib.metrics.feature_extraction import FeatureNetwork
from skfm_lib.utils.seeding import generator

COLUMNS = (*BETWEEN_SETS, *WITHIN_SET)
# ↑ rises  ↓ falls  = stays  ≥ does not fall  ★ best possible value  · no expectation
SYMBOLS = {
    #                 FID KID  IP IR  PP PR  Dens. Cov.  MS-SSIM, variant
    "noise":          "↑ ↑   ↓ ·   ↓ ·     ↓ ↓        ↓ ↓",
    "blur":           "↑ ↑   ↓ ·   ↓ ·     ↓ ↓        · ·",
    "missing scores": "↑ ↑   ≥ ↓   ≥ ↓     · ↓        · ·",
    "few skulls":     "↑ ↑   · ↓   · ↓     · ↓        ↑ ↑",
    "copies":         "★ ★   ★ ★   ★ ★     = ★        = =",
}  # fmt: skip
EXPECTED = {  # alteration → column → symbol
    kind: dict(zip(COLUMNS, line.split(), strict=True))
    for kind, line in SYMBOLS.items()
}
UNALTERED = "unaltered"
NOISE = (0.003, 0.01, 0.03)  # share of voxels flipped
BLUR = (0.7, 1.0, 1.5)  # σ of a Gaussian in voxels, bits are thresholded at one half
FEW = (9, 2)  # skulls that are repeated
PAIRS = 100  # of MS-SSIM

COLOURS = dict(zip(EXPECTED, ("#1f5a94", "#c4622d", "#4b8b3b", "#7a4b94", "#3c3c3c")))
MET, NOT_MET = "#2e7d32", "#c62828"


class SanityResult(NamedTuple):
    """Columns of Table 1 for a set, and their differences from the unaltered set's."""

    row: Row
    change: Row


class Sample(NamedTuple):
    """Skulls of a set as stored (n, 1, D, H, W), with their scores (n,)."""

    volumes: Tensor
    scores: np.ndarray

    @classmethod
    def of(cls, skulls: SkullSet, items: Sequence[int]) -> "Sample":
        """The `items` of a set."""
        volumes = torch.stack(list(volumes_of(skulls, items)))
        return cls(volumes, np.array(skulls.qualities)[items])


SanityResults = dict[str, dict[str, SanityResult]]  # alteration → strength → result
Outcomes = dict[str, dict[str, str]]  # column → alteration → outcome


def sanity_results(
    real: SkullSet, fresh: SkullSet, network: FeatureNetwork, cache: Path, seed: int
) -> SanityResults:
    """Table 1 for skulls of `fresh` against `real`, unaltered and altered.

    All sets are of equal size.  "missing scores" excludes the most frequent quality
    score of `fresh`, then the two most frequent; "few skulls" repeats some skulls;
    "copies" are the skulls of `real` with which the set is compared.
    """
    found: SanityResults = {}
    unaltered = None
    for kind, strength, reference, fake in _cases(real, fresh, seed):
        a, b = (
            table1.features_of(network, s.volumes, cache) for s in (reference, fake)
        )
        labels, paired = (reference.scores, fake.scores), kind == "copies"
        compared = compare(a, b, seed, labels=labels, paired=paired)
        similarity = table1.pair_similarity(fake.volumes, PAIRS, seed)
        unaltered = unaltered or (compared, similarity)
        change = compared.minus(unaltered[0])
        changes = {name: similarity[name] - unaltered[1][name] for name in similarity}
        row = table1.table_row(compared, similarity, len(a), seed)
        found.setdefault(kind, {})[strength] = SanityResult(
            in_range(row, len(a)),
            table1.table_row(change, changes, len(a), seed),
        )
    return found


def noisy(volumes: Tensor, share: float, seed: int) -> Tensor:
    """Bits or bytes with a random share of voxels flipped, each volume's own."""
    flips = [
        torch.rand(v.shape, generator=generator(seed, "noise", share, i)) < share
        for i, v in enumerate(volumes)
    ]
    return torch.where(torch.stack(flips), ~volumes, volumes)


def blurred(volumes: Tensor, sigma: float) -> Tensor:
    """Fractions smoothed by a Gaussian of `sigma` voxels; bits thresholded again."""
    soft = [gaussian_filter(as_fraction(v[0].numpy()), sigma) for v in volumes]
    fractions = np.stack(soft)[:, None]
    bits = volumes.dtype == torch.bool
    return torch.from_numpy(fractions > 0.5 if bits else as_bytes(fractions))


def outcomes(found: SanityResults) -> Outcomes:
    """How each metric changed at the greatest strength, and whether as expected.

    ↑ or ↓ where the 95 % interval of the change excludes 0, otherwise =.  ★ is met
    where the value is the best possible one.
    """
    table: Outcomes = {column: {} for column in COLUMNS}
    for kind, symbols in EXPECTED.items():
        *_, strongest = found[kind].values()
        for column, symbol in symbols.items():
            _, low, high = strongest.change[column]
            moved = "↑" if low > 0 else "↓" if high < 0 else "="
            if symbol == "★":
                value, higher = strongest.row[column].value, column.endswith("↑")
                met = value >= 1 - 1e-9 if higher else value <= 1e-9
            else:
                met = moved == symbol or (symbol == "≥" and moved != "↓")
            outcome = f"{symbol} met" if met else f"{symbol} not met: {moved}"
            table[column][kind] = moved if symbol == "·" else outcome
    return table


def sanity_figure(found: SanityResults, outcome: Outcomes) -> Figure:
    """One panel per metric: values with 95 % intervals, alterations side by side.

    The grey band is the interval of the unaltered skulls; strengths increase to the
    right.  The symbol of `EXPECTED` above is green where it is met, red otherwise.
    """
    figure, axes = plt.subplots(
        2, 5, figsize=(12.5, 5.6), sharex=True, layout="constrained"
    )
    for axis, column in zip(axes.flat, COLUMNS):
        _panel(axis, column, found, outcome[column])
    return figure


def _panel(
    axis: Axes, column: str, found: SanityResults, outcome: Mapping[str, str]
) -> None:
    value, low, high = found[UNALTERED][""].row[column]
    axis.axhspan(low, high, color="0.87", zorder=0)
    axis.axhline(value, color="0.5", linewidth=0.8, zorder=1)
    centres, start = [], 0.0
    for kind, colour in COLOURS.items():
        y, *ends = np.array([result.row[column] for result in found[kind].values()]).T
        x = start + np.arange(len(y))
        reach = np.abs(np.array(ends) - y)
        axis.errorbar(x, y, reach, color=colour, marker="o", ms=4, lw=1, capsize=2)
        axis.text(
            x.mean(), 1.02, EXPECTED[kind][column].strip("·"), fontsize=12,
            color=NOT_MET if "not met" in outcome[kind] else MET, weight="bold",
            ha="center", va="bottom", transform=axis.get_xaxis_transform(),
        )  # fmt: skip
        centres.append(x.mean())
        start = x[-1] + 2
    axis.set_xticks(centres, list(COLOURS), rotation=55, ha="right", fontsize=9)
    axis.set_title(column, fontsize=10, pad=18)
    axis.tick_params(axis="y", labelsize=8)
    if column.startswith(("FID", "KID")):  # linear near 0, logarithmic beyond
        linear = 10 ** np.ceil(np.log10(max(-low, high, 1e-12)))
        axis.set_yscale("symlog", linthresh=linear)
        axis.set_ylim(bottom=min(1.5 * low, -0.1 * linear))


def _cases(
    real: SkullSet, fresh: SkullSet, seed: int
) -> Iterator[tuple[str, str, Sample, Sample]]:
    """Alteration, strength, reference and compared set; the unaltered set first."""
    frequent = Counter(fresh.qualities).most_common(2)
    count = min(len(real), len(fresh) - sum(n for _, n in frequent))
    reference = Sample.of(real, stratified_sample(real, count, seed))
    intact = Sample.of(fresh, stratified_sample(fresh, count, seed))
    yield UNALTERED, "", reference, intact
    for share in NOISE:
        altered = noisy(intact.volumes, share, seed)
        yield "noise", f"{share:.1%}", reference, intact._replace(volumes=altered)
    for sigma in BLUR:
        altered = blurred(intact.volumes, sigma)
        yield "blur", f"σ {sigma}", reference, intact._replace(volumes=altered)
    for missing in ([q for q, _ in frequent[:some]] for some in (1, 2)):
        rest = Sample.of(fresh, stratified_sample(fresh, count, seed, missing))
        yield "missing scores", f"QS {missing}", reference, rest
    order = torch.randperm(count, generator=generator(seed, "few"))
    for few in FEW:
        repeats = order[torch.arange(count) % few]
        part = Sample(intact.volumes[repeats], intact.scores[repeats])
        yield "few skulls", f"{few}", reference, part
    yield "copies", f"{count}", reference, reference
