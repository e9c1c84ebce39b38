"""What is measured beside what: four comparisons, and the paper's full size."""

import hashlib
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import skfm_lib
from skfm_lib.benchmarks import peer_cases, skfm_cases
from skfm_lib.benchmarks.isolated_process import Case
from skfm_lib.presets.grid_sizes import Shape, input_shape, latent_shape, scaled_shape
from skfm_lib.utils.device import pick_device

OURS, CONVOLUTION = "skfm", "one convolution"
OUTPUT = (117, 87, 126)  # 0.82 of it is 96×72×104
LATENT = (24, 24, 32)
LARGE = (48, 146, 210)  # a quarter of a map at the paper's half resolution
PAPER_VECTORS = math.prod(latent_shape(input_shape(scaled_shape(1.0))))  # 720,510
TABLE_VECTORS = 20_000  # the whole table of distances and its copies: 5 GiB
CHECKED = 10_000  # of the vectors, compared with brute force
EVALUATIONS = 16
MEASURED = (  # globs of the library's files that decide what is measured
    *("models/*.py", "models/ops/*.py", "models/pointcloud/*.py", "samplers/*.py"),
    *("utils/device.py", "training/optimizer.py", "training/trainer.py"),
    *("generation.py", "benchmarks/isolated_process.py", "benchmarks/*_cases.py"),
    "benchmarks/reference_networks.py",
)


def vqvae_step(size: float = 1.0, with_peers: bool = True) -> list[Case]:
    """A training step of the VQ-VAE, 16,384 codes, batch 1.

    At size 1 the networks see 96×72×104 voxels.  Ours is given 117×87×126, resamples
    them and takes its loss there, behind the trilinear head; MONAI's sees and
    reconstructs the smaller volume, once as it is usually built and once with a
    level at full resolution, as ours.
    """
    output = _scaled(OUTPUT, size)
    seen = tuple(4 * n for n in latent_shape(input_shape(output)))
    mine = Case(OURS, partial(skfm_cases.vqvae_step, output))
    usual = _monai(peer_cases.monai_vqvae_step, seen, with_peers)
    full = partial(peer_cases.monai_vqvae_step, full=True)
    return [mine, *usual, *_monai(full, seen, with_peers, "MONAI + full resolution")]


def unet_forward(size: float = 1.0, with_peers: bool = True) -> list[Case]:
    """An evaluation of the U-Net on latents of 24×24×32×8 (size 1), batch 1."""
    shape = _scaled(LATENT, size, multiple=8)
    mine = Case(OURS, partial(skfm_cases.unet_forward, shape))
    return [mine, *_monai(peer_cases.monai_unet_forward, shape, with_peers)]


def unet_step(size: float = 1.0, with_peers: bool = True) -> list[Case]:
    """A training step of the U-Net on latents of 24×24×32×8 (size 1), batch 1."""
    shape = _scaled(LATENT, size, multiple=8)
    mine = Case(OURS, partial(skfm_cases.unet_step, shape))
    return [mine, *_monai(peer_cases.monai_unet_step, shape, with_peers)]


def nearest(size: float = 1.0) -> list[Case]:
    """The nearest of 16,384 codes for 720,510 vectors (size 1)."""
    return _searches(
        PAPER_VECTORS, size, (skfm_cases.nearest, peer_cases.chunked_nearest)
    )


def nearest_beside_table(size: float = 1.0, with_peers: bool = True) -> list[Case]:
    """The same for 20,000 vectors (size 1), of which a whole table fits."""
    searches = (
        skfm_cases.nearest,
        peer_cases.chunked_nearest,
        peer_cases.table_nearest,
    )
    return _searches(TABLE_VECTORS, size, searches if with_peers else searches[:2])


def paper_size(size: float = 1.0) -> list[Case]:
    """Both training steps and one new skull at the paper's size (size 1).

    Beside them one convolution, of the same size whatever `size` is.
    """
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
    rows = torch.linspace(0, count - 1, min(count, CHECKED)).long()
    wrong = 0
    for part in rows.split(1000):
        table = torch.cdist(
            z[part].double(),
            codes.double(),
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        taken = table.gather(1, found[part.to(found.device)].cpu()[:, None])[:, 0]
        wrong += int((taken > table.amin(1)).sum())
    return {"checked": len(rows), "wrong": wrong}


def measured_code() -> str:
    """Hash of the library's files on which the measurements depend (`MEASURED`)."""
    root, digest = Path(skfm_lib.__file__).parent, hashlib.sha256()
    for pattern in MEASURED:
        found = sorted(root.glob(pattern))
        if not found:  # a file that was moved must not drop out silently
            raise FileNotFoundError(f"{root / pattern}: no such file")
        for path in found:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _monai(
    setup: Callable[..., Callable], shape: Shape, wanted: bool, name: str = "MONAI"
) -> list[Case]:
    """MONAI as it comes and, where the device has mixed precision, with favours."""
    cases = [Case(f"{name}, float32", partial(setup, shape, False))]
    kind = pick_device().dtype
    if kind != torch.float32:
        mixed = f"{name}, {str(kind).removeprefix('torch.')}"
        cases.append(Case(mixed, partial(setup, shape, True)))
    return cases if wanted else []


def _searches(count: int, size: float, setups: tuple[Callable, ...]) -> list[Case]:
    names = (OURS, "products, in parts", "vector-quantize-pytorch")
    count = max(1, round(count * size**3))
    check = partial(wrong_codes, count)
    return [
        Case(name, partial(setup, count), check) for name, setup in zip(names, setups)
    ]


def _scaled(shape: Shape, size: float, multiple: int = 1) -> Shape:
    """The shape's share `size`, rounded up to a multiple."""
    return tuple(multiple * math.ceil(n * size / multiple) for n in shape)
