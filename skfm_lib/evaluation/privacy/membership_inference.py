"""Was this skull trained on?  What a network's own loss gives away.

An attacker who holds the weights and a skull computes the loss on it: a network that
has learned its training skulls by heart has a lower loss there than on others.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from skfm_lib.data.dataset import SkullSet
from skfm_lib.generation import SkullGenerator
from skfm_lib.metrics import Interval, bootstrap, reconstruction_error
from skfm_lib.models import VQVAE
from skfm_lib.training.denoiser import OBJECTIVES
from skfm_lib.training.latents import LatentSet
from skfm_lib.training.vqvae import reconstruct
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import Progress, track
from skfm_lib.utils.seeding import noise

TIMES = tuple(i / 10 for i in range(1, 10))  # t of the attack
FALSE_POSITIVES = 0.01


@torch.no_grad()
def latent_losses(
    generator: SkullGenerator,
    latents: LatentSet,
    items: Sequence[int],
    times: Sequence[float] = TIMES,
    noises: int = 1,
    batch: int = 26,
) -> np.ndarray:
    """The denoiser's training loss on each of the `items`, (n,) float64.

    The squared error of eq. (2) with the objective's own path, averaged over the
    voxels, a fixed grid of `times` and `noises` fixed draws of ε at each time; times
    and noise are the same for all skulls, so that losses differ by the skull alone.
    Raises SkfmError for another objective, and for times outside (0, 1].
    """
    if generator.objective not in OBJECTIVES:
        raise SkfmError(f"model {generator.objective!r}", " or ".join(OBJECTIVES))
    if noises < 1 or not all(0 < t <= 1 for t in times) or not times or not items:
        found = f"{len(items)} skulls, times {tuple(times)}, {noises} draws of noise"
        raise SkfmError(found, "some of each, and times in (0, 1]")
    looks = [(t, draw) for t in times for draw in range(noises)]
    parts = [items[i : i + batch] for i in range(0, len(items), batch)]
    found = []
    with Progress(f"Losses of {generator.objective}", len(items)) as bar:
        for part in parts:
            z, quality = zip(*(latents[i] for i in part))
            x_0 = generator.scale.normalise(torch.stack(z))
            each = [
                _loss(generator, x_0, torch.tensor(quality), *look) for look in looks
            ]
            found.append(torch.stack(each).mean(dim=0))
            bar.advance(len(part))
    return torch.cat(found).numpy()


def _loss(
    generator: SkullGenerator, x_0: Tensor, quality: Tensor, t: float, draw: int
) -> Tensor:
    """Mean squared error (b,), float64, at one time with one noise for all."""
    eps = noise(x_0.shape[1:], "membership", t, samples=[draw]).expand_as(x_0)
    path = OBJECTIVES[generator.objective].path
    z_t, target = path(x_0, eps, torch.full((len(x_0),), t))
    here = generator.device
    with here.autocast():
        predicted = generator.network(here.to_device(z_t), t, quality)
    error = predicted.cpu().double() - target.double()
    return error.square().flatten(1).mean(dim=1)


def reconstruction_errors(
    model: VQVAE, skulls: SkullSet, items: Sequence[int], device: Device, batch: int = 8
) -> np.ndarray:
    """The autoencoder's error on each of the `items` (Table 8), (n,): the control.

    It saw the training skulls too, and what it gives away no denoiser can mend.
    """
    found = []
    for start in track(range(0, len(items), batch), "Reconstructing"):
        v = torch.stack([skulls[i][0] for i in items[start : start + batch]])
        found.append(reconstruction_error(v, reconstruct(model, v, device)[0]))
    return torch.cat(found).numpy()


def attack_auc(members: np.ndarray, others: np.ndarray) -> float:
    """Area under the ROC curve of "a low loss means a member".

    P(loss of a member < loss of another) + ½ P(equal): 0.5 gives nothing away.
    """
    ranks = rankdata(np.concatenate([others, members]))[: len(others)]
    wins = ranks.sum() - len(others) * (len(others) + 1) / 2
    return float(wins / (len(members) * len(others)))


def true_positive_rate(
    members: np.ndarray, others: np.ndarray, false_positives: float = FALSE_POSITIVES
) -> float:
    """Share of members told at a false-positive rate of at most `false_positives`.

    The threshold is the largest at which ⌊false_positives · m⌋ of the m others, and
    no more, have a smaller loss (Carlini et al. 2022 ask for rates this low: an
    attack that is sure of few is worse than one that is seldom right).
    """
    allowed = int(false_positives * len(others) + 1e-9)
    return float(np.mean(members < np.sort(others)[allowed]))


def attack(
    members: np.ndarray, others: np.ndarray, seed: int = 0
) -> dict[str, Interval]:
    """AUC and TPR at 1 % FPR with 95 % intervals, by bootstrap over both sets.

    members, others  losses (n,), (m,) of trained-on and of held-out skulls.  Raises
    SkfmError for fewer than two of either, and for NaN.
    """
    if not (np.isfinite(members).all() and np.isfinite(others).all()):
        raise SkfmError("losses hold NaN or infinity", "finite losses of every skull")
    sides = (np.asarray(members), np.asarray(others))
    return {
        "AUC": bootstrap(attack_auc, *sides, seed=seed),
        "TPR at 1 % FPR": bootstrap(true_positive_rate, *sides, seed=seed),
    }
