"""Do the metrics answer as their definitions say?  Known skulls, harmed on purpose."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.evaluation import table1
from skfm_lib.evaluation.table1 import COMPARED, LIKENESS, Row, equal_part
from skfm_lib.metrics.feature_extraction import FeatureNetwork
from skfm_lib.utils.seeding import generator

# ↑ rises  ↓ falls  = stays  ≥ does not fall  ★ best there is  · no claim
#               FID KID  IP IR  PP PR  Dens. Cov.  MS-SSIM, variant
EXPECTED = {
    "noise":       "↑ ↑   ↓ ·   ↓ ·     ↓ ↓        ↓ ↓",
    "blur":        "↑ ↑   ↓ ·   ↓ ·     ↓ ↓        · ·",
    "lost scores": "↑ ↑   ≥ ↓   ≥ ↓     · ↓        · ·",
    "few skulls":  "↑ ↑   · ↓   · ↓     · ↓        ↑ ↑",
    "copies":      "★ ★   ★ ★   ★ ★     = ★        = =",
}  # fmt: skip
COLUMNS = (*COMPARED, *LIKENESS)
UNHARMED = "unharmed"
NOISE = (0.003, 0.01, 0.03)  # share of voxels flipped
BLUR = (0.7, 1.0, 1.5)  # σ of a Gaussian, voxels; bone is what stays above one half
FEW = (9, 2)  # skulls that a collapsed set repeats
PAIRS = 100  # of MS-SSIM


class Response(NamedTuple):
    """Columns of Table 1 for a set, and their differences from the unharmed set's."""

    row: Row
    change: Row


Responses = dict[str, dict[str, Response]]  # kind of harm → strength → response


def responses(
    real: SkullSet, fresh: SkullSet, network: FeatureNetwork, cache: Path, seed: int
) -> Responses:
    """Every column of Table 1 for skulls of `fresh` against `real`, whole and harmed.

    All sets hold as many skulls.  "lost scores" lacks the most frequent quality
    score of `fresh`, then the two most frequent; "few skulls" repeats a few, which
    may be good or bad ones; "copies" are the very skulls of `real` that the set is
    compared with: no new skull in it, and the best score.
    """
    found: Responses = {}
    unharmed = None
    for family, strength, reference, fake in _cases(real, fresh, seed):
        paired = family == "copies"
        draws = table1.compare(reference, fake, network, cache, seed, paired)
        values = table1.likeness(fake, PAIRS, seed)
        unharmed = unharmed or (draws, values)
        change = draws.minus(unharmed[0])
        changes = {name: values[name] - unharmed[1][name] for name in values}
        found.setdefault(family, {})[strength] = Response(
            table1.row_of(draws, values, len(fake), seed),
            table1.row_of(change, changes, len(fake), seed),
        )
    return found


def noisy(volumes: Tensor, share: float, seed: int) -> Tensor:
    """Occupancies with a share of all voxels flipped, each volume from its own seed."""
    flips = [
        torch.rand(v.shape, generator=generator(seed, "noise", share, i)) < share
        for i, v in enumerate(volumes)
    ]
    return volumes ^ torch.stack(flips)


def blurred(volumes: Tensor, sigma: float) -> Tensor:
    """Occupancies blurred by a Gaussian of `sigma` voxels and made binary again."""
    soft = [gaussian_filter(v[0].numpy().astype(np.float32), sigma) for v in volumes]
    return torch.from_numpy(np.stack(soft)[:, None] > 0.5)


def expected(kind: str) -> dict[str, str]:
    """Column → the symbol of `EXPECTED` for a kind of harm."""
    return dict(zip(COLUMNS, EXPECTED[kind].split(), strict=True))


def answers(found: Responses) -> dict[str, dict[str, str]]:
    """Column → kind of harm → how it moved, and whether as its definition says.

    Judged at the greatest strength: ↑ or ↓ where the 95 % interval of the change
    leaves out 0, else =.  ★ is met where the value is the best that can be.
    """
    table: dict[str, dict[str, str]] = {column: {} for column in COLUMNS}
    for kind in EXPECTED:
        strongest = list(found[kind].values())[-1]
        for column, wanted in expected(kind).items():
            _, low, high = strongest.change[column]
            moved = "↑" if low > 0 else "↓" if high < 0 else "="
            if wanted == "★":
                value, higher = strongest.row[column].value, column.endswith("↑")
                met = value >= 1 - 1e-9 if higher else value <= 1e-9
            else:
                met = moved == wanted or (wanted == "≥" and moved != "↓")
            told = f"{wanted} met" if met else f"{wanted} not met: {moved}"
            table[column][kind] = moved if wanted == "·" else told
    return table


def _cases(
    real: SkullSet, fresh: SkullSet, seed: int
) -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Kind of harm, strength, reference and compared set; the unharmed set first."""
    frequent = Counter(fresh.qualities).most_common(2)
    count = min(len(real), len(fresh) - sum(n for _, n in frequent))
    reference = volumes_of(real, equal_part(real, count, seed))
    whole = volumes_of(fresh, equal_part(fresh, count, seed))
    yield UNHARMED, "", reference, whole
    for share in NOISE:
        yield "noise", f"{share:.1%}", reference, noisy(whole, share, seed)
    for sigma in BLUR:
        yield "blur", f"σ {sigma}", reference, blurred(whole, sigma)
    for lost in ([q for q, _ in frequent[:some]] for some in (1, 2)):
        rest = volumes_of(fresh, equal_part(fresh, count, seed, lost))
        yield "lost scores", f"QS {lost}", reference, rest
    order = torch.randperm(count, generator=generator(seed, "few"))
    for few in FEW:
        repeats = order[torch.arange(count) % few]
        yield "few skulls", f"{few}", reference, whole[repeats]
    yield "copies", f"{count}", reference, reference
