"""Forecast of memory and time of a study's stages, before they run.

The step of every stage is counted without data at the preset's own size: FLOPs, and
the bytes of tensors alive.  On this machine it also runs on a grid small enough to take
seconds, and the ratio of FLOPs gives the time at full size.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from skfm_lib.presets import Preset
from skfm_lib.training.memory_plan import GIB, RUNTIME, Part, count, gpu_cost, parts
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.memory import memory
from skfm_lib.utils.progress import Progress, clock

REHEARSAL = 0.35  # edge of the real grid, as a share of the paper's


@dataclass(frozen=True)
class Forecast:
    """Of one part: bytes at the peak, FLOPs and seconds of a repetition, repetitions.

    `seconds` is None where the speed is not known.
    """

    stage: str
    memory: int
    flops: int
    seconds: float | None
    times: int


def forecast(settings: Preset) -> list[Forecast]:
    """Peak memory and time of the most expensive parts of the stages, on this machine.

    Memory is that of the process now, of the weights with gradients and optimizer
    state, and of all tensors at their peak.  Measured at preset small on a CPU, steps
    of the VQ-VAE, the U-Net and the completer take −2 % to +13 % of that more, those of
    the aligner 35 %.  Time assumes the FLOP/s of the small grid.
    """
    device, found = pick_device(), []
    here = memory()[0]
    size = min(settings.data.size, REHEARSAL)
    pairs = list(zip(parts(settings), parts(settings, size)))
    gpu = None if device.device.type == "cpu" else device.free_memory()[1]
    with Progress("Planning", len(pairs)) as bar:
        for full, small in pairs:
            cost = count(full, device.dtype, gpu)
            less = cost
            if small.shape != full.shape:
                less = count(small, device.dtype, gpu)
            seconds = rehearse(small, device) * cost.flops / less.flops
            peak = (RUNTIME if gpu else here) + cost.peak + full.weights
            found.append(Forecast(full.stage, peak, cost.flops, seconds, full.times))
            bar.advance(note=full.stage)
    return found


def forecast_gpu(
    settings: Preset, gpu: int, tflops: float | None = None
) -> list[Forecast]:
    """The same for a GPU of so many bytes, which this machine need not have.

    Time is told only at a rate that is given, in TFLOP/s of bf16 convolutions.
    """
    found = []
    with Progress("Planning", len(every := parts(settings))) as bar:
        for part in every:
            peak, flops = gpu_cost(part, gpu)
            seconds = flops / (tflops * 1e12) if tflops else None
            found.append(Forecast(part.stage, peak, flops, seconds, part.times))
            bar.advance(note=part.stage)
    return found


def as_text(forecasts: Sequence[Forecast], limit: float | None = None) -> str:
    """A table; with a `limit` in GiB, also whether each part fits into it."""
    rows = []
    for one in forecasts:
        memory = one.memory / GIB
        fits = "" if limit is None else ("fits" if memory <= limit else "TOO LARGE")
        work = f"{one.flops / 1e12:8.3g} TFLOP × {one.times:,}"
        if one.seconds is not None:
            total = clock(one.seconds * one.times)
            work = f"{one.seconds:.3g} s × {one.times:,} = {total}"
        rows.append(f"{one.stage:32}{memory:8.1f} GiB  {fits:10}{work}")
    return "\n".join(rows)


def rehearse(part: Part, device: Device) -> float:
    """Seconds of a real repetition, the second of two."""
    part.to_device(device)
    seconds = 0.0
    for _ in range(2):
        device.synchronise()
        started = time.perf_counter()
        part.run(device)
        device.synchronise()
        seconds = time.perf_counter() - started
    return seconds
