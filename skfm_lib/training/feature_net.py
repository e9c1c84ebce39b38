"""Train the feature network (`models.feature_net`) on a study's own real skulls.

Its targets are the quality score, where bone and bone surface are, and corruptions.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.metrics.feature_extraction import Volumes, as_input, extract
from skfm_lib.models.feature_net import BLOCKS, StudyFeatures, reduced
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.checkpoints import load_weights, save_weights
from skfm_lib.training.corruptions import KINDS, damaged
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

PEAK = 5e-3  # learning rate; 2e-3 learns too slowly in 300 steps
SHIFT = 2  # voxels, largest shift along each axis for augmentation


def train_features(
    volumes: Volumes,
    qualities: Sequence[int] | Tensor,
    steps: int = 300,
    seed: int = 0,
    batch: int = 16,
) -> StudyFeatures:
    """Train `StudyFeatures` on n real `volumes` (1, D, H, W) of scores 2–6 (n,).

    The loss is cross-entropy on the quality score plus mean squared errors on
    `anatomy_targets` and on the strength of corruptions (`corruptions.damaged`), on
    volumes shifted by up to 2 voxels.  The last is there for features that are
    sensitive to corruptions; `evaluation.metric_sanity` measures how sensitive.

    Use the training split only, and one network for all sets that are compared.  The
    same seed gives the same weights on the same machine.  SkfmError for scores outside
    2–6 and for another number of scores.
    """
    scores, expected = torch.as_tensor(qualities).long(), len(volumes)
    if len(scores) != expected or not 2 <= scores.min() <= scores.max() <= 6:
        raise SkfmError(
            f"{len(scores)} scores {sorted(set(scores.tolist()))} for {expected} items",
            "one score from 2 to 6 for each",
        )
    device, rng = pick_device(), torch.Generator().manual_seed(seed)
    volumes = _as_seen(volumes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = device.to_device(StudyFeatures(len(KINDS)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps)
    mean, deviation = _target_scale(volumes, rng)
    for _ in track(range(steps), "feature network"):
        chosen = torch.randint(len(volumes), (batch,), generator=rng)
        v, strengths = damaged(_shifted(as_input(volumes[chosen]), rng), rng)
        anatomy = (anatomy_targets(v) - mean) / deviation
        values = (v, scores[chosen] - 2, anatomy, strengths)
        v, label, anatomy, strengths = map(device.to_device, values)
        with device.autocast():
            x = network.pooled(v)
            loss = F.cross_entropy(network.quality(x), label)
            loss = loss + F.mse_loss(network.anatomy(x), anatomy)
            loss = loss + 10 * F.mse_loss(network.damage(x), strengths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    # From now on `features` has mean 0 and standard deviation 1 on `volumes`.
    network.standardise(extract(network, volumes, batch=32))
    return network


def study_features(stage: Stage, train: SkullSet, steps: int) -> StudyFeatures:
    """The feature network of a study, trained once on its training skulls.

    It is saved with the run, so that all stages use the same one.
    """
    study = stage.study
    skulls = study.finished(stage_names.DATA).fingerprint
    path = feature_cache(study) / f"study-{skulls}-{steps}.safetensors"
    network = StudyFeatures(len(KINDS))
    if not path.is_file():
        volumes = volumes_of(train)
        network = train_features(volumes, train.qualities, steps, study.seed)
        save_weights(network, path, {"steps": steps, "seed": study.seed})
    load_weights(network, path)
    return network.eval()


def feature_cache(study: Study) -> Path:
    """The folder of a run for features; named by content, so that stages share them."""
    return study.folder / "features"


def _as_seen(volumes: Volumes) -> Tensor:
    """All volumes as the network sees them, `reduced` ones in half precision."""
    first = as_input(volumes[0])[None]
    if reduced(first).shape == first.shape:
        every = range(len(volumes))
        return torch.stack([torch.as_tensor(volumes[i]) for i in every])
    small = torch.empty(len(volumes), *reduced(first).shape[1:], dtype=torch.float16)
    for i in track(range(len(volumes)), "Reading skulls"):
        small[i] = reduced(as_input(volumes[i])[None])[0]
    return small


def anatomy_targets(v: Tensor) -> Tensor:
    """Bone fraction and bone-surface density in 4×3×4 blocks of `v`, (n, 96).

    Surface density is the mean number of faces per voxel between bone and background;
    it depends on noise, blur and holes that hardly change the fraction.
    """
    bone = (v > 0).float()
    faces = torch.zeros_like(bone)
    for axis in (2, 3, 4):
        inner = bone.shape[axis] - 1
        faces.narrow(axis, 0, inner).add_(bone.diff(dim=axis).abs())
    blocks = [F.adaptive_avg_pool3d(x, BLOCKS).flatten(1) for x in (bone, faces)]
    return torch.cat(blocks, dim=1)


def _target_scale(volumes: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the anatomy of corrupted training skulls.

    (Intact ones have empty blocks of deviation 0, where noise would dominate.)
    """
    some = torch.randint(len(volumes), (128,), generator=rng)
    targets = anatomy_targets(damaged(as_input(volumes[some]), rng)[0])
    return targets.mean(dim=0), targets.std(dim=0) + 1e-3


def _shifted(v: Tensor, rng: torch.Generator) -> Tensor:
    """`v` shifted by one random offset for the batch, filled up with background."""
    starts = torch.randint(2 * SHIFT + 1, (3,), generator=rng).tolist()
    padded = F.pad(v, [SHIFT] * 6, value=-1.0)
    for axis, start in enumerate(starts):
        padded = padded.narrow(axis + 2, start, v.shape[axis + 2])
    return padded.contiguous()
