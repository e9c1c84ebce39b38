"""Latents on disk, and the range to which they are normalised for the denoiser."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.field_of_view import measured_fields
from skfm_lib.data.voxels import mirrored
from skfm_lib.models import VQVAE
from skfm_lib.study import Study, stage_names
from skfm_lib.study.data_stage import skulls
from skfm_lib.utils import distributed, memory
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import batch_indices, generator, noise

FOLDER = "latents"  # of stage 02, for those of the training set
FIELDS = "fields_of_view.json"  # beside latents, of the same skulls
SHARE = 4  # of the free memory, one part in so many is for the latents of a set


@torch.no_grad()
def cache_latents(
    model: VQVAE, source: SkullSet, folder: Path, device: Device, mirror: bool = False
) -> None:
    """Encode every skull once: ``folder/NAME.safetensors`` holds z, not quantised.

    float16, 11.5 MB per skull at the paper's size.  Existing files are kept.  With
    `mirror`, the volumes are mirrored left to right first: grids are padded on one
    side, so that the latent of a mirrored volume is not the mirrored latent.
    """
    names = [skull.name for skull in source.skulls]
    missing = [i for i, n in enumerate(names) if not _file(folder, n).is_file()]
    label = "Caching mirrored latents" if mirror else "Caching latents"
    for i in track(missing, label) if missing else ():
        v, _ = source[i]
        if mirror:
            v = torch.from_numpy(mirrored(v[0].numpy(), source.grid))[None]
        with device.autocast():
            z = model.encode(device.to_device(v[None]))[0]
        with replacing(_file(folder, names[i])) as temporary:
            save_file({"z": z.half().cpu().contiguous()}, temporary)


class LatentSet(Dataset):
    """Cached latents of a set of skulls: item → (z float32 (k, d, h, w), quality)."""

    def __init__(self, folder: Path, source: SkullSet) -> None:
        self.folder, self.data, self.skulls = folder, source.folder, source.skulls
        self.files = [_file(folder, skull.name) for skull in source.skulls]
        self.qualities = source.qualities
        self._kept: dict[int, Tensor] = {}
        self._keep = len(self) * self._read(0).nbytes <= memory.available() // SHARE

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        z = self._kept[index] if index in self._kept else self._read(index)
        if self._keep:
            self._kept[index] = z
        return z.float(), self.qualities[index]

    @cached_property
    def fields_of_view(self) -> Tensor:
        """(n, 2): where the scan of each skull begins and ends, mm (`FieldOfView`).

        Measured from the volumes when first needed, and kept with the latents.
        """
        kept = self.folder / FIELDS
        return torch.tensor(measured_fields(self.data, self.skulls, kept))

    def _read(self, index: int) -> Tensor:
        try:
            return load_file(self.files[index])["z"]
        except (OSError, SafetensorError) as error:
            raise SkfmError(
                f"{self.files[index]} cannot be read ({error})",
                "a cached latent",
                "run 02_train_vqvae again, which encodes missing latents",
            ) from error


def load_latents(study: Study) -> LatentSet:
    """The latents of the training set, as cached by stage 02."""
    folder = study.finished(stage_names.VQVAE).folder / FOLDER
    return LatentSet(folder, skulls(study, "train"))


@dataclass(frozen=True)
class LatentScale:
    """The normalisation x = (z − centre) / half of a latent z for the denoiser.

    Attributes:
        centre: (k, 1, 1, 1).
        half: (k, 1, 1, 1).
        bounds: of x, to which the diffusion samplers clamp their prediction of x_0;
            None does not clamp.

    >>> one = torch.ones(1, 1, 1, 1)
    >>> LatentScale(centre=one, half=2 * one, bounds=None).normalise(4 * one).item()
    1.5
    """

    centre: Tensor
    half: Tensor
    bounds: tuple[float, float] | None

    def normalise(self, z: Tensor) -> Tensor:
        """z → x, approximately in [−1, 1], on the device of z."""
        return (z - self.centre.to(z.device)) / self.half.to(z.device)

    def restore(self, x: Tensor) -> Tensor:
        """x → z, the inverse of `normalise`, on the device of x."""
        return x * self.half.to(x.device) + self.centre.to(x.device)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, saved with the weights that were trained in this range."""
        centre, half = self.centre.flatten().tolist(), self.half.flatten().tolist()
        return {"centre": centre, "half": half, "bounds": self.bounds}

    @staticmethod
    def from_dict(record: dict[str, Any]) -> "LatentScale":
        """The inverse of `as_dict`."""
        values = torch.tensor([record["centre"], record["half"]])
        centre, half = values.view(2, -1, 1, 1, 1)
        bounds = tuple(record["bounds"]) if record["bounds"] else None
        return LatentScale(centre, half, bounds)


