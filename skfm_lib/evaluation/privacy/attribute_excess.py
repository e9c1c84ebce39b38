"""Whether a model guesses the jaws of its members better than those of strangers."""

from collections.abc import Sequence

import numpy as np

from skfm_lib.data.dataset import SkullSet
from skfm_lib.evaluation.privacy.attribute_inference import (
    JawSplit,
    Overlaps,
    guess_jaws,
    with_jaws,
)
from skfm_lib.evaluation.privacy.power import detectable
from skfm_lib.generation import SkullGenerator
from skfm_lib.metrics import Interval, bootstrap

Rows = dict[str, dict[str, object]]


def jaws_of_members(
    model: SkullGenerator,
    members: SkullSet,
    strangers: SkullSet,
    steps: int,
    batch: int,
    seed: int = 0,
) -> Rows:
    """`members_minus_strangers` of a model, on all skulls whose jaws are shown.

    Further arguments as for `guess_jaws`.
    """
    split = JawSplit.of(model.vqvae)
    shown = [with_jaws(side, split) for side in (members, strangers)]
    own, other = (guess_jaws(model, side, steps, seed, batch) for side in shown)
    return members_minus_strangers(own, other, seed)


def jaws_of_halves(
    models: Sequence[SkullGenerator],
    skulls: SkullSet,
    by_first: np.ndarray,
    steps: int,
    batch: int,
    seed: int = 0,
) -> Rows:
    """`seen_minus_unseen` of two models, each trained on one half of the `skulls`.

    `by_first` are the skulls (N,) that the first was trained on; further arguments as
    for `guess_jaws`.
    """
    shown = with_jaws(skulls, JawSplit.of(models[0].vqvae))
    first, second = (guess_jaws(one, shown, steps, seed, batch) for one in models)
    return seen_minus_unseen(first, second, by_first[list(shown.items)], seed)


def members_minus_strangers(
    members: Overlaps, strangers: Overlaps, seed: int = 0
) -> Rows:
    """For each method, the overlaps of trained-on and of other skulls, and the excess.

    With 95 % bootstrap intervals, and the least excess that would be detected
    (`power.detectable`).
    """
    return {
        name: _row(
            {"members": members[name], "strangers": strangers[name]},
            bootstrap(_difference, members[name], strangers[name], seed=seed),
        )
        for name in members
    }


def seen_minus_unseen(
    first: Overlaps, second: Overlaps, by_first: np.ndarray, seed: int = 0
) -> Rows:
    """The same for two models, each of which was trained on the skulls of one half.

    Each skull is compared with itself: its overlap by the model that was trained on it
    less that by the other one, averaged with equal weight over both halves, so that
    neither the skulls nor the better of the models matter.

    Args:
        first: overlaps by the first model (n,).
        second: by the second one.
        by_first: (n,), bool: the skulls that the first model was trained on.
        seed: of the bootstrap.
    """
    rows = {}
    for name in first:
        a, b = first[name], second[name]
        seen, unseen = np.where(by_first, a, b), np.where(by_first, b, a)
        halves = (seen - unseen)[by_first], (seen - unseen)[~by_first]
        excess = bootstrap(_half_means, *halves, seed=seed)
        rows[name] = _row({"members": seen, "strangers": unseen}, excess)
    return rows


def _row(sides: dict[str, np.ndarray], excess: Interval) -> dict[str, object]:
    each = {name: float(values.mean()) for name, values in sides.items()}
    sizes = " and ".join(str(len(values)) for values in sides.values())
    more = {"excess": excess, "detectable": detectable(excess)}
    return {"skulls": sizes, **each, **more}


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.mean() - b.mean())


def _half_means(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.mean() + b.mean()) / 2
