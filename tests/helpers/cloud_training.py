"""Trainings of the networks on clouds: a stage to train in, and one broken off."""

import itertools
from types import SimpleNamespace

import pytest
import torch

from skfm_lib.training.trainer import Trainer


def stage(folder, seed=0):
    folder.mkdir(exist_ok=True)
    return SimpleNamespace(settings={"seed": seed}, folder=folder, fingerprint="abc")


def whole_and_resumed(train, clouds, settings, device, folder, monkeypatch):
    """(network, history) of a training, and of one killed in its fifth step."""
    whole = train(stage(folder / "a"), clouds, settings, device)
    calls, descend = itertools.count(), Trainer.descend

    def killed(self, loss, **record):
        if next(calls) == 4:
            raise KeyboardInterrupt
        descend(self, loss, **record)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "descend", killed)
        train(stage(folder / "b"), clouds, settings, device)
    torch.manual_seed(99)  # nothing hangs on the global state
    return whole, train(stage(folder / "b"), clouds, settings, device)