def latent_scale(kind: str, model: VQVAE, latents: LatentSet) -> LatentScale:
    """The normalisation of the `latents` of a training set, encoded by `model`.

    Kind "codebook" uses the smallest and the largest value of all codes (paper §3.2),
    "channel" the mean and standard deviation of each channel over the training set,
    with the range of the training latents as bounds.
    """
    if kind == "codebook":
        codes = model.codebook.vectors.detach().cpu()
        low, high = codes.min(), codes.max()
        one = torch.ones(codes.shape[1], 1, 1, 1)
        return LatentScale(one * (low + high) / 2, one * (high - low) / 2, (-1.0, 1.0))
    if kind == "channel":
        mean, variance = _moments(latents)
        scale = LatentScale(mean, variance.sqrt(), None)
        ranges = [scale.normalise(z).aminmax() for z in _each(latents)]
        low, high = min(r.min for r in ranges), max(r.max for r in ranges)
        return replace(scale, bounds=(low.item(), high.item()))
    raise SkfmError(f"normalise {kind!r}", "codebook or channel")


def spread(scale: LatentScale, latents: LatentSet) -> Tensor:
    """Standard deviation of each channel (k,) of the normalised latents.

    Noise has 1; a much smaller signal is hidden by the noise over most of the path.
    """
    _, variance = _moments(latents)
    return (variance.sqrt() / scale.half).flatten()


def latent_batch(
    latents: LatentSet,
    scale: LatentScale,
    seed: int,
    step: int,
    count: int,
    mirrored: LatentSet | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(x_0, ε, quality scores) of a training step: a share of a batch of `count`.

    Each skull is taken from `mirrored` with probability ½, if that is given.
    """
    chosen = distributed.share(batch_indices(seed, step, len(latents), count))
    sets = [latents] * len(chosen)
    if mirrored is not None:
        drawn = torch.rand(count, generator=generator(seed, "mirrored", step)) < 0.5
        sets = [(latents, mirrored)[i] for i in distributed.share(drawn.int())]
    batch = [one[i] for one, i in zip(sets, chosen)]
    x_0 = scale.normalise(torch.stack([z for z, _ in batch]))
    samples = distributed.share(list(range(step * count, (step + 1) * count)))
    eps = noise(x_0.shape[1:], seed, "eps", samples=samples)
    return x_0, eps, torch.tensor([quality for _, quality in batch])


def field_batch(latents: LatentSet, seed: int, step: int, count: int) -> Tensor:
    """Fields of view (b, 2), mm, of the skulls of `latent_batch`, mirrored or not."""
    chosen = distributed.share(batch_indices(seed, step, len(latents), count))
    return latents.fields_of_view[chosen]


def _moments(latents: LatentSet) -> tuple[Tensor, Tensor]:
    """Mean and variance (k, 1, 1, 1) of each channel over a set, in float64 sums."""
    total = squares = torch.zeros((), dtype=torch.float64)
    voxels = 0
    for z in _each(latents):
        z = z.double()
        total = total + z.sum((1, 2, 3), keepdim=True)
        squares = squares + z.square().sum((1, 2, 3), keepdim=True)
        voxels += z[0].numel()
    mean = total / voxels
    return mean.float(), (squares / voxels - mean.square()).float()


def _each(latents: LatentSet) -> Iterator[Tensor]:
    """Every latent of a set, read one at a time."""
    return (latents[i][0] for i in range(len(latents)))


def _file(folder: Path, name: str) -> Path:
    return Path(folder) / f"{name}.safetensors"
