"""Table 1: generated sets compared with held-out skulls and within themselves."""

import warnings
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from skfm_lib import metrics
from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.data.manifest import stratified_split
from skfm_lib.metrics import Draws, Interval
from skfm_lib.metrics.feature_extraction import FeatureNetwork
from skfm_lib.models.med3d import Med3D
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.feature_net import study_features
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.paths import project_root

Row = dict[str, Interval]  # column of Table 1 → value

GENERATED = {  # row of Table 1: the stage that generates its skulls, their folder
    "DDPM": (stage_names.GENERATE, "ddpm"),
    "OTFM": (stage_names.GENERATE, "otfm"),
    "shortcut": (stage_names.FEW_STEPS, "shortcut"),
}
HALVES = 100  # of half-sampling
FEWEST = 12  # skulls in a set: each half must hold a skull and its 5 neighbours

BETWEEN_SETS = (
    "FID ↓", "KID ↓", "IP ↑", "IR ↑", "PP ↑", "PR ↑", "Density ↑", "Coverage ↑",
)  # fmt: skip
WITHIN_SET = ("MS-SSIM ↓", "MS-SSIM (variant) ↓")


def generated_sets(study: Study) -> dict[str, SkullSet]:
    """The synthetic sets of a study by their row of Table 1.

    Those of DDPM and OTFM, and that of the few-step model where its stage is finished.

    Raises:
        SkfmError: where stage 05 is not finished.
    """
    study.finished(stage_names.GENERATE)
    return {
        row: SkullSet(study.folder / stage / name, "train")
        for row, (stage, name) in GENERATED.items()
        if (study.folder / stage / "done.json").is_file()
        and (study.folder / stage / name / "manifest.csv").is_file()
    }


def generating_stages(study: Study) -> tuple[str, ...]:
    """The stages that `generated_sets` reads, as inputs of another stage."""
    return tuple(dict.fromkeys(GENERATED[row][0] for row in generated_sets(study)))


def common_size(*sets: SkullSet) -> int:
    """The number of skulls in the smallest of the sets.

    Raises:
        SkfmError: where that is too few for half-sampling with k = 5 neighbours.
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
    split = stratified_split(scores, count / len(items), seed)
    return [i for i, side in zip(items, split) if side == "test"]


def feature_network(
    stage: Stage, train: SkullSet, steps: int, med3d_weights: str | None = None
) -> FeatureNetwork:
    """The features of Table 1: `study_features`, or Med3D with a file of weights.

    A relative path of ``resnet_50.pth`` or ``resnet_50_23dataset.pth`` starts at the
    project's folder.
    """
    if med3d_weights is None:
        return study_features(stage, train, steps)
    return Med3D.load(project_root() / Path(med3d_weights).expanduser())


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
    sample = volumes_of(held_out, stratified_sample(held_out, count, seed))
    real, rows = features_of(network, sample, cache), {}
    for name, skulls in sets.items():
        sample = volumes_of(skulls, stratified_sample(skulls, count, seed))
        draws = compare(real, features_of(network, sample, cache), seed)
        rows[name] = table_row(draws, pair_similarity(sample, pairs, seed), count, seed)
    return rows


def table_row(
    draws: Draws, similarity: Mapping[str, np.ndarray], skulls: int, seed: int
) -> Row:
    """The results of `compare` and `pair_similarity` as intervals.

    The variant of MS-SSIM is averaged over the pairs for which it is defined.
    """
    row = dict(zip(BETWEEN_SETS, draws.intervals()))
    for column, values in similarity.items():
        defined = np.isfinite(values)
        pairs = metrics.random_pairs(skulls, len(values), seed)
        sides = [side[defined] for side in pairs]
        row[column] = metrics.pair_mean(values[defined], *sides)
    return row


def features_of(network: FeatureNetwork, volumes: Tensor, cache: Path) -> np.ndarray:
    """Features (n, d), float64, of volumes (n, 1, D, H, W), kept in a folder."""
    return metrics.extract(network, volumes, cache=cache).double().numpy()


def compare(
    real: np.ndarray, fake: np.ndarray, seed: int, n: int = HALVES, paired: bool = False
) -> Draws:
    """The columns `BETWEEN_SETS` for two sets of features (m, d), and for `n` halves.

    Halves of `paired` sets hold the same items.  Where there are fewer skulls than
    features, `comparison_caption` states it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.FewSamples)
        return metrics.half_draws(
            _between_sets, real, fake, n=n, seed=seed, paired=paired
        )


def _between_sets(real: np.ndarray, fake: np.ndarray) -> list[float]:
    return [
        metrics.frechet_distance(real, fake),
        metrics.kernel_distance(real, fake),
        *metrics.improved_precision_recall(real, fake),
        *metrics.probabilistic_precision_recall(real, fake),
        *metrics.density_coverage(real, fake),
    ]


def pair_similarity(volumes: Tensor, pairs: int, seed: int) -> dict[str, np.ndarray]:
    """MS-SSIM of random pairs within a set (§4.1): column → one value per pair.

    The standard measure on {0, 1}, and `metrics.ms_ssim_fork`, the variant in the
    code that the paper's is based on.  Lower means more varied.
    """
    window, scales = metrics.fitting(tuple(volumes.shape[-3:]))
    standard = metrics.ms_ssim_of_set(
        volumes, pairs, seed, data_range=1.0, window=window, scales=scales
    )
    variant = metrics.ms_ssim_of_set(
        volumes, pairs, seed, lambda x, y: metrics.ms_ssim_fork(2 * x - 1, 2 * y - 1)
    )
    return dict(zip(WITHIN_SET, (standard, variant)))


def comparison_caption(count: int, network: FeatureNetwork) -> str:
    """Number of skulls and features behind the columns `BETWEEN_SETS`."""
    text = f"{count} skulls a row and as many held out; {network.description}"
    if count >= network.dimensions:
        return text
    return (
        f"{text}, {network.dimensions} dimensions: fewer skulls than dimensions, so"
        " FID is biased upwards and comparable within this table only"
    )
