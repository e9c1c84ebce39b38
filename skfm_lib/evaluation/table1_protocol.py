"""Which sets Table 1 compares, and how many: the study's protocol, and the paper's."""

from collections.abc import Mapping
from typing import NamedTuple

from skfm_lib.data.dataset import SkullSet
from skfm_lib.evaluation.table1 import Sample, common_size, stratified_sample
from skfm_lib.evaluation.table1_columns import DEALS
from skfm_lib.metrics import fitting
from skfm_lib.metrics.feature_extraction import FeatureNetwork
from skfm_lib.study import Study, stage_names
from skfm_lib.utils.errors import SkfmError

PAIRS = {"study": 300, "paper": 1000}  # protocol → pairs for MS-SSIM (§4.1)
REFERENCE = "ref"  # the row of real skulls

Pairs = dict[str, tuple[Sample, Sample]]  # row → reference, compared set


class Protocol(NamedTuple):
    """How Table 1 is measured.

    ``study``: all sets are cut to one number of skulls, since distances decrease with
    it, and compared with test skulls, on which nothing was chosen.

    ``paper``: complete sets, as many generated skulls as in the training set, in
    Med3D's 2048 features, with 1000 pairs for MS-SSIM.  "ref" compares the training set
    with the test set (§4.2).  With which set the paper compares its generated ones it
    does not state; the training set is assumed.
    """

    name: str
    pairs: int

    @classmethod
    def choose(
        cls, study: Study, name: str | None, pairs: int | None, med3d: str | None
    ) -> "Protocol":
        """The protocol `name`, by default the paper's at preset paper only.

        `pairs` of None are the protocol's; `med3d` is the path of Med3D's weights.

        Raises:
            SkfmError: for another name, and for the paper's without Med3D.
        """
        at_paper = "paper" if study.settings.name == "paper" else "study"
        name = at_paper if name is None else name
        if name not in PAIRS:
            raise SkfmError(f"protocol {name!r}", f"one of {', '.join(PAIRS)}")
        if name == "paper" and med3d is None:
            raise SkfmError(
                "the paper's protocol without Med3D's weights",
                "its 2048 features",
                "-p med3d_weights PATH, or -p protocol study",
            )
        return cls(name, PAIRS[name] if pairs is None else pairs)

    def pairs_of_sets(
        self,
        train: SkullSet,
        test: SkullSet,
        generated: Mapping[str, SkullSet],
        seed: int,
    ) -> Pairs:
        """The reference and the set compared with it, for each row of Table 1.

        Raises:
            SkfmError: for too few skulls, and in the paper's protocol for a generated
                set of another size than the training set's.
        """
        sets = {"test": test, REFERENCE: train, **generated}
        count = common_size(*sets.values())
        if self.name == "study":
            samples = {
                name: Sample(name, skulls, stratified_sample(skulls, count, seed))
                for name, skulls in sets.items()
            }
            test_sample = samples.pop("test")
            return {name: (test_sample, sample) for name, sample in samples.items()}
        for name, skulls in generated.items():
            if len(skulls) != len(train):
                raise SkfmError(
                    f"{len(skulls)} generated skulls ({name})",
                    f"{len(train)}, as in the training set",
                    f"skfm run 05 -p count {len(train)}, or -p protocol study",
                )
        whole = {
            name: Sample(name, skulls, range(len(skulls)))
            for name, skulls in sets.items()
        }
        real = whole[REFERENCE]
        rows: Pairs = {REFERENCE: (whole["test"], real)}
        return rows | {name: (real, whole[name]) for name in generated}

    def caption(self, study: Study, sets: Pairs, network: FeatureNetwork) -> str:
        """What the numbers rest on: protocol, skulls, features, seed and intervals."""
        made_from = study.finished(stage_names.DATA).results["made_from"]
        numbers = "; ".join(
            f"{name}: {len(sample)} skulls against {len(reference)} "
            f"{'test' if reference.name == 'test' else 'training'} skulls"
            for name, (reference, sample) in sets.items()
        )
        first, *_ = sets.values()
        window, scales = fitting(first[0].grid.shape)
        fewest = min(len(sample) for pair in sets.values() for sample in pair)
        return (
            f"Quality of generation (Table 1), protocol {self.name}, "
            f"{study.settings.name} preset, {made_from}, seed {study.seed}; {numbers}; "
            f"{_sampling(sets)}{features_caption(fewest, network)}; "
            f"MS-SSIM of {self.pairs} pairs, {scales} scales, window {window}; "
            f"95 % intervals by {DEALS} deals of all "
            "sets into halves, those of MS-SSIM by the skulls that pairs share"
        )


def _sampling(sets: Pairs) -> str:
    """How the generated sets were sampled, such as ``ddpm, 32 ancestral steps; ``."""
    sources = [
        s.skulls.skulls[0].source for n, (_, s) in sets.items() if n != REFERENCE
    ]
    return "".join(source.rpartition(", seed")[0] + "; " for source in sources)


def features_caption(count: int, network: FeatureNetwork) -> str:
    """The features, with a warning where `count` skulls are fewer than dimensions."""
    text = f"{network.description}, {network.dimensions} dimensions"
    if count >= network.dimensions:
        return text
    return (
        f"{text}: fewer skulls than dimensions, so FID is biased upwards and comparable"
        " within this table only"
    )
