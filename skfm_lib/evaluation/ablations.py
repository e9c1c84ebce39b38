"""Table 8: autoencoders that differ in one setting, trained and evaluated alike.

The table is what settings are chosen by, so it is of the validation skulls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from skfm_lib.data.dataset import SkullSet
from skfm_lib.losses.adversarial import ADVERSARIAL
from skfm_lib.losses.perceptual import LPIPS, StudyDistance
from skfm_lib.metrics import Interval, bootstrap
from skfm_lib.presets.paper_tables import TABLE_8
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.vqvae import evaluate_each, load_vqvae, reconstruct, train_vqvae
from skfm_lib.utils.device import pick_device

FOLDER = "10_experiments"
SIZES = ((0.578, True), (0.578, False), (0.53, True), (0.422, True))


@dataclass(frozen=True)
class Variant:
    """One row of Table 8."""

    name: str
    changes: Mapping[str, object]  # of the preset's VQ-VAE settings
    paper: float | None  # the paper's error, if there is one
    seed: int = 0  # added to the study's


def variants(lpips_weights: str | None = None) -> list[Variant]:
    """The rows of Table 8, and the paper's autoencoder with another seed.

    Without `lpips_weights`, a folder for `LPIPS.load`, the row with LPIPS uses the
    distance of the study's own features, and is named accordingly.
    """
    perceptual = {"perceptual": 1.0, "lpips_weights": lpips_weights}
    distance = (LPIPS if lpips_weights else StudyDistance).short
    rows = [
        Variant("VQ-VAE, s=0.82, up", {}, TABLE_8["VQ-VAE"]),
        Variant("VQ-VAE, other seed", {}, None, seed=1),
        Variant("VQ-GAN", {"adversarial": ADVERSARIAL}, TABLE_8["VQ-GAN"]),
        Variant(f"VQ-VAE + {distance}", perceptual, TABLE_8["VQ-VAE + LPIPS"]),
    ]
    for s, up in SIZES:
        name = f"s={s}, {'up' if up else 'no up'}"
        rows.append(Variant(name, {"scale": s, "upsample": up}, TABLE_8[name]))
    return rows


def train_variant(
    study: Study,
    variant: Variant,
    steps: int | None,
    train: SkullSet,
    validation: SkullSet,
) -> Stage:
    """The experiment of a row: trained on `train`, evaluated on `validation`.

    All rows see the same skulls in the same order, except that of the other seed.
    An interrupted experiment is resumed, a finished one kept.  `steps` of None are
    the preset's.  The results are ``error`` and ``dice`` of every skull evaluated.
    """
    settings = study.settings.vqvae.but(steps=steps, **variant.changes)
    own = replace(study, seed=study.seed + variant.seed)
    chosen = {"seed": own.seed, "vqvae": settings.as_dict()}
    label = variant.name.lower().replace(",", "").replace(" ", "-")
    stage = own.experiment(FOLDER, label, chosen, after=(stage_names.DATA,))
    if not stage.done:
        device = pick_device()
        model, _ = train_vqvae(stage, train, settings, device)
        errors, overlaps, _ = evaluate_each(model, validation, device)
        stage.finish(error=errors, dice=overlaps)
    return stage


def table_8(
    rows: Sequence[Variant], stages: Sequence[Stage], seed: int
) -> dict[str, dict[str, Interval | float]]:
    """Row → column → value, with 95 % bootstrap intervals over the skulls.

    The error is that of Table 8: mean ``|v − v̂|`` on [−1, 1] at full resolution,
    whatever the resolution of the loss.  "minus the first row" is the mean of the
    paired differences, from which the variation between skulls cancels.
    """
    first = np.array(stages[0].results["error"])
    found: dict[str, dict[str, Interval | float]] = {}
    for variant, stage in zip(rows, stages):
        errors = np.array(stage.results["error"])
        more = errors - first
        row = found[variant.name] = {
            "error ↓": bootstrap(np.mean, errors, seed=seed),
            "minus the first row": 0.0,
            "Dice ↑": float(np.mean(stage.results["dice"])),
        }
        if more.any():
            row["minus the first row"] = bootstrap(np.mean, more, seed=seed)
        if variant.paper:
            row["paper's error ↓"] = variant.paper
    return found


def reconstructions(
    rows: Sequence[Variant], stages: Sequence[Stage], skulls: SkullSet, items: list[int]
) -> dict[str, np.ndarray]:
    """The `items` (b, D, H, W) as "skull", and each row's reconstructions of them."""
    v, device = torch.stack([skulls[i][0] for i in items]), pick_device()
    found = {"skull": v[:, 0].numpy()}
    for variant, stage in zip(rows, stages):
        model = load_vqvae(stage.study, device, stage.name)
        found[variant.name] = reconstruct(model, v, device)[0][:, 0].numpy()
    return found
