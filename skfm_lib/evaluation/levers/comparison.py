"""The screened models against the validation skulls, and against their base."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from skfm_lib import metrics
from skfm_lib.evaluation import table1_columns
from skfm_lib.evaluation.held_out import FAILED, FID, IR, PR, HeldOut, Values
from skfm_lib.evaluation.levers.models import Model
from skfm_lib.evaluation.levers.trainings import Source
from skfm_lib.metrics import Interval
from skfm_lib.presets import DenoiserConfig
from skfm_lib.training.memory_plan import count, denoiser_step
from skfm_lib.utils.device import pick_device

DIFFERENCES = (FID, IR, PR)  # beside that of the failures
Row = dict[str, object]  # of a table


@dataclass(frozen=True)
class Result:
    """A set of skulls compared with the validation skulls, and what it cost."""

    values: Values  # the columns of `held_out.COLUMNS`
    failed: np.ndarray  # (n,) bool
    columns: table1_columns.Compared
    costs: Row

    @property
    def row(self) -> Row:
        """Costs and measures; the failures with Wilson's 95 % interval."""
        measured: Row = {**self.values, FAILED: metrics.share(self.failed)}
        return {**self.costs, "skulls": len(self.failed), **measured}

    def minus(self, base: "Result") -> dict[str, Interval]:
        """Differences from another set of the same noise, with 95 % intervals.

        The failures are compared pair by pair, skulls of the same score and noise
        (`metrics.paired_difference`).  FID and recall are compared by the same halves
        of the validation skulls (`table1_columns.Compared.minus`).
        """
        row = self.columns.minus(base.columns).row()
        failed = metrics.paired_difference(self.failed, base.failed)
        return {FAILED: failed, **{name: row[name] for name in DIFFERENCES}}


def compare(
    source: Source,
    held_out: HeldOut,
    real: Sequence[int],
    qualities: Sequence[int],
    seed: int,
) -> Result:
    """A source's skulls of the scores `qualities` against the validation skulls.

    `real` are the quality scores of the validation skulls.  What is missing is
    generated now.
    """
    made = source.skulls(qualities, seed)
    found = held_out.examine(made, source.measures(len(qualities)))
    labels = list(real), made.qualities
    columns = table1_columns.compare(
        held_out.features, found.features, seed, labels=labels
    )
    return Result(found.values, found.failed, columns, costs(source))


def costs(source: Source) -> Row:
    """Steps, TFLOP and seconds of the training, and evaluations per skull.

    FLOPs are those of the network's convolutions and matrix products
    (`memory_plan.count`); the linear model alone has no training by steps.
    """
    if source.linear:
        return {"training steps": 0, "evaluations": 0}
    training, settings = source.training, source.training.settings
    flops = step_flops(settings, training.study.settings.vqvae.latent_shape)
    return {
        "training steps": settings.steps,
        "TFLOP": settings.steps * flops / 1e12,
        "seconds": training.seconds,
        "evaluations": source.evaluations,
    }


@cache
def step_flops(settings: DenoiserConfig, latent: tuple[int, ...]) -> int:
    """FLOPs of a training step on latents (d, h, w), on this machine's device."""
    with torch.random.fork_rng(devices=[]):  # the network's weights
        return count(denoiser_step(settings, latent), pick_device().dtype).flops


def differences(results: Mapping[Model, Result]) -> dict[str, dict[str, Interval]]:
    """Name → differences from the first of the results, which is the base."""
    (_, base), *others = results.items()
    return {model.name: result.minus(base) for model, result in others}
