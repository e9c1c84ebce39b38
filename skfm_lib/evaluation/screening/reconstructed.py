"""Skulls as the study's autoencoder gives them back: the best its decoder can draw."""

from dataclasses import dataclass, field

import numpy as np
import torch

from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening.measures import Skulls
from skfm_lib.models import VQVAE
from skfm_lib.training.vqvae import reconstruct
from skfm_lib.utils.device import Device


@dataclass
class Reconstructed:
    """A set of skulls after encoding, quantisation and decoding; made when asked for.

    What fails here is not the generator's fault, and no generator that ends in this
    decoder can be expected to fail less.
    """

    skulls: Skulls
    model: VQVAE
    device: Device
    _bits: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def grid(self) -> Grid:
        """Where the volumes lie."""
        return self.skulls.grid

    @property
    def qualities(self) -> list[int]:
        """The quality scores of the originals."""
        return list(self.skulls.qualities)

    def __len__(self) -> int:
        return len(self.skulls)

    def occupancy(self, index: int) -> np.ndarray:
        """Bone of one skull, bool (D, H, W)."""
        if index not in self._bits:
            bone = torch.from_numpy(self.skulls.occupancy(index))
            v_hat, _ = reconstruct(self.model, bone[None, None] * 2.0 - 1, self.device)
            self._bits[index] = np.packbits(v_hat[0, 0].numpy() > 0)
        shape = self.grid.shape
        return (
            np.unpackbits(self._bits[index], count=int(np.prod(shape)))
            .reshape(shape)
            .view(bool)
        )
