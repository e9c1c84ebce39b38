"""The judge of conditioning: which quality score a skull shows, whatever was asked."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.evaluation.screening.downsampling import FINE, blocks
from skfm_lib.evaluation.screening.measures import Skulls
from skfm_lib.models.ops.conv3d import Conv3d
from skfm_lib.presets import TrainingConfig
from skfm_lib.study import Stage
from skfm_lib.training.checkpoints import load_weights, save_weights
from skfm_lib.training.corruptions import damaged
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import batch_indices, generator, seed_of

SHIFT = 2  # cells, largest augmenting shift along each axis
CHANNELS = (8, 16, 32)
PLACES = (4, 3, 8)  # where on the grid still counts: the score is a field of view


class ScoreNet(nn.Module):
    """Cells (n, 1, d, h, w) in [−1, 1] → logits (n, scores) of the quality score."""

    def __init__(self, scores: Sequence[int]) -> None:
        super().__init__()
        self.scores = tuple(scores)
        widths = (1, *CHANNELS)
        self.layers = nn.ModuleList(
            Conv3d(a, b, 3, stride=2, padding=1) for a, b in zip(widths, widths[1:])
        )
        self.norms = nn.ModuleList(nn.GroupNorm(4, width) for width in CHANNELS)
        self.score = nn.Linear(CHANNELS[-1] * int(np.prod(PLACES)), len(scores))

    def forward(self, cells: Tensor) -> Tensor:
        """Logits in the order of `scores`."""
        x = cells
        for layer, norm in zip(self.layers, self.norms):
            x = F.silu(norm(layer(x).float()))
        return self.score(F.adaptive_avg_pool3d(x, PLACES).flatten(1))


def train_score_classifier(stage: Stage, skulls: Skulls, steps: int) -> ScoreNet:
    """The judge of a stage, trained once on its training skulls, resuming.

    Three quarters of each batch are noisy, smoothed or holed, half is mirrored, all
    is shifted, so that the judge looks at what was scanned and not at its finish.
    Measured on 726 and 182 phantoms at preset quick, 250 steps: one held-out skull
    is misjudged, and one more when all are damaged as in training.  SkfmError where
    the skulls have fewer than two scores.
    """
    scores = sorted(set(skulls.qualities))
    if len(scores) < 2:
        raise SkfmError(
            f"training skulls of quality scores {scores}",
            "two scores at least, to tell apart",
            "screen a set of several scores",
        )
    network, path = ScoreNet(scores), stage.folder / "judge.safetensors"
    if not path.is_file():
        seed = seed_of(stage.study.seed, "judge")
        torch.manual_seed(seed)
        network = _trained(stage, skulls, scores, steps, seed)
        save_weights(network, path, {"steps": steps, "scores": scores})
    load_weights(network, path)
    return network.eval()


def _trained(
    stage: Stage, skulls: Skulls, scores: list[int], steps: int, seed: int
) -> ScoreNet:
    device, settings = pick_device(), _settings(steps)
    network = ScoreNet(scores)
    goals = torch.tensor([scores.index(q) for q in skulls.qualities])
    trainer = Trainer(network, settings, device, stage.folder, stage.fingerprint)
    for step in trainer.steps("Judge"):
        chosen = batch_indices(seed, step, len(goals), settings.batch)
        v = augmented(as_input(skulls, chosen), generator(seed, "augment", step))
        with device.autocast():
            logits = network(device.to_device(v))
        trainer.descend(F.cross_entropy(logits, device.to_device(goals[chosen])))
    return network


def _settings(steps: int) -> TrainingConfig:
    rates = {"learning_rate": 6e-3, "final_rate": 0.02, "warmup": 10}
    return TrainingConfig(steps, batch=16, betas=(0.9, 0.99), **rates)


@torch.no_grad()
def shown_scores(network: ScoreNet, skulls: Skulls, batch: int = 32) -> np.ndarray:
    """The quality score (n,) that each of the skulls shows."""
    device, found = pick_device(), []
    network = device.to_device(network).eval()
    for start in range(0, len(skulls), batch):
        chosen = range(len(skulls))[start : start + batch]
        with device.autocast():
            logits = network(device.to_device(as_input(skulls, chosen)))
        found.append(logits.argmax(dim=1).cpu())
    return np.array(network.scores)[torch.cat(found).numpy()]


def as_input(skulls: Skulls, chosen: Sequence[int]) -> Tensor:
    """Shares of bone in cells of FINE mm as (n, 1, d, h, w) float32 in [−1, 1]."""
    cells = [blocks(skulls.occupancy(i), skulls.grid, FINE) for i in chosen]
    return torch.from_numpy(np.stack(cells))[:, None] * 2 - 1


def augmented(v: Tensor, rng: torch.Generator) -> Tensor:
    """A batch damaged, half of it mirrored, all of it moved by up to SHIFT cells."""
    v, _ = damaged(v, rng)
    flip = torch.rand(len(v), generator=rng) < 0.5
    v = torch.where(flip.view(-1, 1, 1, 1, 1), v.flip(3), v)
    starts = torch.randint(2 * SHIFT + 1, (3,), generator=rng).tolist()
    padded = F.pad(v, [SHIFT] * 6, value=-1.0)
    for axis, start in enumerate(starts):
        padded = padded.narrow(axis + 2, start, v.shape[axis + 2])
    return padded
