"""The cases of chapter 12: four comparisons with peers, and the paper's full size."""

import hashlib
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import skfm_lib
from skfm_lib.benchmarks import peer_cases, skfm_cases
from skfm_lib.benchmarks.measurement import Case
from skfm_lib.presets.grid_sizes import Shape, input_shape, latent_shape, scaled_shape
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError

OURS, CONVOLUTION = "skfm", "one convolution"
OUTPUT = (117, 87, 126)  # 0.82 of it is 96×72×104
LATENT = (24, 24, 32)
LARGE = (48, 146, 210)  # a quarter of a map at the paper's half resolution
PAPER_VECTORS = math.prod(latent_shape(input_shape(scaled_shape(1.0))))  # 720,510
TABLE_VECTORS = 20_000  # the full table of distances and its copies: 5 GiB
CHECKED = 10_000  # of the vectors, compared with brute force
EVALUATIONS = 16
MEASURED = (  # globs of the library's files on which the measurements depend
    *("models/*.py", "models/ops/*.py", "models/pointcloud/*.py", "samplers/*.py"),
    *("utils/device.py", "training/optimizer.py", "training/trainer.py"),
    *("generation/*.py", "benchmarks/measurement.py", "benchmarks/*_cases.py"),
    "benchmarks/reference_networks.py",
)


def vqvae_step(size: float = 1.0, with_peers: bool = True) -> list[Case]:
    """A training step of the VQ-VAE, 16,384 codes, batch 1.

    At size 1 the networks see 96×72×104 voxels.  Ours is given 117×87×126, resamples
    them and takes its loss there, behind the trilinear head.  MONAI's sees and
    reconstructs the smaller volume, once as it is usually built and once with a level
    at full resolution, as ours.
    """
    output = _scaled(OUTPUT, size)
    d, h, w = latent_shape(input_shape(output))
    seen, full = (4 * d, 4 * h, 4 * w), partial(peer_cases.monai_vqvae_step, full=True)
    cases = [Case(OURS, partial(skfm_cases.vqvae_step, output))]
    if with_peers:
        cases += _monai(peer_cases.monai_vqvae_step, seen)
        cases += _monai(full, seen, "MONAI + full resolution")
    return cases


def unet_forward(size: float = 1.0, with_peers: bool = True) -> list[Case]:
    """An evaluation of the U-Net on latents of 24×24×32×8 (size 1), batch 1."""
    shape = _scaled(LATENT, size, multiple=8)
    peers = _monai(peer_cases.monai_unet_forward, shape) if with_peers else []
    return [Case(OURS, partial(skfm_cases.unet_forward, shape)), *peers]


def unet_step(size: float = 1.0, with_peers: bool = True) -> list[Case]:
    """A training step of the U-Net on latents of 24×24×32×8 (size 1), batch 1."""
    shape = _scaled(LATENT, size, multiple=8)
    peers = _monai(peer_cases.monai_unet_step, shape) if with_peers else []
    return [Case(OURS, partial(skfm_cases.unet_step, shape)), *peers]


def nearest(
    size: float = 1.0, vectors: int = PAPER_VECTORS, with_table: bool = False
) -> list[Case]:
    """The nearest of 16,384 codes for so many vectors (at size 1).

    For at most `TABLE_VECTORS` there is room for the full table of distances.
    """
    setups = {
        OURS: skfm_cases.nearest,
        "products, in parts": peer_cases.chunked_nearest,
        "vector-quantize-pytorch": peer_cases.table_nearest,
    }
    count, names = max(1, round(vectors * size**3)), list(setups)[: 2 + with_table]
    check = partial(wrong_codes, count)
    return [Case(name, partial(setups[name], count), check) for name in names]


def paper_size(size: float = 1.0) -> list[Case]:
    """Both training steps and one generated skull at the paper's size (size 1).

    Beside them one large convolution, which does not depend on `size`.  SkfmError for
    a `size` of 0 or less.
    """
    if size <= 0:
        raise SkfmError(f"size {size}", "a share above 0; 1 is the paper's")
    output = scaled_shape(size)
    latent = latent_shape(input_shape(output))
    return [
        Case(CONVOLUTION, partial(skfm_cases.convolution, LARGE)),
        Case("VQ-VAE training step", partial(skfm_cases.vqvae_step, output)),
        Case("U-Net training step", partial(skfm_cases.unet_step, latent)),
        Case("new skull", partial(skfm_cases.new_skull, output, EVALUATIONS)),
    ]


def wrong_codes(count: int, found: Tensor) -> dict[str, float]:
    """How many of (at most 10,000) vectors have a nearer code than the one found."""
    z, codes = skfm_cases.vectors_and_codes(count)
    rows, exact = (
        torch.linspace(0, count - 1, min(count, CHECKED)).long(),
        codes.double(),
    )
    mode, wrong = "donot_use_mm_for_euclid_dist", 0
    for part in rows.split(1000):
        table = torch.cdist(z[part].double(), exact, compute_mode=mode)
        taken = table.gather(1, found[part.to(found.device)].cpu()[:, None])[:, 0]
        wrong += int((taken > table.amin(1)).sum())
    return {"checked": len(rows), "wrong": wrong}


def measured_code() -> str:
    """Hash of the library's files on which the measurements depend (`MEASURED`)."""
    root, digest = Path(skfm_lib.__file__).parent, hashlib.sha256()
    for pattern in MEASURED:
        found = sorted(root.glob(pattern))
        if not found:  # a moved file must not drop out unnoticed
            raise FileNotFoundError(f"{root / pattern}: no such file")
        for path in found:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _monai(
    setup: Callable[..., Callable[[], Any]], shape: Shape, name: str = "MONAI"
) -> list[Case]:
    """MONAI in float32 and, if the device has mixed precision, in that (`tuned`)."""
    cases = [Case(f"{name}, float32", partial(setup, shape, False))]
    dtype = str(pick_device().dtype).removeprefix("torch.")
    if dtype != "float32":
        cases.append(Case(f"{name}, {dtype}", partial(setup, shape, True)))
    return cases


def _scaled(shape: Shape, size: float, multiple: int = 1) -> Shape:
    """`size` times the shape, rounded up to a multiple."""
    d, h, w = (multiple * math.ceil(n * size / multiple) for n in shape)
    return d, h, w
