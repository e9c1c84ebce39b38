"""Trainings and samplers on a device: they run, resume, and take what was planned."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from skfm_lib import samplers
from skfm_lib.generation import Sampler, SkullGenerator
from skfm_lib.losses import otfm
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.presets import preset
from skfm_lib.training.latents import LatentScale
from skfm_lib.training.memory_plan import GIB, gpu_cost, parts
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import Device

TINY = preset("tiny")
STEPS = {"02 VQ-VAE": 2, "03, 04, 17 U-Net": 3}  # of paper size
TOO_MUCH = 1.2  # times the planned memory

Result = dict[str, Any]


def all_samplers(device: Device) -> Result:
    """Two steps of every sampler with untrained networks of preset tiny."""
    found: Result = {}
    for objective, methods in samplers.METHODS.items():
        torch.manual_seed(0)
        network = UNet3D(TINY.denoiser, leaps=objective == "shortcut")
        vqvae = device.to_device(VQVAE(TINY.vqvae)).eval()
        one = torch.ones(TINY.vqvae.code_dim, 1, 1, 1)
        scale = LatentScale(0 * one, one, (-1.0, 1.0))
        network = device.to_device(network).eval()
        generator = SkullGenerator(objective, network, vqvae, scale, device)
        for method in methods:
            z = generator.latents([3, 5], [0, 1], Sampler(method, 2))
            volumes = generator.decode(z)
            if not (torch.isfinite(z).all() and torch.isfinite(volumes).all()):
                raise AssertionError(f"{method}: latents that are not finite")
            found[method] = "finite"
    return found


def resumes(device: Device) -> Result:
    """Four steps against two and two: bit for bit with SKFM_DETERMINISTIC=1.

    Also the seconds of a step with and without it.
    """
    found: Result = {}
    kept = os.environ.get("SKFM_DETERMINISTIC")
    for setting in ("0", "1"):
        # In a process of its own: the setting cannot be taken back.
        environment = {**os.environ, "SKFM_DETERMINISTIC": setting}
        code = (
            "from skfm_lib.benchmarks.device_check.training import compare_resumed;"
            "compare_resumed()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(done.stderr.strip().splitlines()[-1])
        difference, seconds = map(float, done.stdout.split()[-2:])
        name = "deterministic" if setting == "1" else "default"
        found[f"{name}: largest difference"] = difference
        found[f"{name}: seconds a step"] = seconds
    if found["deterministic: largest difference"] > 0:
        raise AssertionError("a resumed training differs with SKFM_DETERMINISTIC=1")
    return {**found, "SKFM_DETERMINISTIC now": kept or "not set"}


def compare_resumed() -> None:
    """Print the largest difference of weights, and the seconds of a step."""
    from skfm_lib.utils.device import pick_device

    device = pick_device()
    with tempfile.TemporaryDirectory() as folder:
        whole, seconds = _train(Path(folder) / "a", 4, device)
        _train(Path(folder) / "b", 2, device)
        resumed, _ = _train(Path(folder) / "b", 4, device)
    pairs = zip(whole.parameters(), resumed.parameters())
    print(max((a - b).abs().max().item() for a, b in pairs), seconds)


def _train(folder: Path, steps: int, device: Device) -> tuple[UNet3D, float]:
    """A U-Net of preset tiny after so many of four steps, and seconds of the last."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    settings = TINY.denoiser.but(steps=4, batch=2)
    trainer = Trainer(UNet3D(settings), settings, device, folder, "check")
    shape = (2, settings.code_dim, *TINY.vqvae.latent_shape)

    def pairs(step: int) -> tuple[Tensor, ...]:
        rng = torch.Generator().manual_seed(step)
        x_0, eps = (torch.randn(shape, generator=rng) for _ in range(2))
        t = torch.full((2,), 0.5)
        return *otfm.path(x_0, eps, t), t

    seconds = 0.0
    for _, (z_t, target, t) in trainer.batches("Check", pairs):
        device.synchronise()
        started = time.perf_counter()
        with device.autocast():
            predicted = trainer.model(z_t, t, 3)
        trainer.descend(torch.nn.functional.mse_loss(predicted, target))
        device.synchronise()
        seconds = time.perf_counter() - started
        if trainer.step == steps - 1:
            break
    trainer.step = steps
    trainer.save()
    return trainer.model, seconds


def paper_steps(device: Device) -> Result:
    """Training steps at the paper's size: memory against the plan, seconds, TFLOP/s.

    On a GPU with enough memory; the rate is what ``skfm plan --tflops`` wants.
    """
    if device.device.type != "cuda":
        return {"skipped": "no GPU"}
    free, total = device.free_memory()
    found: Result = {}
    for part in parts(preset("paper")):
        name = part.stage.removesuffix(", a training step")
        if name not in STEPS:
            continue
        planned, flops = gpu_cost(part, total)
        if planned > free:
            found[name] = f"skipped: {planned / GIB:.1f} GiB planned"
            continue
        part.to_device(device)
        torch.cuda.reset_peak_memory_stats(device.device)
        for _ in range(STEPS[name]):
            device.synchronise()
            started = time.perf_counter()
            part.run(device)
            device.synchronise()
            seconds = time.perf_counter() - started
        peak = torch.cuda.max_memory_reserved(device.device)
        found[f"{name}: seconds a step"] = seconds
        found[f"{name}: TFLOP/s"] = flops / seconds / 1e12
        found[f"{name}: GiB"] = peak / GIB
        in_use = torch.cuda.max_memory_allocated(device.device)
        found[f"{name}: GiB of tensors"] = in_use / GIB
        found[f"{name}: GiB planned"] = planned / GIB
        part.network.cpu()
        torch.cuda.empty_cache()
        if peak > TOO_MUCH * planned:
            raise AssertionError(f"{name} takes {peak / GIB:.1f} GiB, above the plan")
    return found
