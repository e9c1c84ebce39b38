"""The held-out skulls of a packed model, with which generated sets are compared."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float

from skfm_lib import metrics
from skfm_lib.data.dataset import SkullSet
from skfm_lib.evaluation.screening.anatomical_distance import anatomical_interval
from skfm_lib.evaluation.screening.measures import SINGLE, Measurements
from skfm_lib.evaluation.table1 import Sample, stratified_sample
from skfm_lib.evaluation.table1_columns import ANATOMY, Row, compare, in_range
from skfm_lib.evaluation.table1_protocol import features_caption
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.reference_model.package import save_compact
from skfm_lib.training.checkpoints import load_weights, save_weights
from skfm_lib.training.corruptions import KINDS
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

HELD_OUT, NETWORK = "held_out.npz", "feature_network.safetensors"
COLUMNS = ("FID ↓", "IP ↑", "IR ↑", "PP ↑", "PR ↑")  # and ANATOMY
FEWEST = 2 * SINGLE  # skulls to compare: each half has as many as there are measures


@dataclass(frozen=True)
class ComparisonSet:
    """Features and measures of held-out skulls.

    The networks were trained on none of these skulls, and nothing was chosen on them.
    """

    network: StudyFeatures
    features: Float[np.ndarray, "n d"]  #: of `network`
    values: Float[np.ndarray, "n single"]  #: the first SINGLE of `measures.MEASURES`
    qualities: list[int]

    @classmethod
    def of(
        cls, network: StudyFeatures, skulls: SkullSet, measured: Measurements
    ) -> "ComparisonSet":
        """Of a set of skulls and its measures."""
        features = _features(network, skulls, range(len(skulls)))
        return cls(network, features, measured.values, skulls.qualities)

    def __len__(self) -> int:
        return len(self.qualities)

    def compare(self, skulls: SkullSet, measured: Measurements, seed: int = 0) -> Row:
        """COLUMNS of Table 1 and the anatomical distance, with 95 % intervals.

        The larger set is sampled in its own mix of scores, so that both have equally
        many skulls; the mixes are not matched.

        Raises:
            SkfmError: for fewer than FEWEST skulls in either.
        """
        count = self.common_size(skulls)
        chosen = np.array(stratified_sample(skulls, count, seed))
        rng = np.random.default_rng(seed)
        kept = np.sort(rng.choice(len(self), count, replace=False))
        fake = _features(self.network, skulls, chosen.tolist())
        row = compare(self.features[kept], fake, seed).row()
        real = self.values[kept]
        anatomy = anatomical_interval(real, measured.values[chosen], seed)
        return {**in_range({n: row[n] for n in COLUMNS}, count), ANATOMY: anatomy}

    def common_size(self, skulls: SkullSet) -> int:
        """The number of skulls that are compared; SkfmError where it is too small."""
        count = min(len(self), len(skulls))
        if count < FEWEST:
            found = f"sets of {len(self)} and {len(skulls)} skulls"
            raise SkfmError(found, f"at least {FEWEST} in each", "generate more")
        return count

    def caption(self, count: int) -> str:
        """The features, and whether `count` skulls are few for them."""
        return features_caption(count, self.network)

    def save(self, folder: Path) -> None:
        """Write HELD_OUT and NETWORK to a folder, in half precision."""
        with TemporaryDirectory() as name:
            full = Path(name) / NETWORK
            save_weights(self.network, full, {})
            save_compact(full, folder / NETWORK)
        content: dict[str, Any] = {
            "features": self.features.astype(np.float16),
            "values": self.values,
            "qualities": np.array(self.qualities),
        }
        with replacing(folder / HELD_OUT) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **content)


def load_comparison_set(network: Path, held_out: Path) -> ComparisonSet:
    """What `ComparisonSet.save` wrote."""
    features = StudyFeatures(len(KINDS))
    load_weights(features, network)
    with np.load(held_out) as content:
        values = content["features"].astype(np.float64), content["values"]
        return ComparisonSet(features.eval(), *values, content["qualities"].tolist())


def _features(
    network: StudyFeatures, skulls: SkullSet, items: range | list[int]
) -> np.ndarray:
    volumes = Sample("skulls", skulls, items).volumes
    return metrics.extract(network, volumes).double().numpy()
