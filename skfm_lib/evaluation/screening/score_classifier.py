"""A classifier of the quality score of a volume, which finds conditioning errors."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.data.bone_fractions import network_values
from skfm_lib.evaluation.screening.anatomy import FINE, downsample
from skfm_lib.evaluation.screening.measures import Skulls
from skfm_lib.models.ops.conv3d import Conv3d
from skfm_lib.models.ops.resample import pool
from skfm_lib.presets import TrainingConfig
from skfm_lib.study import Stage
from skfm_lib.training.checkpoints import load_weights, save_weights
from skfm_lib.training.corruptions import damaged
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import batch_indices, generator, seed_of

WEIGHTS = "score_classifier.safetensors"
SHIFT = 2  # blocks, largest augmenting shift along each axis
CHANNELS = (8, 16, 32)
POOLED = (4, 3, 8)  # grid after pooling; a score is a field of view, so position counts


class ScoreNet(nn.Module):
    """Blocks (n, 1, d, h, w) in [−1, 1] → logits (n, scores) of the quality score."""

    def __init__(self, scores: Sequence[int]) -> None:
        super().__init__()
        self.scores = tuple(scores)
        widths = (1, *CHANNELS)
        self.layers = nn.ModuleList(
            Conv3d(a, b, 3, stride=2, padding=1) for a, b in zip(widths, widths[1:])
        )
        self.norms = nn.ModuleList(nn.GroupNorm(4, width) for width in CHANNELS)
        self.score = nn.Linear(CHANNELS[-1] * int(np.prod(POOLED)), len(scores))

    def forward(self, x: Tensor) -> Tensor:
        """Logits in the order of `scores`."""
        for layer, norm in zip(self.layers, self.norms):
            x = F.silu(norm(layer(x).float()))
        return self.score(pool(x, POOLED).flatten(1))


def train_score_classifier(stage: Stage, skulls: Skulls, steps: int) -> ScoreNet:
    """Train the classifier of a stage on its training skulls, or load it.

    Augmentation by `corruptions` makes it depend on what was scanned and not on the
    surface.  Training resumes from the last checkpoint.

    Raises:
        SkfmError: if the skulls have fewer than two scores.
    """
    scores = sorted(set(skulls.qualities))
    if len(scores) < 2:
        raise SkfmError(
            f"training skulls of quality scores {scores}",
            "at least two scores",
            "screen a set of several scores",
        )
    seed, path = seed_of(stage.study.seed, "score classifier"), stage.folder / WEIGHTS
    torch.manual_seed(seed)
    network = ScoreNet(scores)
    if path.is_file():
        load_weights(network, path)
    else:
        _train(network, stage, skulls, steps, seed)
        save_weights(network, path, {"steps": steps, "scores": scores})
    return network.eval()


def _train(
    network: ScoreNet, stage: Stage, skulls: Skulls, steps: int, seed: int
) -> None:
    settings = TrainingConfig(
        steps, 16, learning_rate=6e-3, final_rate=0.02, betas=(0.9, 0.99), warmup=10
    )
    device = pick_device()
    labels = torch.tensor([network.scores.index(q) for q in skulls.qualities])
    trainer = Trainer(network, settings, device, stage.folder, stage.fingerprint)
    for step in trainer.steps("Score classifier"):
        chosen = batch_indices(seed, step, len(labels), settings.batch)
        v = augmented(as_input(skulls, chosen), generator(seed, "augment", step))
        with device.autocast():
            logits = network(device.to_device(v))
        trainer.descend(F.cross_entropy(logits, device.to_device(labels[chosen])))


@torch.no_grad()
def predict_scores(network: ScoreNet, skulls: Skulls, batch: int = 32) -> np.ndarray:
    """The predicted quality score (n,) of each skull."""
    device, predicted = pick_device(), []
    network = device.to_device(network).eval()
    for chosen in torch.arange(len(skulls)).split(batch):
        with device.autocast():
            logits = network(device.to_device(as_input(skulls, chosen.tolist())))
        predicted.append(logits.argmax(dim=1).cpu())
    return np.array(network.scores)[torch.cat(predicted).numpy()]


def as_input(skulls: Skulls, chosen: Sequence[int]) -> Tensor:
    """v of the bone in blocks of FINE mm, (n, 1, d, h, w) float32 in [−1, 1]."""
    blocks = [downsample(skulls.volume(i), skulls.grid, FINE) for i in chosen]
    return network_values(torch.from_numpy(np.stack(blocks))[:, None])


def augmented(v: Tensor, rng: torch.Generator) -> Tensor:
    """A batch, three quarters corrupted, half mirrored, all shifted by up to SHIFT."""
    v, _ = damaged(v, rng)
    flip = torch.rand(len(v), generator=rng) < 0.5
    v = torch.where(flip.view(-1, 1, 1, 1, 1), v.flip(3), v)
    starts = torch.randint(2 * SHIFT + 1, (3,), generator=rng).tolist()
    box = [slice(start, start + n) for start, n in zip(starts, v.shape[2:])]
    return F.pad(v, [SHIFT] * 6, value=-1.0)[:, :, box[0], box[1], box[2]]
