"""Trainings of the networks on clouds: a stage to train in, and one broken off."""

import functools
import itertools

import pytest
import torch

from skfm_lib.presets import preset
from skfm_lib.study import Stage, Study
from skfm_lib.tasks import task
from skfm_lib.tasks.experiments import ALIGNMENT, Experiments
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import Device

CPU = Device(torch.device("cpu"), torch.float32)


def stage(folder, seed=0):
    """A stage that keeps its files in `folder`."""
    folder.mkdir(exist_ok=True)
    study = Study("clouds", preset("tiny"), seed, folder.parent)
    return Stage(study, folder.name, {"seed": seed}, {})


def save_every_step(monkeypatch):
    """Let trainings save after every step."""
    monkeypatch.setattr(task, "Trainer", functools.partial(Trainer, save_seconds=-1.0))


def whole_and_resumed(task, clouds, settings, device, folder, monkeypatch):
    """(network, history) of a training, and of one killed in its fifth step."""
    save_every_step(monkeypatch)
    whole = task.train(stage(folder / "a"), clouds, settings, device)
    calls, descend = itertools.count(), Trainer.descend

    def killed(self, loss, **record):
        if next(calls) == 4:
            raise KeyboardInterrupt
        descend(self, loss, **record)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "descend", killed)
        task.train(stage(folder / "b"), clouds, settings, device)
    torch.manual_seed(99)  # the global state has no influence
    return whole, task.train(stage(folder / "b"), clouds, settings, device)


def aligner(study, **changes):
    """Experiments of a study with aligners of three steps."""
    settings = study.settings.aligner.but(**{"steps": 3, "batch": 2, **changes})
    return Experiments(study, ALIGNMENT, settings, CPU)
