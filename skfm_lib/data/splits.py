"""Train, test and validation: stratified by score, all skulls of a patient together.

Networks learn from the training skulls, results are reported on the test skulls, and
whatever is chosen in between is chosen on the validation skulls.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from skfm_lib.data.manifest import VARIATION_OF, Skull, proportional
from skfm_lib.utils.errors import SkfmError

TEST, VALIDATION = 0.2, 0.1  # shares of the patients; 182 of the paper's 908 (§4.1)
FEWEST = 12  # patients for validation: the fewest skulls that chapter 13 compares
HELD_OUT = VALIDATION / (1 - TEST)  # of a training set that came without validation


def stratified_choice(qualities: Sequence[int], count: int, seed: int) -> list[int]:
    """`count` items, ascending: divided among the scores by `proportional`, at random.

    >>> stratified_choice([2, 2, 2, 2, 5, 5], 3, seed=0)
    [0, 2, 5]
    """
    quotas = proportional(Counter(qualities), count)
    rng, chosen = np.random.default_rng(seed), []
    for quality, quota in quotas.items():
        members = np.flatnonzero(np.asarray(qualities) == quality)
        chosen += rng.permutation(members)[:quota].tolist()
    return sorted(chosen)


def check_shares(test: float, validation: float | None) -> None:
    """SkfmError for shares that are negative or leave nothing to train on."""
    validation = VALIDATION if validation is None else validation
    if not (test >= 0 and validation >= 0 and test + validation < 1):
        found = f"shares of {test:g} for test and {validation:g} for validation"
        expected = "shares of at least 0, together below 1"
        raise SkfmError(found, expected, "choose --validation 0.1, or 0 for none")


def patient_split(
    owners: Mapping[str, str],
    qualities: Mapping[str, int | None],
    test: float = TEST,
    seed: int = 0,
    validation: float | None = None,
) -> dict[str, str]:
    """Split scans into "train", "test" and "validation", by patient.

    Patients are sampled stratified by the score of their first scan: the share `test`
    of all, then the share `validation` of all from the others.  None stands for
    `VALIDATION`, or for 0 where that is fewer than `FEWEST` patients.  `owners` and
    `qualities` map names of scans to patients and to scores; scans without a score
    (None) are in the split "unlabelled".

    >>> owners = {"scan 1": "Ann", "scan 2": "Ann", "scan 3": "Ben"}
    >>> patient_split(owners, {"scan 1": 5, "scan 2": 4, "scan 3": 5}, test=0.5)
    {'scan 1': 'test', 'scan 2': 'test', 'scan 3': 'train'}
    """
    labelled = {name: quality for name, quality in qualities.items() if quality}
    first = {owners[name]: quality for name, quality in reversed(labelled.items())}
    everyone = dict.fromkeys(owners[name] for name in qualities)
    patients = [owner for owner in everyone if owner in first]
    splits = dict.fromkeys(patients, "train")
    if validation is None:
        enough = round(VALIDATION * len(patients)) >= FEWEST
        validation = VALIDATION if enough else 0.0
    for split, share in (("test", test), ("validation", validation)):
        left = [owner for owner in patients if splits[owner] == "train"]
        count = round(share * len(patients))
        items = stratified_choice([first[owner] for owner in left], count, seed)
        splits |= {left[i]: split for i in items}
    unlabelled = dict.fromkeys(qualities, "unlabelled")
    return unlabelled | {name: splits[owners[name]] for name in labelled}


def with_validation(skulls: Sequence[Skull]) -> list[Skull]:
    """The rows of a manifest of train and test, with a validation split.

    The share `HELD_OUT` of the training patients is held out, always the same ones;
    variations of their skulls are left out.  The test skulls are not touched.
    """
    owner = {skull.name: skull.source for skull in skulls}
    parents = {s.name: parent for s in skulls if (parent := _parent(s))}
    owner |= {name: owner.get(parent, parent) for name, parent in parents.items()}
    train = [s for s in skulls if s.split == "train" and s.name not in parents]
    first = {s.source: s.quality or 0 for s in reversed(train)}
    patients = sorted(first)
    scores = [first[patient] for patient in patients]
    count = round(HELD_OUT * len(patients))
    held = {patients[i] for i in stratified_choice(scores, count, seed=0)}
    rows = []
    for skull in skulls:
        if skull.split != "train" or owner[skull.name] not in held:
            rows.append(skull)
        elif skull.name not in parents:
            rows.append(replace(skull, split="validation"))
    return rows


def _parent(skull: Skull) -> str:
    """The skull that a variation was made from; "" for others."""
    if not skull.source.startswith(f"{VARIATION_OF} "):
        return ""
    return skull.source.removeprefix(f"{VARIATION_OF} ").rpartition(", seed ")[0]
