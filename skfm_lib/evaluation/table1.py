"""Table 1: generated sets compared with held-out skulls and within themselves."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from skfm_lib import metrics
from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.data.splits import stratified_choice
from skfm_lib.evaluation.table1_columns import (
    WITHIN_SET,
    Compared,
    Row,
    compare,
    in_range,
)
from skfm_lib.metrics.feature_extraction import FeatureNetwork, Volumes
from skfm_lib.models.med3d import Med3D
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.feature_net import study_features
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.paths import project_root

GENERATED = {  # row of Table 1: the stage that generates its skulls, their folder
    "DDPM": (stage_names.GENERATE, "ddpm"),
    "DDPM-v": (stage_names.GENERATE, "ddpm-v"),
    "OTFM": (stage_names.GENERATE, "otfm"),
    "shortcut": (stage_names.FEW_STEPS, "shortcut"),
}
FEWEST = 12  # skulls in a set: three quarters must hold a skull and its 5 neighbours


def generated_sets(study: Study) -> dict[str, SkullSet]:
    """The synthetic sets of a study by their row of Table 1.

    Those of DDPM and OTFM, that of DDPM-v where chapter 5 generated one, and that of
    the few-step model where its stage is finished and not stale.

    Raises:
        SkfmError: where stage 05 is not finished.
    """
    study.finished(stage_names.GENERATE)
    return {
        row: SkullSet(study.folder / stage / name, "train")
        for row, (stage, name) in GENERATED.items()
        if study.is_finished(stage)
        and (study.folder / stage / name / "manifest.csv").is_file()
    }


def generating_stages(study: Study) -> tuple[str, ...]:
    """The stages that `generated_sets` reads, as inputs of another stage."""
    return tuple(dict.fromkeys(GENERATED[row][0] for row in generated_sets(study)))


def common_size(*sets: SkullSet) -> int:
    """The number of skulls in the smallest of the sets.

    Raises:
        SkfmError: where that is too few for intervals with k = 5 neighbours.
    """
    count = min(map(len, sets))
    if count < FEWEST:
        found = f"a set of {count} skulls"
        raise SkfmError(found, f"at least {FEWEST} to compare", "generate more")
    return count


def stratified_sample(
    skulls: SkullSet, count: int, seed: int, without: Collection[int] = ()
) -> list[int]:
    """`count` items of a set, sampled in its own proportions of quality scores.

    Distances between sets decrease with the number of skulls, so all are computed
    between sets of one size.  Skulls of the scores `without` are excluded.

    Raises:
        SkfmError: where fewer than `count` skulls remain.
    """
    items = [i for i, q in enumerate(skulls.qualities) if q not in without]
    if not 0 < count <= len(items):
        raise SkfmError(f"{count} of {len(items)} skulls", f"1 to {len(items)}")
    scores = [skulls.qualities[i] for i in items]
    return [items[i] for i in stratified_choice(scores, count, seed)]


def feature_network(
    stage: Stage, train: SkullSet, steps: int, med3d_weights: str | None = None
) -> FeatureNetwork:
    """The features of Table 1: `study_features`, or Med3D with a file of weights.

    A relative path of ``resnet_50.pth`` or ``resnet_50_23dataset.pth`` starts at the
    project's folder.
    """
    return med3d(med3d_weights) or study_features(stage, train, steps)


def med3d(weights: str | None) -> Med3D | None:
    """Med3D with a file of weights, relative to the project's folder; None if None."""
    if weights is None:
        return None
    return Med3D.load(project_root() / Path(weights).expanduser())


def table_1(
    held_out: SkullSet,
    sets: Mapping[str, SkullSet],
    network: FeatureNetwork,
    cache: Path,
    pairs: int,
    seed: int,
) -> dict[str, Row]:
    """All columns of Table 1 for each of the `sets`, with 95 % intervals.

    All sets are cut to a `common_size`.  The intervals reflect chance in the sets
    compared, not in training.
    """
    count = common_size(held_out, *sets.values())
    sample, scores = _sample(held_out, count, seed)
    real, rows = features_of(network, sample, cache), {}
    for name, skulls in sets.items():
        sample, others = _sample(skulls, count, seed)
        fake = features_of(network, sample, cache)
        compared = compare(real, fake, seed, labels=(scores, others))
        row = table_row(compared, pair_similarity(sample, pairs, seed), count, seed)
        rows[name] = in_range(row, count)
    return rows


def _sample(skulls: SkullSet, count: int, seed: int) -> tuple[Volumes, list[int]]:
    """A `stratified_sample` as volumes and scores."""
    items = stratified_sample(skulls, count, seed)
    return volumes_of(skulls, items), [skulls.qualities[i] for i in items]


def table_row(
    compared: Compared, similarity: Mapping[str, np.ndarray], skulls: int, seed: int
) -> Row:
    """The results of `compare` and `pair_similarity` with symmetric 95 % intervals.

    They may be differences of results.  The variant of MS-SSIM is averaged over the
    pairs for which it is defined.
    """
    row = compared.row()
    for column, values in similarity.items():
        defined = np.isfinite(values)
        pairs = metrics.random_pairs(skulls, len(values), seed)
        sides = [side[defined] for side in pairs]
        row[column] = metrics.pair_mean(values[defined], *sides)
    return row


def features_of(network: FeatureNetwork, volumes: Volumes, cache: Path) -> np.ndarray:
    """Features (n, d), float64, of volumes (n, 1, D, H, W), kept in a folder."""
    return metrics.extract(network, volumes, cache=cache).double().numpy()


def pair_similarity(volumes: Volumes, pairs: int, seed: int) -> dict[str, np.ndarray]:
    """MS-SSIM of random pairs within a set (§4.1): column → one value per pair.

    The standard measure on (v + 1) / 2, and `metrics.ms_ssim_fork`, the variant in the
    code that the paper's is based on, on v.  Lower means more varied.
    """
    window, scales = metrics.fitting(tuple(volumes[0].shape[-3:]))
    standard = metrics.ms_ssim_of_set(
        volumes, pairs, seed, _standard, window=window, scales=scales
    )
    variant = metrics.ms_ssim_of_set(volumes, pairs, seed, metrics.ms_ssim_fork)
    return dict(zip(WITHIN_SET, (standard, variant)))


def _standard(x: Tensor, y: Tensor, **settings: int) -> Tensor:
    """MS-SSIM of pairs of v on the scale from 0 to 1."""
    return metrics.ms_ssim((x + 1) / 2, (y + 1) / 2, data_range=1.0, **settings)


def comparison_caption(count: int, network: FeatureNetwork) -> str:
    """Number of skulls and features behind the columns `BETWEEN_SETS`."""
    text = f"{count} skulls a row and as many held out; {network.description}"
    if count >= network.dimensions:
        return text
    return (
        f"{text}, {network.dimensions} dimensions: fewer skulls than dimensions, so"
        " FID is biased upwards and comparable within this table only"
    )
