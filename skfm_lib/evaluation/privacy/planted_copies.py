"""Altered sets of skulls: parts of a set, mirrored skulls, and disguised copies."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from skfm_lib.data.bone_fractions import network_values, stored
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.voxels import Grid, mirrored
from skfm_lib.models import VQVAE
from skfm_lib.training.vqvae import reconstruct
from skfm_lib.utils.device import Device

Change = Callable[[np.ndarray], np.ndarray]  # of a volume (D, H, W), bits or bytes

FLIPPED = 0.01  # share of the voxels
BELOW = ((0, 0), (0, 0), (1, 0))  # one layer of background under a volume


class Altered(SkullSet):
    """The skulls `items` of another set, each changed when it is read."""

    def __init__(
        self, source: SkullSet, items: Sequence[int], change: Change = np.asarray
    ) -> None:
        self.source, self.items, self.change = source, items, change
        self.folder, self.grid, self.shape = source.folder, source.grid, source.shape
        self.skulls = [source.skulls[i] for i in items]

    def volume(self, index: int) -> np.ndarray:
        """One skull, changed, as bits or bytes (D, H, W)."""
        return self.change(self.source.volume(self.items[index]))

    def load(self) -> "Altered":
        """Read every volume of the source now; only the source keeps volumes."""
        self.source.load()
        return self


def mirror(skulls: SkullSet) -> Altered:
    """The same skulls, mirrored left to right."""
    return Altered(skulls, range(len(skulls)), lambda v: mirrored(v, skulls.grid))


def disguises(grid: Grid, seed: int = 0) -> dict[str, Change]:
    """Ways to alter a copy: name → change of a volume (D, H, W).

    The flipped voxels are random, 1 % of the grid, the same for every skull; a copy
    moved up by a voxel loses its uppermost layer.
    """
    noise = np.random.default_rng(seed).random(grid.shape) < FLIPPED
    return {
        "as it is": np.asarray,
        "mirrored": lambda volume: mirrored(volume, grid),
        "1 % of voxels flipped": lambda volume: np.where(noise, ~volume, volume),
        "moved by a voxel": lambda volume: np.pad(volume, BELOW)[..., :-1],
    }


def as_decoded(model: VQVAE, device: Device, grid: Grid) -> Change:
    """The copy that a generator would emit: encoded, quantised and decoded.

    A denoiser that has memorised a skull gives its latent, and the decoder this volume.
    """

    def change(volume: np.ndarray) -> np.ndarray:
        v = network_values(torch.from_numpy(volume))[None, None]
        v_hat, _ = reconstruct(model, v, device)
        return stored(v_hat[0, 0].numpy(), grid)

    return change
