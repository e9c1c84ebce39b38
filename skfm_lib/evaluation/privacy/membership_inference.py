"""Membership inference: was a skull trained on, given a network's loss on it?

An attacker who has the weights and a skull computes the training loss: a network that
has memorised its training skulls has a lower loss on them than on others.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from skfm_lib.generation import SkullGenerator
from skfm_lib.metrics import Interval, bootstrap
from skfm_lib.training.denoiser import OBJECTIVES
from skfm_lib.training.latents import LatentSet
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import noise

FALSE_POSITIVES = 0.01


@torch.no_grad()
def latent_losses(
    generator: SkullGenerator,
    latents: LatentSet,
    times: Sequence[float],
    batch: int = 26,
) -> np.ndarray:
    """The denoiser's training loss on each of the `latents`, (n,) float64.

    The squared error of eq. (2) with the objective's own path, averaged over voxels
    and a fixed grid of `times`.  The noise at each time is the same for all skulls,
    so that losses differ by the skull alone.  A model with that condition is given the
    field of view of the skull, which the attacker can measure.

    Raises:
        SkfmError: for an objective without a path, and for times that are not trained.
    """
    if generator.objective not in OBJECTIVES:
        raise SkfmError(f"model {generator.objective!r}", " or ".join(OBJECTIVES))
    trained = f"some times in (0, {generator.start:g}]"
    if not times or not all(0 < t <= generator.start for t in times):
        raise SkfmError(f"times {tuple(times)}", trained)
    losses = []
    starts = range(0, len(latents), batch)
    for start in track(starts, f"Losses of {generator.objective}"):
        part = range(len(latents))[start : start + batch]
        z, quality = zip(*(latents[i] for i in part))
        x_0 = generator.scale.normalise(torch.stack(z))
        seen = latents.fields_of_view[list(part)] if generator.fields else None
        predict = generator.field(torch.tensor(quality), 1.0, seen)
        each = [_loss(generator, predict, x_0, t) for t in times]
        losses.append(torch.stack(each).mean(dim=0))
    return torch.cat(losses).numpy()


def _loss(
    generator: SkullGenerator, predict: Callable[..., Tensor], x_0: Tensor, t: float
) -> Tensor:
    """Mean squared error (b,), float64, at one time with the same noise for all."""
    eps = noise(x_0.shape[1:], "membership", t, samples=[0]).expand_as(x_0)
    path = OBJECTIVES[generator.objective].path
    times = torch.full((len(x_0),), t)
    z_t, target = path(x_0, eps, times, generator.timesteps)
    predicted = predict(generator.device.to_device(z_t), t)
    error = predicted.cpu().double() - target.double()
    return error.square().flatten(1).mean(dim=1)


def attack_auc(members: np.ndarray, others: np.ndarray) -> float:
    """Area under the ROC curve of the attack "a low loss means a member".

    P(loss of a member < loss of another) + ½ P(equal); 0.5 discloses nothing.

    >>> attack_auc(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.875
    """
    ranks = rankdata(np.concatenate([others, members]))[: len(others)]
    wins = ranks.sum() - len(others) * (len(others) + 1) / 2
    return float(wins / (len(members) * len(others)))


def true_positive_rate(members: np.ndarray, others: np.ndarray) -> float:
    """Share of members detected at a false-positive rate of at most 1 %.

    The threshold is the largest at which at most 1 % of the others have a smaller
    loss.  At such a low rate an attack is certain of a few members (Carlini et al.
    2022).
    """
    allowed = int(FALSE_POSITIVES * len(others) + 1e-9)
    return float(np.mean(members < np.sort(others)[allowed]))


def attack(
    members: Sequence[float] | np.ndarray,
    others: Sequence[float] | np.ndarray,
    seed: int = 0,
) -> dict[str, Interval]:
    """AUC and TPR at 1 % FPR with 95 % intervals, by bootstrap over both sets.

    `members` are the losses of skulls that were trained on, `others` of held-out ones.

    Raises:
        SkfmError: for fewer than two of either, and for NaN.
    """
    sides = (np.asarray(members), np.asarray(others))
    if not all(np.isfinite(side).all() for side in sides):
        raise SkfmError("losses hold NaN or infinity", "finite losses of every skull")
    return {
        "AUC": bootstrap(attack_auc, *sides, seed=seed),
        "TPR at 1 % FPR": bootstrap(true_positive_rate, *sides, seed=seed),
    }
