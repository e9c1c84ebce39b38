"""The cases on point clouds: a training step of the aligner and of PointAttN.

At the paper's sizes (Table 10): 8192 points, batch 12; 4096 points, batch 4.  Each is
compared with a straightforward implementation (`benchmarks.reference_networks`).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from skfm_lib.benchmarks.cases import OURS
from skfm_lib.benchmarks.measurement import Case
from skfm_lib.benchmarks.peer_cases import bare_training
from skfm_lib.benchmarks.reference_networks import (
    PlainAligner,
    PlainPointAttN,
    chamfer,
    farthest,
    pick,
)
from skfm_lib.benchmarks.skfm_cases import NO_FOLDER, PAPER, QUALITY
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
    return _cases(aligner_step, size * PAPER.aligner.batch, with_plain)


def completer_steps(size: float = 1.0, with_plain: bool = True) -> list[Case]:
    """A training step of PointAttN, its targets thinned; batch 4 at size 1."""
    return _cases(completer_step, size * PAPER.completer.batch, with_plain)


def aligner_step(batch: int, plain: bool = False) -> Callable[[], None]:
    """This library's aligner at preset paper, or the `plain` one."""
    device, settings = pick_device(), PAPER.aligner
    points = device.to_device(clouds(batch, settings.points))
    if plain:
        network = PlainAligner(settings).to(device.device)
        return bare_training(
            network, lambda: F.l1_loss(network(points), points) / SCALE
        )
    trainer = Trainer(Aligner(settings), settings, device, NO_FOLDER, "")

    def step() -> None:
        with device.autocast():
            aligned, _, _ = trainer.model(points)
        trainer.descend(F.l1_loss(aligned, points) / SCALE)

    return step


def completer_step(batch: int, plain: bool = False) -> Callable[[], None]:
    """This library's PointAttN at preset paper, or the `plain` one."""
    device, settings = pick_device(), PAPER.completer
    parts = device.to_device(clouds(batch, settings.points))
    full = device.to_device(clouds(batch, settings.outputs[-1]))
    if plain:
        network = PlainPointAttN(settings).to(device.device)

        def loss() -> Tensor:
            coarse, middle, _ = settings.outputs
            thin = pick(full, farthest(full, middle))
            targets = pick(thin, farthest(thin, coarse)), thin, full
            losses = [chamfer(o, t) for o, t in zip(network(parts), targets)]
            return torch.stack(losses).sum() / SCALE

        return bare_training(network, loss)
    trainer = Trainer(PointAttN(settings), settings, device, NO_FOLDER, "")

    def step() -> None:
        targets = thinned(full, settings)
        with device.autocast():
            outputs = trainer.model(parts)
        losses = [chamfer_loss(o, t) for o, t in zip(outputs, targets)]
        trainer.descend(torch.stack(losses).sum() / SCALE)

    return step


def clouds(batch: int, count: int) -> Tensor:
    """(batch, count, 3) mm: jittered centres of voxels of a phantom of preset quick."""
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
    setup: Callable[..., Callable[[], None]], batch: float, with_plain: bool
) -> list[Case]:
    """Ours and the plain one; a batch of at least two, as batch norm needs."""
    count = max(2, round(batch))
    plain = [Case(PLAIN, partial(setup, count, plain=True))] if with_plain else []
    return [Case(OURS, partial(setup, count)), *plain]
