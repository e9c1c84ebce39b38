"""What test_distributed.py runs in one process and in two: ``FOLDER SKULLS``.

Each part is done with a global batch of 4 skulls, whatever the number of processes,
and everything that came out goes to ``FOLDER/RANK.pt``.
"""

import os
import sys
import time
from pathlib import Path

import torch
from torch import nn

from skfm_lib.data.dataset import SkullSet
from skfm_lib.models.quantizer import Codebook
from skfm_lib.presets import TrainingConfig
from skfm_lib.study import open_study
from skfm_lib.training.denoiser import OTFM, denoiser_stage, train_denoiser
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.training.trainer import Trainer
from skfm_lib.training.vqvae import train_vqvae, vqvae_stage
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device
from skfm_lib.utils.seeding import generator

CPU = Device(torch.device("cpu"), torch.float32)
BATCH, STEPS = 4, 6


class Latents(LatentSet):
    """Ten random latents with their quality scores."""

    def __init__(self):
        pass

    def __len__(self):
        return 10

    def __getitem__(self, index):
        rng = torch.Generator().manual_seed(index)
        return torch.randn(8, 6, 5, 7, generator=rng), 2 + index % 5


def collectives(folder):
    """What each process sees of sums, means and its turn."""
    rank = distributed.rank()
    one, two = torch.arange(6.0).view(2, 3).T * (rank + 1), torch.ones(2) * rank
    distributed.average([one, two])
    with distributed.in_turn(), open(folder / "turns", "a") as file:
        for word in ("begins", "ends"):
            file.write(f"{rank} {word}\n")
            file.flush()
            time.sleep(0.1)
    distributed.wait()
    return {
        "rank": rank,
        "first": distributed.is_first(),
        "sum": distributed.add(torch.tensor([1, 10]) * (rank + 1)),
        "mean": distributed.mean([1.0 + rank, 0.1]),
        "average": [one, two],
        "share": distributed.share(list(range(BATCH))),
        "turns": (folder / "turns").read_text().splitlines(),
    }


def codebook():
    """A codebook of whole numbers, whose sums are exact in whatever order."""
    torch.manual_seed(0)
    book, states = Codebook(40, 3, 0.5), []
    for step in range(6):
        every = torch.randint(-9, 9, (BATCH, 3, 2, 1, 3), generator=generator(step))
        z = distributed.share(every.float())
        if step == 0:
            book.seed(z, generator("seed"))
        _, indices = book(z)
        book.update(z, indices, generator("update", step))
        states.append({k: v.clone() for k, v in book.state_dict().items()})
    return states


def small(folder):
    """A small network in float64, whose rounding cannot hide a mistake."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, 1)).double()
    settings = TrainingConfig(
        20, BATCH // distributed.devices(), 0.05, 0.1, (0.9, 0.99), 3
    )
    trainer = Trainer(model, settings, CPU, folder / "small", "small", 0.9, -1.0)
    for step in trainer.steps("small"):
        every = torch.randn(BATCH, 3, generator=generator("x", step)).double()
        x = distributed.share(every)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        trainer.descend(loss, largest=x.mean())
    return {
        "weights": model.state_dict(),
        "average": trainer.average,
        "history": trainer.history,
        "optimiser": trainer.optimiser.state_dict(),
    }


def vqvae(skulls):
    """The autoencoder of preset tiny on phantoms."""
    devices = distributed.devices()
    study = study_after("01_preprocess")
    changes = {"steps": STEPS, "codes": 64, "batch": BATCH // devices}
    stage, settings = vqvae_stage(study, skulls, devices, **changes)
    return outcome(*train_vqvae(stage, skulls, settings, CPU))


def denoiser():
    """The U-Net of preset tiny on random latents, with labels dropped."""
    devices = distributed.devices()
    study = study_after("02_train_vqvae")
    latents = Latents()
    changes = {"steps": STEPS, "label_dropout": 0.5, "batch": BATCH // devices}
    stage, settings = denoiser_stage(study, OTFM, latents, devices, **changes)
    one = torch.ones(8, 1, 1, 1)
    scale = LatentScale(0 * one, one, None)
    return outcome(*train_denoiser(stage, OTFM, latents, scale, settings, CPU))


def study_after(stage):
    """A study of its own in which `stage` is finished."""
    with distributed.in_turn():
        study = open_study(f"after-{stage}", "tiny")
        study.stage(stage, {}).finish()
    return study


def outcome(model, history):
    return {"weights": model.state_dict(), "history": history}


def main(folder, skulls):
    made = {}
    with distributed.joined():
        made["collectives"] = collectives(folder)
        made["codebook"], made["small"] = codebook(), small(folder)
        made["denoiser"], made["vqvae"] = denoiser(), vqvae(skulls)
        torch.save(made, folder / f"{distributed.rank()}.pt")


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    main(Path(sys.argv[1]), SkullSet(Path(sys.argv[2]), "train"))
