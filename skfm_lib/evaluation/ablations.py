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
from skfm_lib.presets import VQVAEConfig
from skfm_lib.presets.paper_tables import TABLE_8
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.vqvae import evaluate_each, load_vqvae, reconstruct, train_vqvae
from skfm_lib.utils.device import pick_device

FOLDER = "10_experiments"
SIZES = ((0.578, True), (0.578, False), (0.53, True), (0.422, True))
SEEDS = (0, 1)  # of every row, added to the study's


@dataclass(frozen=True)
class Variant:
    """One row of Table 8."""

    name: str
    changes: Mapping[str, object]  # of the preset's VQ-VAE settings
    paper: float | None = None  # the paper's error, if there is one


def variants(settings: VQVAEConfig, lpips_weights: str | None = None) -> list[Variant]:
    """The rows of Table 8, and those of the study's own choices.

    Without `lpips_weights`, a folder for `LPIPS.load`, the row with LPIPS uses the
    distance of the study's own features, and is named accordingly.  Where `settings`
    forgive overshoot, "up" is favoured: its loss is then nearly the error of the table,
    that of "no up" is not.  Two more rows compare both by plain L1, the paper's loss.
    """
    perceptual = {"perceptual": 1.0, "lpips_weights": lpips_weights}
    distance = (LPIPS if lpips_weights else StudyDistance).short
    rows = [
        Variant("VQ-VAE, s=0.82, up", {}, TABLE_8["VQ-VAE"]),
        Variant("zero padding", {"padding": "zeros"}),
        Variant("VQ-GAN", {"adversarial": ADVERSARIAL}, TABLE_8["VQ-GAN"]),
        Variant(f"VQ-VAE + {distance}", perceptual, TABLE_8["VQ-VAE + LPIPS"]),
    ]
    for s, up in SIZES:
        name = f"s={s}, {'up' if up else 'no up'}"
        rows.append(Variant(name, {"scale": s, "upsample": up}, TABLE_8[name]))
    if settings.forgive_overshoot:
        plain = {"forgive_overshoot": False}
        rows += [
            Variant(f"{row.name}, plain L1", {**row.changes, **plain})
            for row in rows[4:6]
        ]
    return rows


def train_variant(
    study: Study,
    variant: Variant,
    steps: int | None,
    train: SkullSet,
    validation: SkullSet,
) -> list[Stage]:
    """The experiments of a row, one a seed: trained on `train`, then evaluated.

    All rows see the same skulls in the same order, for each of the `SEEDS`.  An
    interrupted experiment is resumed, a finished one kept.  `steps` of None are the
    preset's.  The results are ``error`` and ``dice`` of every skull of `validation`.
    """
    settings = study.settings.vqvae.but(steps=steps, **variant.changes)
    label, device = variant.name.lower().replace(",", ""), pick_device()
    stages = []
    for seed in SEEDS:
        own = replace(study, seed=study.seed + seed)
        chosen = {"seed": own.seed, "vqvae": settings.as_dict()}
        name = f"{label} {seed}".replace(" ", "-")
        stage = own.experiment(FOLDER, name, chosen, after=(stage_names.DATA,))
        if not stage.done:
            model, _ = train_vqvae(stage, train, settings, device)
            errors, overlaps, _ = evaluate_each(model, validation, device)
            stage.finish(error=errors, dice=overlaps)
        stages.append(stage)
    return stages


def table_8(
    rows: Sequence[Variant], stages: Sequence[Sequence[Stage]], seed: int
) -> dict[str, dict[str, Interval | float]]:
    """Row → column → value, with 95 % bootstrap intervals over the skulls.

    The error is that of Table 8: mean ``|v − v̂|`` on [−1, 1] at full resolution,
    whatever the resolution of the loss; a skull's is the mean over the seeds, and a
    column a seed shows how much trainings differ, which the intervals do not cover.
    "minus the first row" is the mean of the paired differences, from which the
    variation between skulls cancels.
    """
    every = [np.array([one.results["error"] for one in row]) for row in stages]
    found: dict[str, dict[str, Interval | float]] = {}
    for variant, experiments, by_seed in zip(rows, stages, every):
        errors = by_seed.mean(0)
        more = errors - every[0].mean(0)
        row = found[variant.name] = {
            "error ↓": bootstrap(np.mean, errors, seed=seed),
            **{f"seed {i}": float(e.mean()) for i, e in enumerate(by_seed)},
            "minus the first row": 0.0,
            "Dice ↑": float(np.mean([one.results["dice"] for one in experiments])),
        }
        if more.any():
            row["minus the first row"] = bootstrap(np.mean, more, seed=seed)
        if variant.paper:
            row["paper's error ↓"] = variant.paper
    return found


def reconstructions(
    rows: Sequence[Variant],
    stages: Sequence[Sequence[Stage]],
    skulls: SkullSet,
    items: list[int],
) -> dict[str, np.ndarray]:
    """The `items` (b, D, H, W) as "skull", and each row's reconstructions of them.

    By the network of the first seed.
    """
    v, device = torch.stack([skulls[i][0] for i in items]), pick_device()
    found = {"skull": v[:, 0].numpy()}
    for variant, (stage, *_) in zip(rows, stages):
        model = load_vqvae(stage.study, device, stage.name)
        found[variant.name] = reconstruct(model, v, device)[0][:, 0].numpy()
    return found
