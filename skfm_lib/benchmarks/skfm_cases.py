"""This library's own cases, at the widths of preset paper.

Networks are untrained, as neither time nor memory depends on the weights.  Volumes are
a phantom skull, since the search for codes depends on the distribution of latents.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from skfm_lib.losses import otfm
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.models.quantizer import nearest_code
from skfm_lib.presets import preset
from skfm_lib.presets.grid_sizes import Shape, scaled_shape
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.seeding import generator

PAPER = preset("paper")
QUALITY = 5
NO_FOLDER = Path("no folder")  # of a Trainer whose checkpoint is never saved


def skull(shape: Shape) -> Tensor:
    """(1, 1, D, H, W) in {−1, 1}: a phantom of preset quick, enlarged."""
    from skfm_lib.data.phantom import phantom_skull

    small = phantom_skull(0, QUALITY, scaled_shape(1 / 8))
    values = torch.from_numpy(small)[None, None].float()
    large = F.interpolate(values, shape, mode="trilinear", align_corners=False)
    return (large > 0.5).float() * 2 - 1


def vqvae_step(output_shape: Shape) -> Callable[[], None]:
    """One training step of the VQ-VAE, batch 1: loss, gradients, Adam, codebook."""
    settings = PAPER.vqvae.but(output_shape=output_shape)
    device, rng = pick_device(), generator("benchmark")
    trainer = Trainer(VQVAE(settings), settings, device, NO_FOLDER, "")
    model, v = trainer.model, device.to_device(skull(output_shape))
    with torch.no_grad(), device.autocast():
        model.codebook.seed(model.encode(v), rng)

    def step() -> None:
        with device.autocast():
            found = model.loss(v)
        loss = found.reconstruction + settings.commitment * found.commitment
        trainer.descend(loss)
        model.codebook.update(found.z, found.indices, rng)

    return step


def unet_step(latent_shape: Shape) -> Callable[[], None]:
    """One training step of the U-Net with its label, batch 1, EMA included."""
    device, settings = pick_device(), PAPER.denoiser
    network, decay = UNet3D(settings), settings.ema_decay
    trainer = Trainer(network, settings, device, NO_FOLDER, "", decay)
    x_0, eps, t, quality = _inputs(latent_shape, device)
    z_t, u = otfm.path(x_0, eps, t)

    def step() -> None:
        with device.autocast():
            predicted = trainer.model(z_t, t, quality)
        trainer.descend(F.mse_loss(predicted, u))

    return step


def unet_forward(latent_shape: Shape) -> Callable[[], Tensor]:
    """One evaluation of the U-Net, batch 1, without gradients."""
    device = pick_device()
    model = device.to_device(UNet3D(PAPER.denoiser)).eval()
    _, z_t, t, quality = _inputs(latent_shape, device)

    @torch.no_grad()
    def evaluate() -> Tensor:
        with device.autocast():
            return model(z_t, t, quality)

    return evaluate


def new_skull(output_shape: Shape, steps: int) -> Callable[[], Tensor]:
    """One skull from noise to volume: `steps` Euler steps, quantised, decoded."""
    from skfm_lib.generation import Sampler, SkullGenerator
    from skfm_lib.training.latents import LatentScale

    settings, device = PAPER.vqvae.but(output_shape=output_shape), pick_device()
    one = torch.ones(settings.code_dim, 1, 1, 1)
    maker = SkullGenerator(
        "otfm",
        device.to_device(UNet3D(PAPER.denoiser)).eval(),
        device.to_device(VQVAE(settings)).eval(),
        LatentScale(0 * one, one, None),
        device,
    )
    sampler = Sampler("euler", steps)
    return lambda: maker.decode(maker.latents([QUALITY], [0], sampler))


def nearest(count: int) -> Callable[[], Tensor]:
    """The nearest code of `count` vectors."""
    z, codes = map(pick_device().to_device, vectors_and_codes(count))
    return partial(nearest_code, z, codes)


def vectors_and_codes(count: int) -> tuple[Tensor, Tensor]:
    """(count, 8) vectors and the codebook (16384, 8), all standard normal."""
    codes, dim = PAPER.vqvae.codes, PAPER.vqvae.code_dim
    z = torch.randn(count, dim, generator=generator("vectors"))
    return z, torch.randn(codes, dim, generator=generator("codes"))


def convolution(shape: Shape) -> Callable[[], Tensor]:
    """A 3³ convolution of 32 channels alone: the FLOP/s of the machine."""
    device = pick_device()
    x = device.to_device(torch.randn(1, 32, *shape)).to(device.dtype)
    weight = device.to_device(torch.randn(32, 32, 3, 3, 3)).to(device.dtype)
    return partial(F.conv3d, x, weight, padding=1)


def _inputs(shape: Shape, device: Device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_0, eps (1, 8, D, H, W), t and quality (1,)."""
    size, move = (2, 1, PAPER.vqvae.code_dim, *shape), device.to_device
    x_0, eps = map(move, torch.randn(size, generator=generator("latents")))
    return x_0, eps, move(torch.tensor([0.5])), move(torch.tensor([QUALITY]))
