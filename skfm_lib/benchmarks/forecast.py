"""Forecast of memory and time of a study's stages, before they run.

The step of every stage runs twice: on tensors without data at the preset's own size, to
count FLOPs and the bytes of tensors alive, and for real on a grid small enough to take
seconds.  That gives the machine's speed, and the ratio of FLOPs the time at full size.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from skfm_lib.benchmarks.counters import FlopCount, MemoryCount
from skfm_lib.models import VQVAE, UNet3D, attention
from skfm_lib.models.ops import tiling
from skfm_lib.presets import Preset
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils.device import KEPT_AT_MOST, Device, pick_device
from skfm_lib.utils.memory import memory
from skfm_lib.utils.progress import Progress, clock

REHEARSAL = 0.35  # edge of the real grid, as a share of the paper's
GIB = 1 << 30


# What each stage repeats, as a function of a network and its input.
PARTS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "02 VQ-VAE, a training step": lambda vqvae, v: sum(vqvae.loss(v.sign())[:2]),
    "02 latents, a skull encoded": lambda vqvae, v: vqvae.encode(v.sign()),
    "03, 04 U-Net, a training step": lambda unet, z: F.mse_loss(unet(z, 0.5, 3), z),
    "05 sampling, an evaluation": lambda unet, z: unet(z, 0.5, 3),
    "05 a skull decoded": lambda vqvae, z: vqvae.decode(vqvae.quantize(z)[0]),
}


@dataclass(frozen=True)
class Part:
    """One of `PARTS`, repeated so many `times` on random input of a `shape`.

    If `trained`, the result is a loss, and gradients, Adam's moments and (denoisers)
    averaged weights are needed.
    """

    stage: str
    network: VQVAE | UNet3D
    shape: tuple[int, ...]
    times: int
    trained: bool

    def run(self, device: Device) -> None:
        """Compute it once; the network must be on `device` already."""
        with torch.set_grad_enabled(self.trained):
            x = torch.randn(self.shape, device=device.device)
            with device.autocast():
                result = PARTS[self.stage](self.network, x)
            if self.trained:
                result.backward()
                self.network.zero_grad()


@dataclass(frozen=True)
class Forecast:
    """Of one part: bytes at the peak, seconds of one repetition, repetitions."""

    stage: str
    memory: int
    seconds: float
    times: int

    @property
    def total(self) -> float:
        """Seconds of the complete stage."""
        return self.seconds * self.times


def forecast(settings: Preset) -> list[Forecast]:
    """Peak memory and time of the most expensive parts of the stages, on this machine.

    Memory is that of the process now, of the weights with gradients and optimizer
    state, of all tensors at their peak and, on a CPU, freed memory kept for reuse
    (`device.KEPT_AT_MOST`).  Time assumes the FLOP/s of the small grid.
    """
    device, found = pick_device(), []
    here = memory()[0]
    size = min(settings.data.size, REHEARSAL)
    pairs = list(zip(parts(settings), parts(settings, size)))
    with Progress("Planning", len(pairs)) as bar:
        for full, small in pairs:
            cost, less = count(full, device), count(small, device)
            seconds = rehearse(small, device) * cost.flops / less.flops
            weights = sum(4 * p.numel() for p in full.network.parameters())
            kept = min(KEPT_AT_MOST, cost.peak) if device.device.type == "cpu" else 0
            copies = 5 if full.trained else 1  # gradient, two moments, average
            peak = here + cost.peak + copies * weights + kept
            found.append(Forecast(full.stage, peak, seconds, full.times))
            bar.advance(note=full.stage)
    return found


def as_text(forecasts: Sequence[Forecast], limit: float | None = None) -> str:
    """A table; with a `limit` in GiB, also whether each part fits into it."""
    rows = []
    for one in forecasts:
        memory = one.memory / GIB
        fits = "" if limit is None else ("fits" if memory <= limit else "TOO LARGE")
        seconds = f"{one.seconds:.3g} s × {one.times:,} = {clock(one.total)}"
        rows.append(f"{one.stage:32}{memory:8.1f} GiB  {fits:10}{seconds}")
    return "\n".join(rows)


def parts(settings: Preset, size: float | None = None) -> list[Part]:
    """The repeated computations of a study; on another grid, if a `size` is given."""
    vqvae, denoiser = settings.vqvae, settings.denoiser
    if size is not None:
        vqvae = vqvae.but(output_shape=scaled_shape(size))
    shape, latent = vqvae.output_shape, (vqvae.code_dim, *vqvae.latent_shape)
    sampling, skulls = settings.sampling, settings.data
    evaluations = -(-sampling.count // sampling.batch) * sampling.steps
    first, second = VQVAE(vqvae), UNet3D(denoiser)
    rows: list[tuple[VQVAE | UNet3D, tuple[int, ...], int, bool]] = [
        (first, (vqvae.batch, 1, *shape), vqvae.steps, True),
        (first, (1, 1, *shape), skulls.train_skulls + skulls.test_skulls, False),
        (second, (denoiser.batch, *latent), denoiser.steps, True),
        (second, (sampling.batch, *latent), evaluations, False),
        (first, (1, *latent), sampling.count, False),
    ]
    return [Part(stage, *row) for stage, row in zip(PARTS, rows, strict=True)]


@dataclass
class Cost:
    """FLOPs of convolutions and matrix products, and peak bytes of tensors."""

    flops: int
    peak: int


def count(part: Part, device: Device) -> Cost:
    """The cost of one repetition, on tensors without data."""
    device.to_device(part.network)  # not below, where tensors have no data
    with _large_tiles(), FakeTensorMode(allow_non_fake_inputs=True):
        with MemoryCount() as bytes_alive, FlopCount() as flops:
            part.run(device)
    return Cost(flops.total, bytes_alive.peak)


def rehearse(part: Part, device: Device) -> float:
    """Seconds of a real repetition, the second of two."""
    device.to_device(part.network)
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        part.run(device)
        if device.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    return seconds


@contextlib.contextmanager
def _large_tiles() -> Iterator[None]:
    """Fewer, larger tiles: each takes time to count, and little memory."""
    former, part = dict(tiling.SLAB), attention.PART
    tiling.SLAB.update({kind: max(size, 1 << 27) for kind, size in former.items()})
    attention.PART = 4 * part
    try:
        yield
    finally:
        tiling.SLAB.update(former)
        attention.PART = part
