"""Table 8 again: autoencoders that differ in one thing, trained and judged alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from skfm_lib.data.dataset import SkullSet
from skfm_lib.losses.adversarial import VERDICT
from skfm_lib.losses.perceptual import LPIPS, StudyDistance
from skfm_lib.metrics import bootstrap
from skfm_lib.presets.paper_tables import TABLE_8
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.vqvae import evaluate_each, load_vqvae, reconstruct, train_vqvae
from skfm_lib.utils.device import pick_device

CELLS = "10_cells"  # one folder a row
SIZES = ((0.578, True), (0.578, False), (0.53, True), (0.422, True))


@dataclass(frozen=True)
class Variant:
    """One row: what it is called, here and on disk, and what is changed.

    paper  the error in Table 8, where there is one
    seed   is added to the study's
    """

    name: str
    label: str
    changes: Mapping[str, object]
    paper: float | None
    seed: int = 0


def variants(lpips_weights: str | None = None) -> list[Variant]:
    """The rows of Table 8: the paper's own autoencoder, it with other luck, others.

    lpips_weights  a folder (`LPIPS.load`), for the row with LPIPS; without it that
                   row's distance is one of the study's features, and called so
    """
    looks = {"perceptual": 1.0, "lpips_weights": lpips_weights}
    name = (LPIPS if lpips_weights else StudyDistance).short
    gan = {"adversarial": VERDICT}
    return [
        Variant("VQ-VAE, s=0.82, up", "vqvae", {}, TABLE_8["VQ-VAE"]),
        Variant("VQ-VAE, other seed", "vqvae-again", {}, None, seed=1),
        Variant("VQ-GAN", "vqgan", gan, TABLE_8["VQ-GAN"]),
        Variant(f"VQ-VAE + {name}", "perceptual", looks, TABLE_8["VQ-VAE + LPIPS"]),
        *[_of_size(s, up) for s, up in SIZES],
    ]


def train_variant(
    study: Study, variant: Variant, steps: int | None, train: SkullSet, test: SkullSet
) -> Stage:
    """A row as a cell of its own: trained on `train`, then measured on `test`.

    All rows see the same skulls in the same order, that of the other seed apart.
    A cell that was stopped goes on, a finished one is kept.  `steps` of None are
    the preset's.  The results are the reconstruction error and Dice of every skull.
    """
    settings = study.settings.vqvae.but(steps=steps, **variant.changes)
    own = replace(study, seed=study.seed + variant.seed)
    chosen = {"seed": own.seed, "vqvae": settings.as_dict()}
    stage = own.experiment(CELLS, variant.label, chosen, after=(stage_names.DATA,))
    if not stage.done:
        device = pick_device()
        model, _ = train_vqvae(stage, train, settings, device)
        errors, overlaps, _ = evaluate_each(model, test, device)
        stage.finish(error=errors, dice=overlaps)
    return stage


def table_8(
    rows: Sequence[Variant], stages: Sequence[Stage], seed: int
) -> dict[str, dict[str, object]]:
    """Row → column → value, with 95 % bootstrap intervals over the test skulls.

    The error is that of Table 8: mean |v − v̂| on [−1, 1] against the volume at full
    resolution, whatever the training looked at.  "minus the first row" is the mean
    difference from it, skull by skull: what skulls have in common cancels.
    """
    first, found = np.array(stages[0].results["error"]), {}
    for variant, stage in zip(rows, stages):
        errors = np.array(stage.results["error"])
        more = errors - first
        found[variant.name] = {
            "error ↓": bootstrap(np.mean, errors, seed=seed),
            "minus the first row": bootstrap(np.mean, more, seed=seed)
            if more.any()
            else 0.0,
            "Dice ↑": float(np.mean(stage.results["dice"])),
            **({"paper's error ↓": variant.paper} if variant.paper else {}),
        }
    return found


def reconstructions(
    rows: Sequence[Variant], stages: Sequence[Stage], v: Tensor
) -> dict[str, Tensor]:
    """Row → (b, 1, D, H, W): the skulls `v` as its autoencoder gives them back."""
    device, found = pick_device(), {}
    for variant, stage in zip(rows, stages):
        model = load_vqvae(stage.study, device, stage.name)
        found[variant.name], _ = reconstruct(model, v, device)
    return found


def _of_size(s: float, up: bool) -> Variant:
    """A row of Table 8's right half."""
    name = f"s={s}, {'up' if up else 'no up'}"
    label = name.replace(", ", "-").replace(" ", "-")
    return Variant(name, label, {"scale": s, "upsample": up}, TABLE_8[name])
