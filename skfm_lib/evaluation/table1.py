"""Table 1: generated sets compared with held-out skulls and within themselves."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from skfm_lib import metrics
from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.data.splits import stratified_choice
from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening.anatomical_distance import anatomical_draws
from skfm_lib.evaluation.screening.measures import SINGLE, measure_skulls
from skfm_lib.evaluation.table1_columns import (
    ANATOMY,
    WITHIN_SET,
    Compared,
    Row,
    compare,
    in_range,
)
from skfm_lib.metrics import Draws
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
    "ours": (stage_names.GENERATE, "ours"),
    "shortcut": (stage_names.FEW_STEPS, "shortcut"),
}
FEWEST = 2 * SINGLE  # skulls in a set: each half needs as many as it has measures


def generated_sets(study: Study) -> dict[str, SkullSet]:
    """The synthetic sets of a study by their row of Table 1.

    Those of DDPM, OTFM and ours, that of DDPM-v where chapter 5 generated one, and that
    of the few-step model where its stage is finished and not stale.

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
        SkfmError: where half of that is too few for the anatomical distance.
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


@dataclass(frozen=True)
class Sample:
    """The `items` of a set, itself a set of skulls to measure (`measures.Skulls`)."""

    name: str
    skulls: SkullSet
    items: Sequence[int]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def grid(self) -> Grid:
        """The grid of the set."""
        return self.skulls.grid

    @property
    def qualities(self) -> list[int]:
        """The quality scores in the order of the items."""
        return [self.skulls.qualities[item] for item in self.items]

    @property
    def volumes(self) -> Volumes:
        """The volumes as stored, on demand."""
        return volumes_of(self.skulls, self.items)

    def volume(self, index: int) -> np.ndarray:
        """One skull as stored, bits or bytes (D, H, W)."""
        return self.skulls.volume(self.items[index])


class SetResult(NamedTuple):
    """A set compared with a reference by features and by anatomy, and with itself."""

    compared: Compared
    anatomy: Draws
    similarity: Mapping[str, np.ndarray]
    skulls: int
    seed: int

    def row(self) -> Row:
        """All columns of Table 1, with 95 % intervals within the range of each."""
        return in_range(self._symmetric(), self.skulls)

    def minus(self, other: "SetResult") -> Row:
        """The differences, with the 95 % intervals of paired draws.

        Both are of one reference, dealt alike, and of equally many skulls, whose i-th
        ones have the same quality score and, where generated, the same noise: what the
        reference and the pairs of MS-SSIM have in common cancels.  The variant of
        MS-SSIM is averaged over the pairs for which both are defined.
        """
        similarity = {
            name: values - other.similarity[name]
            for name, values in self.similarity.items()
        }
        compared = self.compared.minus(other.compared)
        anatomy = self.anatomy.minus(other.anatomy)
        change = SetResult(compared, anatomy, similarity, self.skulls, self.seed)
        return change._symmetric()

    def _symmetric(self) -> Row:
        row = table_row(self.compared, self.similarity, self.skulls, self.seed)
        return row | {ANATOMY: self.anatomy.intervals()[0]}


def table_1(
    compared: Mapping[str, tuple[Sample, Sample]],
    network: FeatureNetwork,
    cache: Path,
    folder: Path,
    pairs: int,
    seed: int,
) -> dict[str, SetResult]:
    """Table 1: row → the result of its reference and the set that is compared with it.

    Features are kept in `cache`, measures of the anatomy in `folder`.  The intervals
    reflect chance in the sets compared, not in training.
    """

    samples = {one.name: one for pair in compared.values() for one in pair}
    features, measures = {}, {}
    for name, sample in samples.items():
        features[name] = features_of(network, sample.volumes, cache)
        measured = measure_skulls(sample, name, folder / f"{name}.npz")
        measures[name] = measured.values
    found = {}
    for row, (reference, sample) in compared.items():
        real, fake = reference.name, sample.name
        labels = reference.qualities, sample.qualities
        found[row] = SetResult(
            compare(features[real], features[fake], seed, labels=labels),
            anatomical_draws(measures[real], measures[fake], seed, labels),
            pair_similarity(sample.volumes, pairs, seed),
            len(sample),
            seed,
        )
    return found


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
