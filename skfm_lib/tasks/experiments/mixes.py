"""What the training sets are composed of: the paper's (§4.3), controls, *ours*."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from skfm_lib.data.manifest import proportional
from skfm_lib.utils.errors import SkfmError

Counts = dict[int, int]  # quality score → skulls
REPEATED, MIRRORED = OWN = ("repeated", "mirrored")  # the real skulls of the set itself


def counts(qualities: Iterable[int | None]) -> Counts:
    """Number of skulls of each quality score, in ascending order; unscored left out."""
    return dict(sorted(Counter(q for q in qualities if q).items()))


@dataclass(frozen=True)
class Mix:
    """The composition of a training set; "real" skulls are those of the study itself.

    Shares are of the number of real skulls that "100% real" stands for.

    Attributes:
        real: share of real training skulls.
        model: the model whose synthetic skulls are added, one of `OWN`, or "".
        added: their share, in the real mix of scores; or "balanced", so many that all
            scores are equally frequent; or "stratified", the same number in the real
            mix.
        number: of real skulls, in place of their share.
        every: whether the share is of all real training skulls.
        blurred: whether the points of all skulls are displaced at random.
        failed: whether the model's skulls are those that failed the screening; they
            may be fewer.

    >>> Mix(1.0, "otfm", "balanced").added_counts({2: 5, 3: 9})
    {2: 4, 3: 0}
    """

    real: float = 1.0
    model: str = ""
    added: float | str = 0.0
    number: int | None = None
    every: bool = False
    blurred: bool = False
    failed: bool = False

    @property
    def source(self) -> str:
        """Of the added skulls: the model and, of those that failed, their result."""
        return f"{self.model} failed" if self.failed else self.model

    @property
    def generator(self) -> str:
        """The model that generates the added skulls, or ""."""
        return "" if self.model in OWN else self.model

    @property
    def only_real(self) -> bool:
        """Whether it holds nothing but real skulls as they are."""
        return not (self.model or self.blurred)

    def real_counts(self, available: Counts, every: Counts) -> Counts:
        """Real skulls of each score, of those `available` and of `every` one.

        SkfmError for a number of all of them or more: all have a name of their own, and
        would be trained on twice.
        """
        if self.number is None:
            return proportional(available, round(self.real * sum(available.values())))
        total = sum(every.values())
        if self.number >= total:
            found = f"a set of {self.number} real skulls"
            expected = f"fewer than all {total}, which have a name of their own"
            raise SkfmError(found, expected, "choose a smaller number")
        return proportional(every, self.number)

    def added_counts(self, available: Counts) -> Counts:
        """Added skulls of each score, given the real ones available."""
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
# Controls, and the model that goes beyond the paper.
FURTHER = {
    "all real": Mix(every=True),
    "oversampled": Mix(1.0, REPEATED, "balanced"),
    "mirrored": Mix(1.0, MIRRORED, "balanced"),
    "blurred": Mix(blurred=True),
    "failed DDPM": Mix(0.0, "ddpm", 1.0, failed=True),
    "100% ours": Mix(0.0, "ours", 1.0),
}
NUMBERED = re.compile(r"([1-9]\d*) real( \+ 25% OTFM)?")


def mix_of(name: str) -> Mix:
    """The mix of that name in `MIXES` or `FURTHER`, or of a number of skulls.

    Such as "36 real", or "9 real + 25% OTFM".  SkfmError for others, listing them.
    """
    if found := NUMBERED.fullmatch(name):
        mix = MIXES["100% real + 25% OTFM"] if found[2] else Mix()
        return replace(mix, number=int(found[1]))
    if name in MIXES:
        return MIXES[name]
    if name not in FURTHER:
        known = ", ".join([*MIXES, *FURTHER])
        expected = f"one of {known}; or a number, such as 36 real"
        raise SkfmError(f"no training set {name!r}", expected)
    return FURTHER[name]


def seeds_of(sets: Sequence[str], seeds: Sequence[int]) -> dict[str, list[int]]:
    """Training set → the seeds of its trainings; "all" stands for all of `MIXES`."""
    names = [name for one in sets for name in (MIXES if one == "all" else [one])]
    return {name: list(seeds) for name in names}
