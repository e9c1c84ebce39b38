"""The cases of other libraries: MONAI and vector-quantize-pytorch.

Both are installed by ``pip install ".[bench]"``.  MONAI's networks run as they come,
in float32, and `tuned` as ours are: with the device's precision and memory layout, and
fused attention.  Of configurations comparable to the paper's, they are the fastest of
those tried.
"""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.benchmarks.skfm_cases import PAPER, QUALITY, skull, vectors_and_codes
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.utils.device import Device, M, pick_device

PACKAGES = ("monai", "vector-quantize-pytorch")
TABLE_ROWS = 4096  # of distances held at a time by `chunked_nearest`


def versions(wanted: bool = True) -> dict[str, str]:
    """Package and version of the peers; empty if not wanted or not installed."""
    try:
        return {name: version(name) for name in PACKAGES} if wanted else {}
    except PackageNotFoundError:
        return {}


def about(wanted: bool = True) -> str:
    """A sentence for readers: the peers that are measured, and how to install them."""
    found = ", ".join(f"{k} {v}" for k, v in versions(wanted).items())
    names, install = " and ".join(PACKAGES), 'pip install ".[bench]"'
    return f"Compared with: {found or 'none'} (`{install}` installs {names})."


def monai_vqvae(full: bool = False) -> nn.Module:
    """MONAI's VQVAE with the paper's codebook and about as many weights as ours.

    32 and 64 channels at half and quarter resolution, two residual layers at each.
    MONAI halves before its first layer; `full` adds a level of 16 channels at full
    resolution before that: the widths of the paper's encoder.
    """
    from monai.networks.nets import VQVAE

    settings = PAPER.vqvae
    channels = settings.channels if full else settings.channels[1:]
    return VQVAE(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=channels,
        num_res_layers=2,
        num_res_channels=channels,
        downsample_parameters=((1, 3, 1, 1),) * full + ((2, 4, 1, 1),) * 2,
        upsample_parameters=((2, 4, 1, 1, 0),) * 2 + ((1, 3, 1, 1, 0),) * full,
        num_embeddings=settings.codes,
        embedding_dim=settings.code_dim,
        decay=settings.code_decay,
    )


def monai_unet() -> nn.Module:
    """MONAI's DiffusionModelUNet with labels: four levels of the paper's widths."""
    from monai.networks.nets import DiffusionModelUNet

    settings = PAPER.denoiser
    return DiffusionModelUNet(
        spatial_dims=3,
        in_channels=settings.code_dim,
        out_channels=settings.code_dim,
        channels=[settings.width * m for m in settings.multipliers],
        attention_levels=(False, False, True, True),
        num_res_blocks=2,
        num_head_channels=32,
        num_class_embeds=len(QUALITY_SCORES),
        use_flash_attention=True,
    )


def monai_vqvae_step(
    input_shape: Shape, tuned: bool, full: bool = False
) -> Callable[[], None]:
    """One training step of MONAI's VQVAE, batch 1, its loss at the input size."""
    device = _device(tuned)
    network = _to_device(monai_vqvae(full), device, tuned)
    v = _to_device(skull(input_shape), device, tuned)

    def loss() -> Tensor:
        with device.autocast():
            v_hat, commitment = network(v)
        return F.l1_loss(v_hat.float(), v) + commitment

    return bare_training(network, loss)


def monai_unet_forward(latent_shape: Shape, tuned: bool) -> Callable[[], Tensor]:
    """One evaluation of MONAI's DiffusionModelUNet, batch 1, without gradients."""
    evaluate, network = _evaluation(latent_shape, tuned)
    network.eval()
    return torch.no_grad()(evaluate)


def monai_unet_step(latent_shape: Shape, tuned: bool) -> Callable[[], None]:
    """One training step of MONAI's DiffusionModelUNet, batch 1."""
    evaluate, network = _evaluation(latent_shape, tuned)
    target = torch.randn(1, PAPER.denoiser.code_dim, *latent_shape)
    target = target.to(pick_device().device)
    return bare_training(network, lambda: F.mse_loss(evaluate().float(), target))


def bare_training(network: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """One training step: loss, gradients and Adam, without averages or clipping."""
    optimiser = torch.optim.Adam(network.parameters(), fused=True)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss().backward()
        optimiser.step()

    return step


def table_nearest(count: int) -> Callable[[], Tensor]:
    """The nearest codes by vector-quantize-pytorch, which holds the full table."""
    from vector_quantize_pytorch import VectorQuantize

    z, codes = map(pick_device().to_device, vectors_and_codes(count))
    network = VectorQuantize(codes.shape[1], len(codes)).to(z.device).eval()
    network.codebook = codes
    return torch.no_grad()(lambda: network(z[None])[1][0])


def chunked_nearest(count: int) -> Callable[[], Tensor]:
    """The nearest codes by float32 products, a few rows of the table at a time."""
    z, codes = map(pick_device().to_device, vectors_and_codes(count))
    half = codes.square().sum(1) / 2

    def search() -> Tensor:
        parts = z.split(TABLE_ROWS)
        return torch.cat([(half - part @ codes.T).argmin(1) for part in parts])

    return search


def _evaluation(
    latent_shape: Shape, tuned: bool
) -> tuple[Callable[[], Tensor], nn.Module]:
    """An evaluation of MONAI's U-Net at t = 0.5 for one label, and the network."""
    device, settings = _device(tuned), PAPER.denoiser
    network = _to_device(monai_unet(), device, tuned)
    z_t = _to_device(torch.randn(1, settings.code_dim, *latent_shape), device, tuned)
    t = torch.tensor([settings.timesteps // 2], device=device.device)
    label = torch.tensor([QUALITY_SCORES.index(QUALITY)], device=device.device)

    def evaluate() -> Tensor:
        with device.autocast():
            return network(z_t, timesteps=t, class_labels=label)

    return evaluate, network


def _device(tuned: bool) -> Device:
    """The device that this library uses; in float32 if not `tuned`."""
    device = pick_device()
    return device if tuned else Device(device.device, torch.float32)


def _to_device(item: M, device: Device, tuned: bool) -> M:
    """`item` on the device, in its preferred memory layout if `tuned`."""
    move = cast(Callable[..., M], item.to)
    return device.to_device(item) if tuned else move(device.device)
