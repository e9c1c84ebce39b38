"""Memory and FLOPs of what a study repeats, counted on tensors without data."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.losses.perceptual import StudyDistance
from skfm_lib.models import VQVAE, Aligner, PointAttN, UNet3D
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.models.pointcloud import chamfer_loss
from skfm_lib.models.pointcloud.layers import SCALE
from skfm_lib.presets import Preset
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.training.vqgan_losses import VQGANLosses
from skfm_lib.utils.counters import FlopCount, MemoryCount
from skfm_lib.utils.device import CPU, Device, planned, processed
from skfm_lib.utils.errors import SkfmError

GIB = 1 << 30
COPIES = 5  # of trained weights: themselves, gradients, Adam's two moments, averages
RUNTIME = GIB // 2  # of a GPU: CUDA's context and the libraries' work space
TILES = 8  # a CPU's slabs are so many times larger for counting, which is faster


@dataclass(frozen=True)
class Part:
    """What a stage repeats `times` times: `compute` on random input of a `shape`.

    If `trained`, the result is a loss.  `data` is needed where an operation depends on
    the values; otherwise tensors without data are enough to count.
    """

    stage: str
    network: nn.Module
    shape: tuple[int, ...]
    times: int
    trained: bool
    compute: Callable[[Any, Tensor], Tensor]
    data: bool = False
    others: tuple[nn.Module, ...] = ()  # networks that `compute` uses besides
    averages: int = 1  # of trained weights

    def to_device(self, device: Device) -> None:
        """Move the networks; not under `FakeTensorMode`, where tensors have no data."""
        for network in (self.network, *self.others):
            device.to_device(network)

    def run(self, device: Device) -> None:
        """Compute it once; the network must be on `device` already."""
        with torch.set_grad_enabled(self.trained):
            x = torch.randn(self.shape, device=device.device)
            with device.autocast():
                result = self.compute(self.network, x)
            if self.trained:
                result.backward()
                for network in (self.network, *self.others):
                    network.zero_grad()

    @property
    def weights(self) -> int:
        """Bytes of the weights, with gradients and the optimizer's state."""
        networks = (self.network, *self.others)
        size = sum(4 * p.numel() for network in networks for p in network.parameters())
        return (COPIES + self.averages - 1 if self.trained else 1) * size


@dataclass
class Cost:
    """FLOPs of convolutions and matrix products, and peak bytes of tensors."""

    flops: int
    peak: int


def vqvae_step(settings: presets.VQVAEConfig) -> Part:
    """A training step of the autoencoder, with its optional losses."""
    network, device = VQVAE(settings), Device(torch.device("cpu"), torch.float32)
    distance = StudyDistance(StudyFeatures()) if settings.perceptual else None
    extra = VQGANLosses(network, distance, device, seed=0)

    def loss(network: VQVAE, v: Tensor) -> Tensor:
        v = v.sign()
        found = network.loss(v)
        more = extra.losses(v, found.v_hat, settings.steps)
        return sum(more.values(), found.reconstruction + found.commitment)

    found = extra.discriminators.network if extra.discriminators else None
    return Part(
        f"{'10 VQ-GAN' if settings.adversarial else '02 VQ-VAE'}, a training step",
        network,
        (settings.batch, 1, *settings.output_shape),
        settings.steps,
        True,
        loss,
        others=tuple(one for one in (found, distance) if one is not None),
    )


def denoiser_step(settings: presets.DenoiserConfig, latent: tuple[int, ...]) -> Part:
    """A training step of the U-Net on latents (d, h, w)."""

    def loss(unet: Any, z: Tensor) -> Tensor:
        fields = {"field_of_view": torch.zeros(len(z), 2)}
        return F.mse_loss(
            unet(z, 0.5, 3, **fields if settings.field_of_view else {}), z
        )

    return Part(
        "03, 04, 17 U-Net, a training step",
        UNet3D(settings),
        (settings.batch, settings.code_dim, *latent),
        settings.steps,
        True,
        loss,
        averages=max(1, len(settings.average_lengths)),
    )


