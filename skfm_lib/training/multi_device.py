"""Training stages that several devices may share, from their settings to the end."""

import json
from collections.abc import Mapping

import torch

from skfm_lib.presets import TrainingConfig
from skfm_lib.study import Stage, Study
from skfm_lib.training.checkpoints import read_checkpoint
from skfm_lib.training.launcher import launch
from skfm_lib.utils import distributed
from skfm_lib.utils.errors import SkfmError


def training_stage(
    study: Study,
    name: str,
    chosen: Mapping[str, object],
    devices: int,
    after: tuple[str, ...],
) -> Stage:
    """Begin or resume a stage that `devices` processes train together.

    Their number sets the global batch, and so is one of the stage's settings; a
    single one goes without saying, so that its fingerprint is what it always was.
    Raises SkfmError for a number that cannot be.
    """
    if not isinstance(devices, int) or devices < 1:
        raise SkfmError(f"devices {devices!r}", "a whole number from 1")
    more = {"devices": devices} if devices > 1 else {}
    with distributed.in_turn():
        return study.stage(name, {**chosen, **more}, after)


def pace(settings: TrainingConfig, devices: int) -> str:
    """What a step takes: ``4 devices × batch 1 = 4 skulls a step, learning rate …``.

    The rate is not rescaled with the devices: those of the paper's Table 7 are taken
    as they stand, for its four GPUs of batch 1.  The code that the paper grew from
    multiplied its base rate by their number; ``-p learning_rate`` sets another.
    """
    skulls, noun = devices * settings.batch, "device" if devices == 1 else "devices"
    return (
        f"{devices} {noun} × batch {settings.batch} = {skulls} "
        f"skull{'s' if skulls > 1 else ''} a step, "
        f"learning rate {settings.learning_rate:g}"
    )


def train_apart(stage: Stage, group: str, settings: TrainingConfig) -> None:
    """Have a stage of several devices trained by as many processes, unless it is.

    `group` is the name of `settings` in the stage.  Does nothing in one of these
    processes, for a stage of one device and for one that is trained.  Raises
    SkfmError for more devices than there are CUDA devices (on a CPU there may be any
    number), and what `launcher.launch` raises.
    """
    devices = stage.settings.get("devices", 1)
    if devices == distributed.devices() or _trained(stage, settings):
        return
    if distributed.devices() > 1:
        found = f"{distributed.devices()} processes for a stage of {devices} device(s)"
        raise SkfmError(found, "as many", f"--devices {distributed.devices()}")
    _check_gpus(devices)
    study, given = stage.study, []
    for name, value in stage.settings[group].items():
        given += ["-p", name, json.dumps(value)]
    of_study = ["--preset", study.settings.name, "--run", study.name]
    shared = ["--seed", str(study.seed), "--devices", str(devices)]
    launch(["train", stage.name[:2], *of_study, *shared, *given], devices, stage.name)


def _trained(stage: Stage, settings: TrainingConfig) -> bool:
    path = stage.folder / "checkpoint.pt"
    return path.is_file() and read_checkpoint(path)["step"] == settings.steps


def _check_gpus(devices: int) -> None:
    seen = torch.cuda.device_count()
    if 0 < seen < devices:
        raise SkfmError(
            f"{devices} devices asked for, {seen} CUDA device(s) on this machine",
            f"at most {seen}",
            f"ask for {seen}, or see the book's page On a cluster for several nodes",
        )
