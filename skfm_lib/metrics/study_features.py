"""The offline feature network: a small CNN trained on the study's own real skulls.

MedicalNet's weights need a download; this network needs none.  It learns what the
study looks at: the quality score, where bone and bone surface are, and damage.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skfm_lib.metrics.damage import KINDS, damaged
from skfm_lib.metrics.feature_extraction import as_input, extract
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

CELLS = (4, 3, 4)  # coarse cells along D, H, W, near the grid's aspect ratio
WIDTH = 32 + 64 + 128  # features: the channels of the three stages
PEAK = 5e-3  # learning rate; 2e-3 learns too slowly in 300 steps
SHIFT = 2  # voxels, largest augmenting shift along each axis


class Residual(nn.Module):
    """Two 3³ convolutions with GroupNorm, the first strided, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride, padding=1)
        self.norm1 = nn.GroupNorm(8, outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, outputs)
        self.shortcut = nn.Conv3d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, D, H, W) → (n, outputs, ⌈D/stride⌉, …)."""
        h = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(h)) + self.shortcut(x))


class StudyFeatures(nn.Module):
    """Volume (n, 1, D, H, W) in [−1, 1] → 224 features → what the study looks at.

    The features are the averages of all three stages, since texture lives in the
    early ones; they are measured in standard deviations of the training skulls.
    """

    description, dimensions = "study features", WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(1, 16, 3, stride=2, padding=1)
        # No stride in the last stage: at a depth of 2, where preset tiny would end,
        # oneDNN's bf16 weight gradient of a 3³ convolution is wrong (torch 2.13).
        self.stages = nn.ModuleList(
            [Residual(16, 32, 2), Residual(32, 64, 2), Residual(64, 128, 1)]
        )
        self.quality = nn.Linear(WIDTH, len(QUALITY_SCORES))
        self.anatomy = nn.Linear(WIDTH, 2 * CELLS[0] * CELLS[1] * CELLS[2])
        self.damage = nn.Linear(WIDTH, len(KINDS))
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("spread", torch.ones(WIDTH))

    def maps(self, v: Tensor) -> Iterator[Tensor]:
        """(n, 1, D, H, W) → the maps of the three stages, at 1/4 and twice at 1/8."""
        x = F.silu(self.stem(v))
        for stage in self.stages:
            x = stage(x)
            yield x

    def pooled(self, v: Tensor) -> Tensor:
        """(n, 1, D, H, W) → (n, 224): global averages, not yet standardised."""
        return torch.cat([x.float().mean(dim=(2, 3, 4)) for x in self.maps(v)], dim=1)

    def features(self, v: Tensor) -> Tensor:
        """(n, 1, D, H, W) → (n, 224), standardised on the training skulls."""
        return (self.pooled(v) - self.mean) / self.spread

    def forward(self, v: Tensor) -> Tensor:
        """Logits (n, 5) of the quality scores 2 to 6."""
        return self.quality(self.pooled(v))


def train_features(
    volumes: Tensor,
    qualities: Sequence[int] | Tensor,
    steps: int = 300,
    seed: int = 0,
    batch: int = 16,
) -> StudyFeatures:
    """`StudyFeatures` trained on real `volumes` (n, 1, D, H, W) of scores 2–6 (n,).

    Cross-entropy on the quality score plus mean squared errors on `anatomy_targets`
    and on the strength of the damage done (`damaged`), on volumes shifted by up to
    2 voxels.  Measured on 726 and 182 phantoms at preset quick: flipping 1 % of the
    voxels raises the Fréchet distance from 1.3 to 66; without the damage target,
    from 1.0 to 5.3.

    Train it on the training split only, and use one network for all sets that are
    compared.  The same seed gives the same weights on the same machine.  Raises
    SkfmError for scores outside 2–6 or of another number.
    """
    scores = _scores(qualities, len(volumes))
    here, dice = pick_device(), torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = here.place(StudyFeatures())
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps)
    mean, spread = _target_scale(volumes, dice)
    for _ in track(range(steps), "feature network"):
        chosen = torch.randint(len(volumes), (batch,), generator=dice)
        v, damage = damaged(_shifted(as_input(volumes[chosen]), dice), dice)
        anatomy = (anatomy_targets(v) - mean) / spread
        goals = (scores[chosen] - 2, anatomy, damage)
        with here.autocast():
            loss = _loss(network, here.place(v), *map(here.place, goals))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return _standardised(network, volumes)


def anatomy_targets(v: Tensor) -> Tensor:
    """Bone fraction and bone-surface density in 4×3×4 cells of `v`, (n, 96).

    Surface density is the mean number of faces a voxel of the cell shows to the
    other phase; it answers to noise, blur and holes that the fraction overlooks.
    """
    bone = (v > 0).float()
    faces = sum(F.pad(bone.diff(dim=i).abs(), _after(i)) for i in (2, 3, 4))
    cells = [F.adaptive_avg_pool3d(x, CELLS).flatten(1) for x in (bone, faces)]
    return torch.cat(cells, dim=1)


def _after(axis: int) -> list[int]:
    """`F.pad` widths that add one voxel behind `axis`."""
    return [0, 0] * (4 - axis) + [0, 1]


def _scores(qualities: Sequence[int] | Tensor, expected: int) -> Tensor:
    scores = torch.as_tensor(qualities).long()
    if len(scores) != expected or not 2 <= scores.min() <= scores.max() <= 6:
        raise SkfmError(
            f"{len(scores)} scores {sorted(set(scores.tolist()))} for {expected} items",
            "one score from 2 to 6 for each",
        )
    return scores


def _target_scale(volumes: Tensor, dice: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mean and spread of the anatomy of some training skulls, damaged as in training.

    Of whole skulls the empty cells would have no spread, and noise in them would
    outweigh every other target.
    """
    some = torch.randint(len(volumes), (128,), generator=dice)
    targets = anatomy_targets(damaged(as_input(volumes[some]), dice)[0])
    return targets.mean(dim=0), targets.std(dim=0) + 1e-3


def _shifted(v: Tensor, dice: torch.Generator) -> Tensor:
    """`v` moved by the same random shift for the whole batch; background enters."""
    starts = torch.randint(2 * SHIFT + 1, (3,), generator=dice).tolist()
    padded = F.pad(v, [SHIFT] * 6, value=-1.0)
    for axis, start in enumerate(starts):
        padded = padded.narrow(axis + 2, start, v.shape[axis + 2])
    return padded.contiguous()


def _loss(
    network: StudyFeatures, v: Tensor, score: Tensor, anatomy: Tensor, damage: Tensor
) -> Tensor:
    x = network.pooled(v)
    right = F.cross_entropy(network.quality(x), score)
    place = F.mse_loss(network.anatomy(x), anatomy)
    return right + place + 10 * F.mse_loss(network.damage(x), damage)


def _standardised(network: StudyFeatures, volumes: Tensor) -> StudyFeatures:
    """Set the buffers so that `features` has mean 0 and spread 1 on `volumes`."""
    found = extract(network, volumes, batch=32)
    network.mean.copy_(found.mean(dim=0))
    network.spread.copy_(found.std(dim=0).clamp(min=1e-6))
    return network
