"""Attribute inference: a skull's jaw, guessed by a model from all but the jaw.

An attacker who has the weights and a scan without the jaw lets the model complete it.
A model that completes skulls that it was trained on better than others discloses what
the scan does not show.  Voxels below the plane of the teeth are removed before the scan
is encoded, so that its latents hold nothing of the jaw.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.field_of_view import field_of_view
from skfm_lib.data.voxels import skull_grid
from skfm_lib.evaluation.privacy.linear_attacks import linear_of, posterior_mean
from skfm_lib.evaluation.privacy.planted_copies import Altered
from skfm_lib.generation import SkullGenerator
from skfm_lib.metrics import dice
from skfm_lib.models import VQVAE
from skfm_lib.models.vqvae import BACKGROUND
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import noise

PLANE = -44.0  # z of the plane of the teeth in the skull frame, mm (`phantom.teeth`)
SHOWN = 20.0  # mm below it that a scan shows, at least, of a skull whose jaw is guessed
GAP = 1  # slices of latents above the plane that are guessed, too: they see the cut
MEAN, LINEAR, FLOW = "mean of the score", "linear start", "flow"
Overlaps = dict[str, np.ndarray]  # method → Dice overlap of jaw and guess (n,)


class JawSplit(NamedTuple):
    """Where volumes are cut: the border of latents that is nearest to `PLANE`.

    Attributes:
        voxels: slices of voxels that belong to the jaw, from below.
        latents: slices of latents that are guessed, from below.
        height: of the cut, mm.
    """

    voxels: int
    latents: int
    height: float

    @staticmethod
    def of(model: VQVAE) -> "JawSplit":
        """That of the volumes and latents of an autoencoder."""
        settings = model.settings
        grid = skull_grid(settings.output_shape)
        ratio = settings.output_shape[2] / settings.input_shape[2]
        edge = 4 * ratio * grid.spacing  # of a latent, mm: compression 4
        bottom = grid.origin[2] - grid.spacing / 2
        below = max(1, round((PLANE - bottom) / edge))
        height = bottom + below * edge
        _, _, z = grid.axes()
        return JawSplit(int((z < height).sum()), below + GAP, float(height))


def with_jaws(skulls: SkullSet, split: JawSplit) -> Altered:
    """The skulls of a set whose scans begin `SHOWN` mm below the cut or lower."""
    lowest = split.height - SHOWN
    items = [i for i, (begin, _) in enumerate(_fields(skulls)) if begin <= lowest]
    return Altered(skulls, items)


@torch.no_grad()
def guess_jaws(
    generator: SkullGenerator,
    skulls: SkullSet,
    steps: int,
    seed: int = 0,
    batch: int = 26,
) -> Overlaps:
    """Guess the jaws of some skulls in three ways; the overlap with the true ones.

    - "mean of the score": the linear start's mean for score and field of view, which
      sees nothing of the scan;
    - "linear start": its mean given the known latents (`posterior_mean`);
    - "flow": Euler steps from that at the flow's start, after each of which the known
      latents are those of the scan at that time.

    The attacker knows the score and the field of view of the complete scan.

    Raises:
        SkfmError: for a model without a linear start.
    """
    linear, split = linear_of(generator), JawSplit.of(generator.vqvae)
    found: dict[str, list[float]] = {MEAN: [], LINEAR: [], FLOW: []}
    fields = torch.tensor(_fields(skulls)) if generator.fields else None
    starts = range(0, len(skulls), batch)
    for start in track(starts, f"Jaws by {generator.objective}"):
        part = list(range(len(skulls))[start : start + batch])
        v = torch.stack([skulls[i][0] for i in part])
        quality = torch.tensor([skulls.qualities[i] for i in part])
        seen = None if fields is None else fields[part]
        x = generator.scale.normalise(_encoded(generator, v, split))
        known = torch.zeros(x.shape[1:], dtype=torch.bool, device=x.device)
        known[..., split.latents :] = True
        mean = linear.mean(quality, seen).view_as(x).to(x.dtype)
        given = x.flatten(1), known.flatten(), quality, seen
        guess = posterior_mean(linear, *given).view_as(x)
        eps = noise(x.shape[1:], "jaw", seed, samples=part)
        eps = generator.device.to_device(eps)
        field = generator.field(quality, 1.0, seen)
        flow = _inpaint(field, guess, eps, known, generator.start, steps)
        for name, latents in {MEAN: mean, LINEAR: guess, FLOW: flow}.items():
            decoded = generator.decode(generator.scale.restore(latents))
            jaws = zip(decoded[..., : split.voxels], v[..., : split.voxels])
            found[name] += [dice(a, b) for a, b in jaws]
    return {name: np.array(values) for name, values in found.items()}


def _fields(skulls: SkullSet) -> list[tuple[float, float]]:
    """Where each scan begins and ends, mm."""
    items = enumerate(skulls.skulls)
    return [field_of_view(skulls.volume(i), skulls.grid, s.name) for i, s in items]


def _encoded(generator: SkullGenerator, v: Tensor, split: JawSplit) -> Tensor:
    """Latents (b, k, d, h, w) of volumes v (b, 1, D, H, W) without their jaws."""
    cut = v.clone()
    cut[..., : split.voxels] = BACKGROUND
    found = []
    for part in cut.split(generator.vqvae.at_once):
        with generator.device.autocast():
            z = generator.vqvae.encode(generator.device.to_device(part))
        found.append(z.float())
    return torch.cat(found)


def _inpaint(
    velocity: Callable[..., Tensor],
    x: Tensor,
    eps: Tensor,
    known: Tensor,
    start: float,
    steps: int,
) -> Tensor:
    """Solve the flow from (1 − t) x + t ε at t = `start`, keeping the known numbers.

    At every time they are (1 − t) x + t ε, on the straight way to the scan's latents.
    """
    z = (1 - start) * x + start * eps
    times = [start * (1 - i / steps) for i in range(steps + 1)]
    for t, after in pairwise(times):
        z = z - (t - after) * velocity(z, t)
        z = torch.where(known, (1 - after) * x + after * eps, z)
    return z
