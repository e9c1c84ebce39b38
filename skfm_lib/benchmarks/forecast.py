"""What a study will take: memory and time of its stages, before they are run.

Every stage's step runs twice.  Once on tensors without data, at the preset's own
size: the very code that will train, with every tensor it makes counted from birth to
death, and every multiplication.  And once for real, on a grid small enough for
seconds: that gives this machine's speed, and the two counts of arithmetic the time
at full size.
"""

import contextlib
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skfm_lib.benchmarks.flops import FlopCount
from skfm_lib.models import VQVAE, UNet3D, attention
from skfm_lib.models.ops import tiling
from skfm_lib.presets import Preset
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils.device import KEPT_AT_MOST, Device, pick_device
from skfm_lib.utils.memory import memory
from skfm_lib.utils.progress import Progress, clock

REHEARSAL = 0.35  # edge of the real grid, as a share of the paper's
GIB = 1 << 30


@dataclass(frozen=True)
class Part:
    """What a stage repeats.

    network  whose weights it needs
    run      one repetition, given the network on its device
    times    how often the stage repeats it
    trained  with gradients, Adam's moments and (denoisers) averaged weights
    """

    stage: str
    network: nn.Module
    run: Callable[[nn.Module, Device], object]
    times: int
    trained: bool


@dataclass(frozen=True)
class Forecast:
    """Of one part: bytes at the peak, seconds of a repetition and of all."""

    stage: str
    memory: int
    seconds: float
    times: int

    @property
    def total(self) -> float:
        """Seconds of the whole stage."""
        return self.seconds * self.times


def forecast(settings: Preset) -> list[Forecast]:
    """Peak memory and time of the stages that take most, on this machine.

    Memory is the process's own now, the weights with what belongs to them, the peak
    of all maps and, on a CPU, the freed memory that is kept for the next map
    (`device.KEPT_AT_MOST`).  Time assumes that this machine does the arithmetic of
    the full grid as fast as that of the rehearsal.
    """
    device, found = pick_device(), []
    here = memory()[0]
    size = min(settings.data.size, REHEARSAL)
    pairs = zip(parts(settings), parts(settings, size))
    with Progress("Planning", len(parts(settings))) as bar:
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
    """A table; with a `limit` in GiB, what fits into it."""
    rows = []
    for one in forecasts:
        memory = one.memory / GIB
        fits = "" if limit is None else ("fits" if memory <= limit else "TOO LARGE")
        seconds = f"{one.seconds:.3g} s × {one.times:,} = {clock(one.total)}"
        rows.append(f"{one.stage:32}{memory:8.1f} GiB  {fits:10}{seconds}")
    return "\n".join(rows)


def parts(settings: Preset, size: float | None = None) -> list[Part]:
    """What the stages of a study repeat; on another grid, if a `size` is given."""
    vqvae, denoiser = settings.vqvae, settings.denoiser
    if size is not None:
        vqvae = vqvae.but(output_shape=scaled_shape(size))
    shape, latent = vqvae.output_shape, (vqvae.code_dim, *vqvae.latent_shape)
    sampling, skulls = settings.sampling, settings.data
    volumes = (vqvae.batch, 1, *shape)
    noised = (denoiser.batch, *latent)
    first, second = VQVAE(vqvae), UNet3D(denoiser)
    drawn = -(-sampling.count // sampling.batch)
    train = "02 VQ-VAE, a training step", "03, 04 U-Net, a training step"
    return [
        Part(train[0], first, partial(_vqvae_step, volumes), vqvae.steps, True),
        Part(
            "02 latents, a skull encoded",
            first,
            partial(_encode, (1, 1, *shape)),
            skulls.train_skulls + skulls.test_skulls,
            False,
        ),
        Part(train[1], second, partial(_unet_step, noised), denoiser.steps, True),
        Part(
            "05 sampling, an evaluation",
            second,
            partial(_evaluate, (sampling.batch, *latent)),
            drawn * sampling.steps,
            False,
        ),
        Part(
            "05 a skull decoded",
            first,
            partial(_decode, (1, *latent)),
            sampling.count,
            False,
        ),
    ]


@dataclass
class Cost:
    """FLOPs of convolutions and products, and bytes alive at once at most."""

    flops: int
    peak: int


def count(part: Part, device: Device) -> Cost:
    """The cost of one repetition, found without doing it."""
    network = device.to_device(part.network)
    with _coarse_slabs(), FakeTensorMode(allow_non_fake_inputs=True):
        with Alive() as alive, FlopCount() as flops:
            part.run(network, device)
    return Cost(flops.total, alive.peak)


def rehearse(part: Part, device: Device) -> float:
    """Seconds of a real repetition, the second of two."""
    network = device.to_device(part.network)
    for _ in range(2):
        started = time.perf_counter()
        part.run(network, device)
        if device.device.type == "cuda":
            torch.cuda.synchronize()
    return time.perf_counter() - started


class Alive(TorchDispatchMode):
    """Bytes of tensors made inside and not yet gone, and their ``peak``."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, weakref.ref] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as in `FlopCount`

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            for made in tree_leaves(out):
                if isinstance(made, Tensor):
                    self._add(made.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            gone = partial(self._remove, key, size)
            self._known[key] = weakref.ref(storage, gone)
            self.now += size
            self.peak = max(self.peak, self.now)

    def _remove(self, key: int, size: int, _: weakref.ref) -> None:
        self.now -= size
        del self._known[key]


@contextlib.contextmanager
def _coarse_slabs() -> Iterator[None]:
    """Fewer, larger slabs and parts: each takes a moment to count, little memory."""
    former, part = dict(tiling.SLAB), attention.PART
    tiling.SLAB.update({kind: max(size, 1 << 27) for kind, size in former.items()})
    attention.PART = 4 * part
    try:
        yield
    finally:
        tiling.SLAB.update(former)
        attention.PART = part


def _vqvae_step(shape: Sequence[int], network: VQVAE, device: Device) -> None:
    v = torch.randn(shape, device=device.device).sign()
    with device.autocast():
        reconstruction, commitment, *_ = network.loss(v)
    (reconstruction + commitment).backward()
    network.zero_grad()


def _unet_step(shape: Sequence[int], network: UNet3D, device: Device) -> None:
    z = torch.randn(shape, device=device.device)
    with device.autocast():
        loss = (network(z, 0.5, 3) - z).square().mean()
    loss.backward()
    network.zero_grad()


@torch.no_grad()
def _encode(shape: Sequence[int], network: VQVAE, device: Device) -> None:
    v = torch.randn(shape, device=device.device).sign()
    with device.autocast():
        network.encode(v)


@torch.no_grad()
def _evaluate(shape: Sequence[int], network: UNet3D, device: Device) -> None:
    with device.autocast():
        network(torch.randn(shape, device=device.device), 0.5, 3)


@torch.no_grad()
def _decode(shape: Sequence[int], network: VQVAE, device: Device) -> None:
    z = torch.randn(shape, device=device.device)
    with device.autocast():
        network.decode(network.quantize(z)[0])