def parts(settings: Preset, size: float | None = None) -> list[Part]:
    """The repeated computations of a study; on another grid, if a `size` is given."""
    vqvae, aligner, completer = settings.vqvae, settings.aligner, settings.completer
    if size is not None:
        vqvae = vqvae.but(output_shape=scaled_shape(size))
    shape, latent = vqvae.output_shape, (vqvae.code_dim, *vqvae.latent_shape)
    sampling, skulls = settings.sampling, settings.data
    everything = skulls.train_skulls + skulls.test_skulls
    step = vqvae_step(vqvae)
    gan = vqvae_step(vqvae.but(adversarial=0.25, perceptual=1.0))
    unet = denoiser_step(settings.denoiser, vqvae.latent_shape)
    autoencoder, features = step.network, StudyFeatures()
    return [
        step,
        Part(
            "02 latents, a skull encoded",
            autoencoder,
            (1, 1, *shape),
            everything,
            False,
            lambda vqvae, v: vqvae.encode(v.sign()),
        ),
        unet,
        Part(
            "05 sampling, an evaluation",
            unet.network,
            (sampling.batch, *latent),
            -(-sampling.count // sampling.batch) * sampling.steps,
            False,
            lambda unet, z: unet(z, 0.5, 3),
        ),
        Part(
            "05 a skull decoded",
            autoencoder,
            (1, *latent),
            sampling.count,
            False,
            lambda vqvae, z: vqvae.decode(vqvae.quantize(z)[0]),
        ),
        Part(
            "06 features of four skulls",
            features,
            (4, 1, *shape),
            -(-everything // 4),
            False,
            lambda features, v: features.pooled(v),
        ),
        Part(
            "08 aligner, a training step",
            Aligner(aligner),
            (aligner.batch, aligner.points, 3),
            aligner.steps,
            True,
            lambda aligner, p: F.l1_loss(aligner(SCALE * p)[0], p),
            data=True,
        ),
        Part(
            "09 completer, a training step",
            PointAttN(completer),
            (completer.batch, completer.points, 3),
            completer.steps,
            True,
            _completer_loss,
            data=True,
        ),
        gan,
    ]


def _completer_loss(completer: PointAttN, p: Tensor) -> Tensor:
    target = SCALE * p
    return torch.stack([chamfer_loss(out, target) for out in completer(target)]).sum()


def count(part: Part, dtype: torch.dtype, gpu: int | None = None) -> Cost:
    """The cost of one repetition, on the CPU; or on a GPU of so many bytes, if given.

    Counted on tensors of the CPU in any case; `dtype` is that of autocast.
    """
    device = Device(torch.device("cpu"), dtype)
    part.to_device(device)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    large = replace(CPU, slab=TILES * CPU.slab, part=TILES // 2 * CPU.part)
    with planned(gpu) if gpu else processed(large):
        with contextlib.nullcontext() if part.data else fake:
            with MemoryCount() as bytes_alive, FlopCount() as flops:
                part.run(device)
    return Cost(flops.total, bytes_alive.peak)


def require_memory(make: Callable[[], Part], device: Device) -> None:
    """Before the first step on a GPU: whether it has the memory that the part needs.

    Raises:
        SkfmError: where less is free, with what would fit.
    """
    if device.device.type == "cpu":
        return
    part, (free, total) = make(), device.free_memory()
    needed, _ = gpu_cost(part, total, device.dtype)
    if needed <= free:
        return
    one = replace(part, shape=(1, *part.shape[1:]))
    fits = "another preset, such as --preset small, or a GPU with more memory"
    if part.shape[0] > 1 and gpu_cost(one, total, device.dtype)[0] <= free:
        fits = "-p batch 1"
    raise SkfmError(
        f"{part.stage}: about {needed / GIB:.1f} GiB are needed, "
        f"{free / GIB:.1f} of {total / GIB:.1f} GiB are free on {device}",
        "a free GPU that is large enough",
        fits,
    )


def gpu_cost(
    part: Part, total: int, dtype: torch.dtype = torch.bfloat16
) -> tuple[int, int]:
    """Bytes that `part` takes at most on a GPU of `total` bytes, and its FLOPs."""
    cost = count(part, dtype, total)
    return RUNTIME + part.weights + cost.peak, cost.flops
