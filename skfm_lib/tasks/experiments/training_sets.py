"""The training sets of the paper's experiments on synthetic skulls (§4.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from skfm_lib.data.manifest import Skull, proportional
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import seed_of

Counts = dict[int, int]  # quality score → skulls


@dataclass(frozen=True)
class Mix:
    """What a training set is made of; "real" skulls are those of the study itself.

    real   share of the real training skulls
    model  whose synthetic skulls are added ("" for none)
    added  how many: a share of the number of all real ones, in their mix of scores;
           or as many as make every score as frequent as the most frequent one
           ("balanced"); or as many as these, in the real mix ("stratified")
    """

    real: float = 1.0
    model: str = ""
    added: float | str = 0.0

    def real_counts(self, available: Mapping[int, int]) -> Counts:
        """Real skulls of each score, of those that are available."""
        total = round(self.real * sum(available.values()))
        return proportional(dict(available), total)

    def synthetic_counts(self, available: Mapping[int, int]) -> Counts:
        """Synthetic skulls of each score, beside the real ones that are available."""
        most, total = max(available.values()), sum(available.values())
        if self.added == "balanced":
            return {quality: most - n for quality, n in available.items()}
        if self.added == "stratified":
            return proportional(dict(available), most * len(available) - total)
        return proportional(dict(available), round(self.added * total))


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


def mix_called(name: str) -> Mix:
    """The mix of that name in `MIXES`; SkfmError for others, listing them."""
    if name not in MIXES:
        raise SkfmError(f"no training set {name!r}", f"one of {', '.join(MIXES)}")
    return MIXES[name]


def models_of(names: Sequence[str]) -> list[str]:
    """The models whose skulls the named sets hold."""
    models = (mix_called(name).model for name in names)
    return sorted({model for model in models if model})


def needed(names: Sequence[str], available: Mapping[int, int]) -> dict[str, Counts]:
    """How many synthetic skulls of each model and score the named sets ask for."""
    most: dict[str, Counts] = {}
    for mix in map(mix_called, names):
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
    """The skulls of a training set, from the manifests of all that there are.

    real       the real skulls of split "train", of which a share is drawn from `seed`,
               the same one for every set with that share
    synthetic  model → its skulls; the first ones of each score are taken, so that a
               smaller set is part of a larger one

    Raises SkfmError for an unknown name, for too few synthetic skulls, and for any
    skull that is not for training: what tests never enters.
    """
    mix, available = mix_called(name), _counts(real)
    half = _drawn(real, mix.real_counts(available), seed_of(seed, "real"))
    if not mix.model:
        return _checked(half)
    source, wanted = synthetic.get(mix.model, ()), mix.synthetic_counts(available)
    made = [
        skull
        for quality, n in wanted.items()
        for skull in [s for s in source if s.quality == quality][:n]
    ]
    if short := sum(wanted.values()) - len(made):
        raise SkfmError(
            f"{name!r} lacks {short} of {sum(wanted.values())} skulls of {mix.model}",
            f"{wanted} by quality score",
            "draw more synthetic skulls",
        )
    return _checked([*half, *made])


def _drawn(real: Sequence[Skull], counts: Counts, seed: int) -> list[Skull]:
    """`counts` skulls of each score, in the order of the manifest."""
    rng, chosen = np.random.default_rng(seed), []
    for quality, n in counts.items():
        items = [i for i, skull in enumerate(real) if skull.quality == quality]
        chosen += rng.permutation(items)[:n].tolist()
    return [real[i] for i in sorted(chosen)]


def _counts(skulls: Sequence[Skull]) -> Counts:
    scores = [skull.quality for skull in skulls if skull.quality]
    return {quality: scores.count(quality) for quality in sorted(set(scores))}


def _checked(skulls: list[Skull]) -> list[Skull]:
    wrong = [skull.name for skull in skulls if skull.split != "train"]
    if wrong or not skulls:
        raise SkfmError(
            f"{len(wrong)} skulls that are not for training, such as {wrong[:1]}"
            if wrong
            else "a training set without skulls",
            'skulls of split "train" only',
            "look at the data set's manifest",
        )
    return skulls
