"""What can be expected of a set: real skulls, and the autoencoder's reconstructions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from skfm_lib import metrics
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import write_manifest
from skfm_lib.evaluation import held_out, table1
from skfm_lib.evaluation.held_out import COLUMNS, FAILED, HeldOut, Values
from skfm_lib.evaluation.screening import Reconstructed
from skfm_lib.generation import VOLUME
from skfm_lib.study import Stage
from skfm_lib.study.data_stage import skulls
from skfm_lib.training.vqvae import load_vqvae
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.progress import track

REAL, DECODED = "real skulls", "autoencoder"
Rows = dict[str, dict[str, object]]


def reference_rows(compared: HeldOut, stage: Stage, count: int) -> Rows:
    """Rows of `count` training skulls, and of the same after the autoencoder.

    The first is `held_out.reference`, whose failures are the false alarms on the
    validation skulls.  Failures have Wilson's 95 % interval.
    """
    real = held_out.reference(compared, stage, count)
    alarms = compared.screen(skulls(stage.study, "validation"), compared.measured)
    decoded = reconstructions(stage, count)
    found = compared.examine(decoded, decoded.folder / "measures.npz")
    sized = {"skulls": count}
    return {
        REAL: {**sized, **real, FAILED: metrics.share(alarms.failed)},
        DECODED: {**sized, **found.values, FAILED: metrics.share(found.failed)},
    }


def values(row: Mapping[str, Any]) -> Values:
    """The measures of a reference as plain numbers, the failures as a share."""
    plain = {name: row[name] for name in COLUMNS}
    return {**plain, FAILED: row[FAILED].value}


def reconstructions(stage: Stage, count: int) -> SkullSet:
    """A sample of the training skulls after encoding, quantisation and decoding.

    They are those of `held_out.reference`, and kept in the stage's folder.
    """
    train, folder = skulls(stage.study, "train"), stage.folder / f"decoded-{count}"
    if not (folder / "manifest.csv").is_file():
        items = table1.stratified_sample(train, count, stage.study.seed)
        some = SkullSet(train.folder, "train", [train.skulls[i] for i in items])
        device = pick_device()
        decoded = Reconstructed(some, load_vqvae(stage.study, device), device)
        rows = []
        for index, skull in enumerate(track(some.skulls, "Reconstructing")):
            file = VOLUME.format(skull.name)
            write_volume(folder / file, decoded.volume(index), some.grid)
            rows.append(replace(skull, file=file, source=f"decoded {skull.name}"))
        write_manifest(folder, rows)
    return SkullSet(folder, "train")
