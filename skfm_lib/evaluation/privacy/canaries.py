"""Training canaries: skulls repeated in a training, and what comes back of them.

Groups of five skulls are left out, trained on once, and repeated.  Which skull has
which dose is drawn at random among four that are alike, so that the group left out
shows what would come back without memorising.
"""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.splits import stratified_choice
from skfm_lib.evaluation.privacy.membership_inference import latent_losses
from skfm_lib.evaluation.privacy.planted_copies import Altered
from skfm_lib.evaluation.privacy.spaces import Approach
from skfm_lib.generation import SkullGenerator
from skfm_lib.metrics import Interval
from skfm_lib.training.latents import LatentSet
from skfm_lib.utils.errors import SkfmError
from skfm_lib.view.curves import COLOURS

EACH = 5  # canaries of a dose
DOSES = (0, 1, 10, 50)  # how often they are in the training set
UNSEEN = "validation"
Doses = Mapping[int, Sequence[int]]  # dose → items


def choose_canaries(
    qualities: Sequence[int],
    unusual: np.ndarray,
    doses: Sequence[int] = DOSES,
    seed: int = 0,
) -> dict[int, list[int]]:
    """Dose → `EACH` skulls (items of the training set), disjoint.

    Skulls are drawn in the set's proportions of quality scores and sorted by score and
    by how unusual they are; the doses are dealt at random within each row of as many
    neighbours as there are doses.

    Args:
        qualities: scores (N,) of the training set.
        unusual: (N,), such as the distance to the nearest other training skull.
        doses: distinct.
        seed: of the choice.

    Raises:
        SkfmError: for doses that are not distinct, or fewer skulls than canaries.
    """
    count = EACH * len(doses)
    if len(set(doses)) < len(doses) or not doses:
        raise SkfmError(f"doses {list(doses)}", "distinct numbers, such as [0, 1, 10]")
    if count > len(qualities):
        raise SkfmError(f"{len(qualities)} skulls", f"at least {count} canaries")
    drawn = stratified_choice(qualities, count, seed)
    alike = sorted(drawn, key=lambda item: (qualities[item], unusual[item]))
    rows = np.reshape(alike, (EACH, len(doses)))
    dealt = np.random.default_rng(seed).permuted(rows, axis=1)
    return {dose: sorted(column) for dose, column in zip(doses, dealt.T.tolist())}


def repeated(count: int, canaries: Doses) -> list[int]:
    """The items of a training set of `count` skulls, each as often as its dose."""
    times = np.ones(count, int)
    for dose, items in canaries.items():
        times[list(items)] = dose
    return np.repeat(np.arange(count), times).tolist()


def groups_of(
    canaries: Doses, train: SkullSet, validation: SkullSet
) -> dict[str, SkullSet]:
    """The skulls of each dose, such as ``dose 10``, and those that none has seen."""
    groups = {_name(dose): Altered(train, i) for dose, i in canaries.items()}
    return {**groups, UNSEEN: validation}


def loss_ratios(
    model: SkullGenerator,
    other: SkullGenerator,
    groups: Mapping[str, SkullSet],
    read: Callable[[SkullSet, str], LatentSet],
    times: Sequence[float],
) -> dict[str, np.ndarray]:
    """For each group of skulls (n,), the loss of a model / that of another one.

    Args:
        model: the one that was trained with canaries.
        other: one for which all canaries are alike.
        groups: as of `groups_of`.
        read: their latents (`spaces.latent_reader`).
        times: shares of the time at which the path of each model begins.
    """
    found = {}
    for key, some in groups.items():
        latents = read(some, UNSEEN if key == UNSEEN else "train")
        each = [
            latent_losses(one, latents, [one.start * t for t in times])
            for one in (model, other)
        ]
        found[key] = each[0] / each[1]
    return found


def dose_response(
    canaries: Doses,
    losses: Mapping[str, np.ndarray],
    approaches: Mapping[str, Approach],
) -> dict[str, dict[str, object]]:
    """A row for each dose, and one of validation skulls, which are in no training set.

    *Loss*: geometric mean, with a t interval, of the loss as a share of that of another
    model, for which all canaries are alike.  For each space, *nearest*: mean, with a t
    interval, of the distance to the nearest generated skull, as a share of the distance
    to the nearest other training skull; and *back*: how many of the skulls a generated
    copy is traced to.

    Args:
        canaries: the items of each dose.
        losses: loss / loss of the other model (n,), of each group (`loss_ratios`).
        approaches: of the generated skulls, in each space.
    """
    rows: dict[str, dict[str, object]] = {}
    for name, ratios in losses.items():
        logs = t_interval(np.log(ratios))
        rows[name] = {"skulls": len(ratios), "loss": Interval(*np.exp(logs).tolist())}
    for space, found in approaches.items():
        column = f"{space}: nearest"
        rows[UNSEEN][column] = _finite_mean(found.holdout)
        for dose, items in canaries.items():
            own = list(items)
            back = int((found.copies[own] > 0).sum())
            rows[_name(dose)][column] = _finite_mean(found.train[own])
            rows[_name(dose)][f"{space}: back"] = f"{back} of {len(own)}"
    return rows


def _finite_mean(values: np.ndarray) -> Interval:
    """Of skulls that are compared with a sample, in spaces within quality scores."""
    return t_interval(values[np.isfinite(values)])


def _name(dose: int) -> str:
    return f"dose {dose}"


def t_interval(values: np.ndarray) -> Interval:
    """Mean and 95 % interval by Student's t, for a few values.

    Raises:
        SkfmError: for fewer than two values.

    >>> print(t_interval(np.array([1.0, 2.0, 3.0])))
    2 (-0.484 to 4.48)
    """
    if len(values) < 2:
        raise SkfmError(f"{len(values)} finite values", "at least two")
    mean = float(np.mean(values))
    reach = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return Interval(mean, float(mean - reach), float(mean + reach))


def dose_figure(rows: Mapping[str, Mapping[str, object]]) -> Figure:
    """The loss, and the nearest distance in each space, by dose.

    Validation skulls are the dashed line.
    """
    doses = [name for name in rows if name != UNSEEN]
    columns = [c for c in rows[UNSEEN] if c == "loss" or c.endswith("nearest")]
    figure, axes = plt.subplots(
        1, len(columns), figsize=(2.5 * len(columns), 2.7), layout="constrained"
    )
    for axis, column in zip(np.atleast_1d(axes), columns):
        ends = np.array([rows[name][column] for name in doses])
        at = np.arange(len(doses))
        axis.vlines(at, ends[:, 1], ends[:, 2], color=COLOURS[0])
        axis.plot(at, ends[:, 0], "o", color=COLOURS[0])
        unseen = rows[UNSEEN][column]
        axis.axhline(unseen[0], color="0.4", linestyle="--")  # type: ignore[index]
        labels = [name.removeprefix("dose ") for name in doses]
        axis.set(title=column, xlabel="dose", xticks=at, xticklabels=labels)
        axis.grid(alpha=0.25, axis="y")
    return figure
