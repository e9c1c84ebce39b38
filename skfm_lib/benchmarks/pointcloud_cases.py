"""Cases on point clouds: a training step of the aligner and of PointAttN.

At the paper's sizes (Table 10): 8192 points, batch 12; 4096 points, batch 4.  Beside
each stands the same network written as one writes it first (`benchmarks.reference_networks`).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from skfm_lib.benchmarks.cases import OURS
from skfm_lib.benchmarks.isolated_process import Case
from skfm_lib.benchmarks.peer_cases import bare_training
from skfm_lib.benchmarks.reference_networks import (
    PlainAligner,
    PlainPointAttN,
    chamfer,
    farthest,
    pick,
)
from skfm_lib.benchmarks.skfm_cases import NOWHERE, PAPER, QUALITY
from skfm_lib.models import Aligner, PointAttN
from skfm_lib.models.pointcloud import chamfer_loss
from skfm_lib.models.pointcloud.layers import SCALE
from skfm_lib.tasks.completion import thinned
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.seeding import generator

PLAIN = "plain PyTorch, float32"


def aligner_steps(size: float = 1.0, with_plain: bool = True) -> list[Case]:
    """A training step of the aligner: loss, gradients, Adam; batch 12 at size 1."""
    setups = {OURS: aligner_step, PLAIN: plain_aligner_step}
    return _cases(setups, PAPER.aligner.batch, size, with_plain)


def completer_steps(size: float = 1.0, with_plain: bool = True) -> list[Case]:
    """A training step of PointAttN, its targets thinned; batch 4 at size 1."""
    setups = {OURS: completer_step, PLAIN: plain_completer_step}
    return _cases(setups, PAPER.completer.batch, size, with_plain)


def aligner_step(batch: int) -> Callable[[], None]:
    """This library's aligner at preset paper."""
    device, settings = pick_device(), PAPER.aligner
    trainer = Trainer(Aligner(settings), settings, device, NOWHERE, "")
    points = device.to_device(clouds(batch, settings.points))

    def step() -> None:
        with device.autocast():
            aligned, _, _ = trainer.model(points)
        trainer.descend(F.l1_loss(aligned, points) / SCALE)

    return step


def plain_aligner_step(batch: int) -> Callable[[], None]:
    """The same, plainly."""
    device, settings = pick_device(), PAPER.aligner
    network = PlainAligner(settings).to(device.device)
    points = device.to_device(clouds(batch, settings.points))
    return bare_training(network, lambda: F.l1_loss(network(points), points) / SCALE)


def completer_step(batch: int) -> Callable[[], None]:
    """This library's PointAttN at preset paper."""
    device, settings = pick_device(), PAPER.completer
    trainer = Trainer(PointAttN(settings), settings, device, NOWHERE, "")
    partial_, whole = (
        device.to_device(clouds(batch, n))
        for n in (settings.points, settings.outputs[-1])
    )

    def step() -> None:
        targets = thinned(whole, settings)
        with device.autocast():
            outputs = trainer.model(partial_)
        losses = [chamfer_loss(o, t) for o, t in zip(outputs, targets)]
        trainer.descend(sum(losses) / SCALE)

    return step


def plain_completer_step(batch: int) -> Callable[[], None]:
    """The same, plainly."""
    device, settings = pick_device(), PAPER.completer
    network = PlainPointAttN(settings).to(device.device)
    partial_, whole = (
        device.to_device(clouds(batch, n))
        for n in (settings.points, settings.outputs[-1])
    )

    def loss() -> Tensor:
        coarse, middle, _ = settings.outputs
        thin = pick(whole, farthest(whole, middle))
        targets = pick(thin, farthest(thin, coarse)), thin, whole
        pairs = zip(network(partial_), targets)
        return sum(chamfer(output, target) for output, target in pairs) / SCALE

    return bare_training(network, loss)


def clouds(batch: int, count: int) -> Tensor:
    """(batch, count, 3) mm: voxels' centres of a phantom of preset quick, jittered."""
    from skfm_lib.data.phantom import phantom_skull
    from skfm_lib.data.voxels import skull_grid
    from skfm_lib.presets.grid_sizes import scaled_shape

    grid, rng = skull_grid(scaled_shape(1 / 8)), generator("clouds")
    bone = torch.from_numpy(phantom_skull(0, QUALITY, grid.shape)).nonzero()
    chosen = torch.randint(len(bone), (batch, count), generator=rng)
    jitter = torch.rand(batch, count, 3, generator=rng) - 0.5
    index = (bone[chosen] + jitter).flatten(0, 1).double().numpy()
    return torch.from_numpy(grid.to_mm(index)).float().view(batch, count, 3)


def _cases(
    setups: dict[str, Callable], batch: int, size: float, with_plain: bool
) -> list[Case]:
    """At a share of the batch, two at least: batch norm can't do with one."""
    names, share = list(setups)[: 1 + with_plain], max(2, round(size * batch))
    return [Case(name, partial(setups[name], share)) for name in names]
