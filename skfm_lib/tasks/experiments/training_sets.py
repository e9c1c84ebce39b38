"""The training sets of the paper's experiments with synthetic skulls (§4.3)."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from skfm_lib.data.manifest import Skull, proportional
from skfm_lib.presets import paper_tables
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import seed_of

Counts = dict[int, int]  # quality score → skulls


def counts(qualities: Iterable[int | None]) -> Counts:
    """Number of skulls of each quality score, in ascending order; unscored left out."""
    return dict(sorted(Counter(q for q in qualities if q).items()))


@dataclass(frozen=True)
class Mix:
    """The composition of a training set; "real" skulls are those of the study itself.

    Attributes:
        real: share of the real training skulls.
        model: the model whose synthetic skulls are added, or "".
        added: their share of the number of all real skulls, in the real mix of scores;
            or "balanced", so many that all scores are equally frequent; or
            "stratified", the same number in the real mix.
        number: of real skulls, in place of their share.

    >>> Mix(1.0, "otfm", "balanced").synthetic_counts({2: 5, 3: 9})
    {2: 4, 3: 0}
    """

    real: float = 1.0
    model: str = ""
    added: float | str = 0.0
    number: int | None = None

    def real_counts(self, available: Counts) -> Counts:
        """Real skulls of each score, of those available.

        SkfmError for a number of all of them or more: all have a name of their own, and
        would be trained on twice.
        """
        total = sum(available.values())
        if self.number is None:
            return proportional(available, round(self.real * total))
        if self.number >= total:
            found = f"a set of {self.number} real skulls"
            expected = f"fewer than all {total}, which are the set 100% real"
            raise SkfmError(found, expected, "choose a smaller number")
        return proportional(available, self.number)

    def synthetic_counts(self, available: Counts) -> Counts:
        """Synthetic skulls of each score, given the real ones available."""
        if not isinstance(self.added, str):
            return proportional(available, round(self.added * sum(available.values())))
        balanced = {q: max(available.values()) - n for q, n in available.items()}
        if self.added == "balanced":
            return balanced
        return proportional(available, sum(balanced.values()))


# The sets by the paper's names; "synth" is the skulls of one of its two models.
MIXES = {
    "100% real": Mix(),
    "100% DDPM": Mix(0.0, "ddpm", 1.0),
    "100% OTFM": Mix(0.0, "otfm", 1.0),
    "100% real + 25% DDPM": Mix(1.0, "ddpm", 0.25),
    "100% real + 25% OTFM": Mix(1.0, "otfm", 0.25),
    "50% real": Mix(0.5),
    "50% real + 25% DDPM": Mix(0.5, "ddpm", 0.25),
    "50% real + 25% OTFM": Mix(0.5, "otfm", 0.25),
    "OTFM-s": Mix(1.0, "otfm", "stratified"),
    "OTFM-b": Mix(1.0, "otfm", "balanced"),
}


def mix_of(name: str) -> Mix:
    """The mix of that name in `MIXES`, or of a number of skulls, such as "36 real".

    SkfmError for others, listing them.
    """
    if number := re.fullmatch(r"([1-9]\d*) real", name):
        return Mix(number=int(number[1]))
    if name not in MIXES:
        expected = f"one of {', '.join(MIXES)}; or a number, such as 36 real"
        raise SkfmError(f"no training set {name!r}", expected)
    return MIXES[name]


def seeds_of(
    sets: Sequence[str], seeds: Sequence[int], more: Sequence[int] = ()
) -> dict[str, list[int]]:
    """Training set → the seeds of its trainings, with `more` for the sets of Table 4.

    "all" stands for all of `MIXES`.
    """
    names = [name for one in sets for name in (MIXES if one == "all" else [one])]
    further = dict.fromkeys(paper_tables.TABLE_4, more)
    return {name: [*seeds, *further.get(name, ())] for name in names}


def needed(names: Iterable[str], available: Counts) -> dict[str, Counts]:
    """Model → the synthetic skulls of each score that suffice for all named sets."""
    most: dict[str, Counts] = {}
    for mix in map(mix_of, names):
        if mix.model:
            so_far = most.setdefault(mix.model, dict.fromkeys(available, 0))
            for quality, n in mix.synthetic_counts(available).items():
                so_far[quality] = max(so_far[quality], n)
    return most


def training_set(
    name: str,
    real: Sequence[Skull],
    synthetic: Mapping[str, Sequence[Skull]],
    seed: int,
) -> list[Skull]:
    """The skulls of a training set, from the manifests of all available skulls.

    Args:
        real: the real skulls of split "train".  A share or number is sampled from
            `seed`, the same one for every set with that share; a smaller one is part
            of a larger one, unless `proportional` gives a score fewer of the latter.
        synthetic: model → its skulls.  The first ones of each score are taken, so that
            a smaller set is part of a larger one.

    Raises:
        SkfmError: for an unknown name, for a number of all real skulls or more, for too
            few synthetic skulls, for an empty set and for any skull that is not of
            split "train".
    """
    mix, available = mix_of(name), counts(skull.quality for skull in real)
    rng, rows = np.random.default_rng(seed_of(seed, "real")), []
    for quality, n in mix.real_counts(available).items():
        items = [i for i, skull in enumerate(real) if skull.quality == quality]
        rows += rng.permutation(items)[:n].tolist()
    chosen = [real[i] for i in sorted(rows)]
    if mix.model:
        wanted, source = mix.synthetic_counts(available), synthetic.get(mix.model, ())
        for quality, n in wanted.items():
            chosen += [skull for skull in source if skull.quality == quality][:n]
        if short := len(rows) + sum(wanted.values()) - len(chosen):
            raise SkfmError(
                f"{name!r}: {short} of {sum(wanted.values())} skulls of {mix.model} "
                "are missing",
                f"{wanted} by quality score",
                "generate more synthetic skulls",
            )
    wrong = [skull.name for skull in chosen if skull.split != "train"]
    if wrong or not chosen:
        found = f"{len(wrong)} skulls that are not for training, such as {wrong[:1]}"
        raise SkfmError(
            found if wrong else "a training set without skulls",
            'skulls of split "train" only',
            "check the data set's manifest",
        )
    return chosen
