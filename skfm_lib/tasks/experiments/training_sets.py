"""The training sets of the experiments: which skulls a `Mix` holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from skfm_lib.data.manifest import Skull, proportional
from skfm_lib.tasks.experiments.mixes import MIRRORED, OWN, Counts, Mix, counts, mix_of
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import seed_of

FEWEST = 9  # skulls that failed, for a set of them


def available_of(every: Counts, base: int | None) -> Counts:
    """Real skulls of each score in "100% real": all of them, or `base` in their mix."""
    total = sum(every.values())
    if base is not None and base > total:
        found = f"{base} skulls as 100% real"
        raise SkfmError(found, f"at most {total}", "choose a smaller base")
    return every if base is None else proportional(every, base)


def needed(
    names: Iterable[str], every: Counts, base: int | None = None
) -> dict[str, Counts]:
    """Model → the synthetic skulls of each score that suffice for all named sets."""
    available = available_of(every, base)
    most: dict[str, Counts] = {}
    for mix in map(mix_of, names):
        if mix.generator:
            so_far = most.setdefault(mix.model, dict.fromkeys(every, 0))
            for quality, n in mix.added_counts(available).items():
                so_far[quality] = max(so_far[quality], n)
    return most


def training_set(
    name: str,
    real: Sequence[Skull],
    synthetic: Mapping[str, Sequence[Skull]],
    seed: int,
    base: int | None = None,
) -> list[Skull]:
    """The skulls of a training set, from the manifests of all available skulls.

    Args:
        real: the real skulls of split "train".  A share or number is sampled from
            `seed`, the same one for every set with that share; a smaller one is part
            of a larger one, unless `proportional` gives a score fewer of the latter.
        synthetic: `Mix.source` → its skulls.  The first ones of each score are taken,
            so that a smaller set is part of a larger one.
        base: the number of real skulls of "100% real"; None: all of them.

    The names of mirror images begin with ``mirrored/``.

    Raises:
        SkfmError: for an unknown name, for a number of all real skulls or more, for too
            few synthetic skulls, for an empty set and for any skull that is not of
            split "train".
    """
    mix, every = mix_of(name), counts(skull.quality for skull in real)
    available = every if mix.every else available_of(every, base)
    rng, rows = np.random.default_rng(seed_of(seed, "real")), []
    for quality, n in mix.real_counts(available, every).items():
        items = [i for i, skull in enumerate(real) if skull.quality == quality]
        rows += rng.permutation(items)[:n].tolist()
    chosen = [real[i] for i in sorted(rows)]
    wanted = mix.added_counts(available)
    if mix.model in OWN:
        chosen += _repeated(chosen, wanted, mix.model == MIRRORED)
    elif mix.model:
        chosen += _synthetic(name, synthetic.get(mix.source, ()), wanted, mix)
    wrong = [skull.name for skull in chosen if skull.split != "train"]
    if wrong or not chosen:
        found = f"{len(wrong)} skulls that are not for training, such as {wrong[:1]}"
        raise SkfmError(
            found if wrong else "a training set without skulls",
            'skulls of split "train" only',
            "check the data set's manifest",
        )
    return chosen


def _repeated(own: Sequence[Skull], wanted: Counts, mirror: bool) -> list[Skull]:
    """So many skulls of each score, of its own ones in turn, or their mirror images."""
    found = []
    for quality, n in wanted.items():
        of_score = [skull for skull in own if skull.quality == quality]
        found += [of_score[i % len(of_score)] for i in range(n)] if of_score else []
    if mirror:
        return [replace(s, name=f"{MIRRORED}/{s.name}") for s in found]
    return found


def _synthetic(
    name: str, source: Sequence[Skull], wanted: Counts, mix: Mix
) -> list[Skull]:
    """The first skulls of each score of a source."""
    found = []
    for quality, n in wanted.items():
        found += [skull for skull in source if skull.quality == quality][:n]
    least = FEWEST if mix.failed else sum(wanted.values())
    if len(found) < least:
        short = least - len(found)
        raise SkfmError(
            f"{name!r}: {short} of {least} skulls of {mix.source} are missing",
            f"{wanted} by quality score",
            "generate more synthetic skulls",
        )
    return found
