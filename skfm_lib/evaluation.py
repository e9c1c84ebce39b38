"""Table 1: a set of skulls compared with held-out ones, and with itself."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skfm_lib import metrics
from skfm_lib.data.manifest import stratified_split
from skfm_lib.data.skulls import SkullSet
from skfm_lib.metrics import Interval
from skfm_lib.metrics.study_features import StudyFeatures
from skfm_lib.study import Stage
from skfm_lib.training import load_weights, save_weights

PAIRWISE = {
    "FID ↓": metrics.frechet_distance,
    "KID ↓": metrics.kernel_distance,
    "IP ↑": lambda real, fake: metrics.improved_precision_recall(real, fake)[0],
    "IR ↑": lambda real, fake: metrics.improved_precision_recall(real, fake)[1],
    "PP ↑": lambda real, fake: metrics.probabilistic_precision_recall(real, fake)[0],
    "PR ↑": lambda real, fake: metrics.probabilistic_precision_recall(real, fake)[1],
}


def volumes_of(skulls: SkullSet, chosen: list[int] | None = None) -> Tensor:
    """The occupancies (n, 1, D, H, W) bool of a set, or of the chosen items."""
    items = range(len(skulls)) if chosen is None else chosen
    return torch.from_numpy(np.stack([skulls.occupancy(i)[None] for i in items]))


def equal_part(skulls: SkullSet, count: int, seed: int) -> list[int]:
    """`count` items drawn in the set's own mix of quality scores, for fair distances.

    Distances between sets fall with the number of skulls; so all are taken between
    sets of one size.
    """
    share = count / len(skulls)
    split = stratified_split(skulls.qualities, share, seed)
    return [i for i, side in enumerate(split) if side == "test"]


def study_features(stage: Stage, train: SkullSet, steps: int) -> StudyFeatures:
    """The feature network, trained once on the study's own training skulls."""
    network, path = StudyFeatures(), stage.folder / "features.safetensors"
    if not path.is_file():
        volumes, seed = volumes_of(train), stage.study.seed
        network = metrics.train_features(volumes, train.qualities, steps, seed)
        save_weights(network, path, {"steps": steps, "seed": seed})
    load_weights(network, path)
    return network.eval()


def compare(
    real: Tensor, fake: Tensor, network: StudyFeatures, cache: Path, seed: int
) -> dict[str, Interval]:
    """The columns of Table 1 that compare two sets, with 95 % intervals.

    real, fake  occupancies (n, 1, D, H, W); intervals by half-sampling, so that
                they show chance in the sets, not in training
    """
    features = [
        metrics.extract(network, volumes, cache=cache).double().numpy()
        for volumes in (real, fake)
    ]
    halves: Callable = partial(metrics.half_sampling, n=40, seed=seed)
    return {name: halves(measure, *features) for name, measure in PAIRWISE.items()}


def similarity(volumes: Tensor, pairs: int, seed: int) -> Interval:
    """Mean MS-SSIM of random pairs within a set, on {0, 1} (§4.1); lower is varied."""
    window, scales = metrics.fitting(tuple(volumes.shape[-3:]))
    settings = {"data_range": 1.0, "window": window, "scales": scales}
    values = metrics.ms_ssim_of_set(volumes, pairs, seed, **settings)
    return metrics.bootstrap(np.mean, values, seed=seed)


def as_text(row: Mapping[str, Interval | float]) -> dict[str, str]:
    """Values with their intervals, for a table."""
    return {
        name: f"{v.value:.3g} ({v.low:.3g}–{v.high:.3g})"
        if isinstance(v, Interval)
        else f"{v:.3g}"
        for name, v in row.items()
    }


def reading(
    rows: Mapping[str, Mapping[str, Interval]],
    paper: Mapping[str, Mapping[str, float]],
) -> dict[str, dict[str, str]]:
    """For each column: which of OTFM and DDPM is better here, and in the paper.

    "undecided" where the two intervals overlap.
    """
    answer = {}
    for column, otfm in rows["OTFM"].items():
        ddpm, higher = rows["DDPM"][column], column.endswith("↑")
        here = "undecided"
        if otfm.low > ddpm.high or otfm.high < ddpm.low:
            here = _better(otfm.value, ddpm.value, higher)
        there = "not given"
        if column in paper["OTFM"]:
            there = _better(paper["OTFM"][column], paper["DDPM"][column], higher)
        answer[column] = {"here": here, "paper": there}
    return answer


def _better(otfm: float, ddpm: float, higher: bool) -> str:
    if otfm == ddpm:
        return "equal"
    return "OTFM" if (otfm > ddpm) == higher else "DDPM"
