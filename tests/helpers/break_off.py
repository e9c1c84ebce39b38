"""`skfm WORDS…` that breaks off in training: ``KIND STEP WORDS…``.

KILL  every process kills itself after the descent of that step
USR1  the first warns the process that started it, and all wait for what comes of it
NONE  nothing happens

Computes in float32, as train_together.py does, and saves after every step.
"""

import functools
import os
import signal
import sys
import time

import torch

from skfm_lib.cli.main import main
from skfm_lib.training import run_stage, vqvae
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device

kind, at, *words = sys.argv[1:]
descend = Trainer.descend


def breaking(self, loss, **record):
    descend(self, loss, **record)
    if self.step == int(at) and kind == "KILL":
        os.kill(os.getpid(), signal.SIGKILL)
    if self.step == int(at) and kind == "USR1":
        if distributed.is_first():
            os.kill(os.getppid(), signal.SIGUSR1)
        while not self._warnings:
            time.sleep(0.01)


Trainer.descend = breaking
vqvae.Trainer = functools.partial(Trainer, save_seconds=-1.0)
run_stage.pick_device = lambda: Device(torch.device("cpu"), torch.float32)
sys.exit(main(words))
