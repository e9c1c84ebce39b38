"""Table 1: a set of skulls compared with held-out ones, and with itself."""

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

GENERATED = {  # row of Table 1: the stage that draws its skulls, their folder there
    "DDPM": (stage_names.GENERATE, "ddpm"),
    "OTFM": (stage_names.GENERATE, "otfm"),
    "shortcut": (stage_names.FEW_STEPS, "shortcut"),
}
HALVES = 100  # of half-sampling
FEWEST = 12  # skulls in a set: each half must hold a skull and its 5 neighbours

COMPARED = (
    "FID ↓", "KID ↓", "IP ↑", "IR ↑", "PP ↑", "PR ↑", "Density ↑", "Coverage ↑",
)  # fmt: skip
LIKENESS = ("MS-SSIM ↓", "MS-SSIM (variant) ↓")


def generated_sets(study: Study) -> dict[str, SkullSet]:
    """The synthetic sets of a study by their row of Table 1.

    DDPM's and OTFM's, and the few-step model's where its stage is finished and has
    drawn some.  SkfmError, with the command for it, where stage 05 is not finished.
    """
    study.finished(stage_names.GENERATE)
    return {
        row: SkullSet(study.folder / stage / name, "train")
        for row, (stage, name) in GENERATED.items()
        if (study.folder / stage / "done.json").is_file()
        and (study.folder / stage / name / "manifest.csv").is_file()
    }


def generating_stages(study: Study) -> tuple[str, ...]:
    """The stages that `generated_sets` reads, for the fingerprint of a stage."""
    stages = [GENERATED[row][0] for row in generated_sets(study)]
    return tuple(dict.fromkeys(stages))


def equal_count(*sets: SkullSet) -> int:
    """How many skulls the smallest of the sets holds.

    SkfmError where that is fewer than half-sampling and k = 5 neighbours ask for.
    """
    count = min(map(len, sets))
    if count < FEWEST:
        found = f"a set of {count} skulls"
        raise SkfmError(found, f"at least {FEWEST} to compare", "generate more")
    return count


def equal_part(
    skulls: SkullSet, count: int, seed: int, without: Collection[int] = ()
) -> list[int]:
    """`count` items drawn in the set's own mix of quality scores, for fair distances.

    Distances between sets fall with the number of skulls; so all are taken between
    sets of one size.  Skulls of the scores `without` are left out.  Raises SkfmError
    where the set holds fewer.
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
    """What Table 1 measures in: Med3D with a user's weights, else `study_features`.

    med3d_weights  ``resnet_50.pth`` or ``resnet_50_23dataset.pth``; a relative path
                   starts at the project's folder
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

    Each is compared with as many skulls held out (`equal_count`).  The intervals
    show chance in the sets compared, not in training.
    """
    count = equal_count(held_out, *sets.values())
    real = volumes_of(held_out, equal_part(held_out, count, seed))
    rows = {}
    for name, skulls in sets.items():
        fake = volumes_of(skulls, equal_part(skulls, count, seed))
        draws = compare(real, fake, network, cache, seed)
        rows[name] = row_of(draws, likeness(fake, pairs, seed), count, seed)
    return rows


def row_of(
    draws: Draws, values: Mapping[str, np.ndarray], skulls: int, seed: int
) -> Row:
    """What `compare` and `likeness` gave for a set of so many skulls, as intervals.

    MS-SSIM without the pairs for which the variant is undefined.
    """
    row = dict(zip(COMPARED, draws.intervals()))
    for column, each in values.items():
        defined = np.isfinite(each)
        pairs = metrics.random_pairs(skulls, len(each), seed)
        sides = [side[defined] for side in pairs]
        row[column] = metrics.pair_mean(each[defined], *sides)
    return row


def compare(
    real: Tensor,
    fake: Tensor,
    network: FeatureNetwork,
    cache: Path,
    seed: int,
    paired: bool = False,
) -> Draws:
    """The columns `COMPARED` of two sets of one size, and of random halves of them.

    `paired` sets belong together item by item, and are drawn together.  That there
    may be fewer skulls than features is for the caption to say (`about`).
    """
    features = [
        metrics.extract(network, volumes, cache=cache).double().numpy()
        for volumes in (real, fake)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.FewSamples)
        return metrics.half_draws(
            _compared, *features, n=HALVES, seed=seed, paired=paired
        )


def _compared(real: np.ndarray, fake: np.ndarray) -> list[float]:
    return [
        metrics.frechet_distance(real, fake),
        metrics.kernel_distance(real, fake),
        *metrics.improved_precision_recall(real, fake),
        *metrics.probabilistic_precision_recall(real, fake),
        *metrics.density_coverage(real, fake),
    ]


def likeness(volumes: Tensor, pairs: int, seed: int) -> dict[str, np.ndarray]:
    """MS-SSIM of random pairs within a set (§4.1), by column, one value a pair.

    Standard, on {0, 1}; and "variant", `metrics.ms_ssim_fork`, as in the code the
    paper grew from.  Lower is more varied.
    """
    window, scales = metrics.fitting(tuple(volumes.shape[-3:]))
    settings = {"data_range": 1.0, "window": window, "scales": scales}
    standard = metrics.ms_ssim_of_set(volumes, pairs, seed, **settings)
    variant = metrics.ms_ssim_of_set(volumes, pairs, seed, _variant)
    return dict(zip(LIKENESS, (standard, variant)))


def _variant(x: Tensor, y: Tensor) -> Tensor:
    return metrics.ms_ssim_fork(2 * x - 1, 2 * y - 1)


def about(count: int, network: FeatureNetwork) -> str:
    """What the columns that compare sets rest on, for a caption."""
    told = f"{count} skulls a row and as many held out; {network.description}"
    if count >= network.dimensions:
        return told
    return (
        f"{told}, {network.dimensions} dimensions: fewer skulls than dimensions, so"
        " FID is biased upwards and holds within this table only"
    )
