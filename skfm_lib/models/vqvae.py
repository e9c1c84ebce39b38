"""Stage one: the VQ-VAE with its loss at full resolution (paper §3.2, B.1)."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.models.ops.conv3d import Conv3d, Doubling, Readout
from skfm_lib.models.ops.group_norm import NormSiLU
from skfm_lib.models.ops.padding import pad_to_multiple
from skfm_lib.models.ops.recompute import checkpoint_if, large, recomputed
from skfm_lib.models.ops.resample import resample
from skfm_lib.models.ops.residual import ResidualBlock
from skfm_lib.models.quantizer import Codebook
from skfm_lib.utils.errors import SkfmError

BACKGROUND = -1.0
AT_ONCE = 1 << 21  # voxels decoded at a time; at the paper's size one skull takes 13 GB


class VQVAELoss(NamedTuple):
    """L_recon and L_commit of `VQVAE.loss`, and the tensors they were computed from."""

    reconstruction: Tensor
    commitment: Tensor
    z: Tensor
    indices: Tensor
    v_hat: Tensor


class Encoder(nn.Module):
    """(b, 1, d, h, w) → (b, k, d/4, h/4, w/4): twice, halve and one residual block."""

    def __init__(self, settings: presets.VQVAEConfig) -> None:
        super().__init__()
        full, half, quarter = settings.channels
        groups, mode = settings.groups, settings.padding

        def conv(inputs: int, outputs: int, kernel: int, stride: int) -> Conv3d:
            sizes = (inputs, outputs, kernel, stride)
            return Conv3d(*sizes, padding=1, padding_mode=mode)

        self.start = nn.Sequential(conv(1, full, 3, 1), conv(full, half, 4, 2))
        self.features = nn.Sequential(
            ResidualBlock(half, groups, mode),
            conv(half, quarter, 4, 2),
            ResidualBlock(quarter, groups, mode),
            NormSiLU(groups, quarter, eps=1e-6),
        )
        self.project = Conv3d(quarter, settings.code_dim, 1)

    def forward(self, v: Tensor) -> Tensor:
        features = self.features(checkpoint_if(self.start, v, when=large(v)))
        with torch.autocast(v.device.type, enabled=False):  # codes lie close together
            return self.project(features.float())


class DecoderStage(nn.Module):
    """Double the resolution, then two residual blocks."""

    def __init__(
        self, inputs: int, outputs: int, groups: int, mode: presets.Padding
    ) -> None:
        super().__init__()
        self.enlarge = Doubling(inputs, outputs, mode)
        self.block1 = ResidualBlock(outputs, groups, mode)
        self.block2 = ResidualBlock(outputs, groups, mode)

    def forward(self, x: Tensor) -> Tensor:
        doubled = self.enlarge(x)
        with recomputed(doubled, self.enlarge, x):
            h = self.block1(doubled)
        del doubled  # one large map less while the second block runs
        return self.block2(h)


class Decoder(nn.Sequential):
    """(b, k, d/4, h/4, w/4) → (b, 1, d, h, w): twice, double and two blocks."""

    def __init__(self, settings: presets.VQVAEConfig) -> None:
        _, half, quarter = settings.channels
        groups, mode = settings.groups, settings.padding
        super().__init__(
            Conv3d(settings.code_dim, quarter, 1),
            NormSiLU(groups, quarter, eps=1e-6),
            DecoderStage(quarter, quarter, groups, mode),
            DecoderStage(quarter, half, groups, mode),
            readout := Readout(half, mode),
        )
        nn.init.constant_(readout.bias, BACKGROUND)  # start from an empty volume


class VQVAE(nn.Module):
    """Skull volumes (b, 1, D, H, W) in [−1, 1] ↔ latents (b, k, ⌈sD/4⌉, …).

    The volume is resampled to the input size, padded with background to a multiple of
    4 and encoded.  The decoder's output is cropped to the input size *before* the
    trilinear head resamples it to the output size, so that both cover the same
    millimetres.  The input is not binarised again (as in the code of Khader et al.'s
    successors): its partial-volume values locate the surface between two voxels.
    Convolutions are padded by copies of the border, as in that code (`ops.padding`).

    >>> from skfm_lib.presets import preset
    >>> model = VQVAE(preset("tiny").vqvae)
    >>> z = model.encode(torch.zeros(1, 1, 29, 22, 32))
    >>> q, indices = model.quantize(z)
    >>> z.shape[1:], indices.shape, model.decode(q).shape[2:]
    (torch.Size([8, 6, 5, 7]), torch.Size([1, 6, 5, 7]), torch.Size([29, 22, 32]))
    """

    def __init__(self, settings: presets.VQVAEConfig) -> None:
        super().__init__()
        self.settings = settings
        self.encoder, self.decoder = Encoder(settings), Decoder(settings)
        self.codebook = Codebook(settings.codes, settings.code_dim, settings.code_decay)

    def encode(self, v: Float[Tensor, "b 1 D H W"]) -> Float[Tensor, "b k d h w"]:
        """Continuous latents z of volumes at output size (or already at input size)."""
        return self.encoder(pad_to_multiple(self.to_input(v), 4, BACKGROUND))

    def quantize(self, z: Float[Tensor, "b k d h w"]) -> tuple[Tensor, Tensor]:
        """(q, indices): the nearest code of every latent vector."""
        return self.codebook(z)

    def decode(self, q: Float[Tensor, "b k d h w"]) -> Float[Tensor, "b 1 D H W"]:
        """Volumes v* at output size, in [−1, 1]; the skull's surface is the level 0."""
        return self._head(q).clamp(-1, 1)

    @property
    def at_once(self) -> int:
        """How many skulls to decode at a time: small ones are faster together."""
        return max(1, AT_ONCE // math.prod(self.settings.output_shape))

    def _head(self, q: Tensor) -> Tensor:
        """Volumes at output size, not yet clamped."""
        return resample(self.decode_input_size(q), self.settings.output_shape)

    def decode_input_size(self, q: Tensor) -> Tensor:
        """Volumes before the trilinear head, cropped to the input size."""
        d, h, w = self.settings.input_shape
        return self.decoder(q)[..., :d, :h, :w].float()

    def forward(self, v: Float[Tensor, "b 1 D H W"]) -> tuple[Tensor, ...]:
        """(v_hat, z, q, indices); the gradient passes straight through q to z."""
        z = self.encode(v)
        q, indices = self.quantize(z)
        straight = z + (q - z).detach()
        decode = self._head if self.settings.upsample else self.decode_input_size
        return decode(straight), z, q, indices

    def loss(self, v: Float[Tensor, "b 1 D H W"]) -> VQVAELoss:
        """The losses of B.1; without `upsample`, L_recon is at the input resolution."""
        v_hat, z, q, indices = self(v)
        target = v if self.settings.upsample else self.to_input(v)
        reconstruction = self._distance(v_hat, target)
        commitment = F.mse_loss(z.float(), q)
        return VQVAELoss(reconstruction, commitment, z, indices, v_hat)

    def _distance(self, v_hat: Tensor, target: Tensor) -> Tensor:
        """Mean ``|v̂ − v|``; `forgive_overshoot` forgives values beyond v = ±1.

        Between coarse voxels, the trilinear head can form a sharp surface only by such
        values; plain L1 (the paper's) therefore prefers a blurred or missing wall.  On
        the wrong side of the surface they keep error and gradient.
        """
        error = (v_hat - target).abs()
        if self.settings.forgive_overshoot:
            right = (target.abs() == 1) & (v_hat * target > 1)
            error = error.masked_fill(right, 0.0)
        return error.mean()

    def to_input(self, v: Tensor) -> Tensor:
        """Volumes at output size resampled to the input size (factor s, §3.3)."""
        shapes = (self.settings.output_shape, self.settings.input_shape)
        if tuple(v.shape[-3:]) not in shapes:
            raise SkfmError(
                f"volume of {'×'.join(map(str, v.shape[-3:]))} voxels",
                "×".join(map(str, shapes[0])),
                "prepare the skulls at the preset of this network",
            )
        return resample(v, shapes[1])
