"""Networks and operations on a device, against the same on the CPU in float32."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.models.ops.resample import resample
from skfm_lib.models.pointcloud import ball_query, farthest_points, nearest
from skfm_lib.models.quantizer import nearest_code, segment_sums
from skfm_lib.presets import preset
from skfm_lib.training.memory_plan import Part, parts
from skfm_lib.utils.device import Device

CPU = Device(torch.device("cpu"), torch.float32)
# Relative errors, and cosines of gradients: bf16 latents may get other codes, and of
# points that are equally near another one may be nearest.
FLOAT32, BF16 = 1e-4, 2e-2
COSINES = {torch.float32: 0.999, torch.bfloat16: 0.99}
PAPER = (376, 292, 420)  # of the decoder's largest map at the paper's size
CHANNELS = 32

Result = dict[str, Any]


def networks(device: Device) -> Result:
    """Losses and gradients of every network of preset tiny.

    The relative error of the loss is at most 1e-4 in float32 and 2e-2 in bf16, the
    cosine of the gradients at least 0.999 and 0.99.
    """
    found: Result = {}
    for part in parts(preset("tiny")):
        if not part.trained or "VQ-GAN" in part.stage:
            continue
        loss, gradient = _step(part, CPU)
        for dtype in sorted({torch.float32, device.dtype}, key=str, reverse=True):
            name = part.stage.replace("a training step", str(dtype)[6:])
            got, of_got = _step(part, Device(device.device, dtype))
            error = _relative(got, loss)
            cosine = F.cosine_similarity(of_got, gradient, dim=0).item()
            found[name], found[f"{name}, cosine"] = error, cosine
            limit = FLOAT32 if dtype == torch.float32 else BF16
            _demand(error <= limit, f"{name} is off by {error:.1e}")
            _demand(cosine >= COSINES[dtype], f"{name}: gradients' cosine {cosine:.5f}")
    return found


def operations(device: Device) -> Result:
    """What has an algorithm of its own on a GPU: indices equal, sums to rounding."""
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(20_000, 8, generator=rng)
    crowd = torch.randn(64, 8, generator=rng).repeat(32, 1)
    crowd += 0.03 * torch.randn(2048, 8, generator=rng)  # codes close together
    z[::2] = crowd.repeat(5, 1)[:10_000] + 0.01 * torch.randn(10_000, 8, generator=rng)
    # … with ties and near ties
    codes = torch.cat([crowd, crowd[:250], crowd[250:500] * (1 + 1e-7), z[1:999:2]])
    clouds = 60 * torch.randn(2, 2048, 3, generator=rng)
    v = torch.randn(1, 1, 24, 20, 28, generator=rng)
    indices = torch.randint(100, (len(z),), generator=rng)
    pairs: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
        "nearest code": (nearest_code, (z, codes)),
        "nearest points": (lambda a, b: nearest(a, b, 3)[1], (clouds, clouds[:, :512])),
        "farthest points": (lambda a: farthest_points(a, 256), (clouds,)),
        "ball query": (_balls, (clouds, clouds[:, :128])),
        "segment sums": (lambda a, b: segment_sums(a, b, 100), (z, indices)),
        "resampling": (lambda a: resample(a, (30, 25, 35)), (v,)),
    }
    found: Result = {}
    for name, (compute, given) in pairs.items():
        wanted = compute(*given)
        with device.autocast():  # as in trainings
            got = compute(*(x.to(device.device) for x in given)).cpu()
        if wanted.is_floating_point():
            found[name] = _relative(got, wanted)
            _demand(found[name] < 1e-5, f"{name} is off by {found[name]:.1e}")
        else:
            found[name] = "equal"
            wrong = (got != wanted).float().mean().item()
            _demand(wrong == 0, f"{name}: {wrong:.2%} of the indices differ")
    return found


def large_convolutions(device: Device) -> Result:
    """bf16 convolutions on a map of the paper's largest size, slab by slab checked.

    A 3³ convolution, a transposed one, and the gradient of its weights, against float32
    on slabs.  Smaller where memory is short, and on a CPU.
    """
    depth, *plane = (24, 32, 48) if device.device.type == "cpu" else PAPER
    if device.device.type != "cpu":
        free, _ = device.free_memory()
        depth = min(depth, int(free / 4 / (2 * CHANNELS * math.prod(plane))) // 8 * 8)
    shape = (1, CHANNELS, depth, *plane)
    torch.manual_seed(0)
    weight = 0.1 * torch.randn(CHANNELS, CHANNELS, 3, 3, 3)
    x = torch.randn(shape[1:], device=device.device, dtype=torch.bfloat16)[None]
    x = x.to(memory_format=torch.channels_last_3d)
    w = weight.to(device.device, torch.bfloat16).requires_grad_()
    found: Result = {"elements": x.numel()}
    y = F.conv3d(x, w, padding=1)
    part = slice(depth // 2 - 3, depth // 2 + 3)
    exact = F.conv3d(x[:, :, part].float(), weight.to(x.device), padding=1)
    found["convolution"] = _relative(y[:, :, part][:, :, 1:-1], exact[:, :, 1:-1])
    even = torch.ones_like(y) / y[0, 0].numel() ** 0.5
    (of_w,) = torch.autograd.grad(y, w, even)
    del y, exact, even
    of_weight, scale = torch.zeros_like(weight), shape[2] * shape[3] * shape[4]
    for start in range(0, depth, 8):  # a gradient of ones: sums of shifted slabs
        slab = x[0, :, start : start + 8].float()
        of_weight += _sums(slab, start, depth).cpu()[None]
    wanted = of_weight.expand_as(weight) / scale**0.5
    found["gradient of weights"] = _relative(of_w, wanted)
    up = torch.randn(CHANNELS, CHANNELS, 4, 4, 4) * 0.1
    low = x[:, :, : depth // 2, ::2, ::2]
    y = F.conv_transpose3d(low, up.to(x), stride=2, padding=1)
    middle = low[:, :, depth // 4 - 3 : depth // 4 + 3].float()
    exact = F.conv_transpose3d(middle, up.to(x.device), stride=2, padding=1)
    rows = slice(2 * (depth // 4 - 3) + 2, 2 * (depth // 4 + 3) - 2)
    found["transposed convolution"] = _relative(y[:, :, rows], exact[:, :, 2:-2])
    for name, error in found.items():
        _demand(name == "elements" or error < BF16, f"{name} is off by {error:.1e}")
    return found


def _sums(slab: Tensor, start: int, depth: int) -> Tensor:
    """Σ over outputs of what the taps of a 3³ kernel read of a slab: (c, 3, 3, 3)."""
    sides = []
    for offset, (axis, size) in zip((start, 0, 0), ((1, depth), (2, 0), (3, 0))):
        length, size = slab.shape[axis], size or slab.shape[axis]
        index = torch.arange(length, device=slab.device) + offset
        # Tap k reads voxel i for output i + 1 − k, if that is inside.
        taps = [(index + 1 - k >= 0) & (index + 1 - k < size) for k in range(3)]
        sides.append(torch.stack(taps).float())
    return torch.einsum("cdhw,id,jh,kw->cijk", slab, *sides)


def _balls(points: Tensor, centres: Tensor) -> Tensor:
    return torch.cat(ball_query(points, centres, (20.0, 40.0), (16, 32)), -1)


def _step(part: Part, device: Device) -> tuple[Tensor, Tensor]:
    """The loss and the flat gradient of a step, on the CPU, in float32."""
    torch.manual_seed(0)
    network: nn.Module = device.to_device(copy.deepcopy(part.network))
    x = device.to_device(torch.randn(part.shape))
    with device.autocast():
        loss = part.compute(network, x)
    loss.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten().float().cpu() for g in gradients])
    return loss.detach().float().cpu(), flat


def _relative(found: Tensor, wanted: Tensor) -> float:
    found, wanted = found.detach().float().cpu(), wanted.detach().float().cpu()
    return float((found - wanted).norm() / wanted.norm())


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
