"""Latents on disk, and the range in which the denoiser sees them."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset

from skfm_lib.data.dataset import SkullSet
from skfm_lib.models import VQVAE
from skfm_lib.study import Study, stage_names
from skfm_lib.study.data_stage import skulls
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import track

MEMORY = 2 * 2**30  # bytes of latents that a LatentSet keeps


@torch.no_grad()
def cache_latents(model: VQVAE, source: SkullSet, folder: Path, device: Device) -> None:
    """Encode every skull once: ``folder/NAME.safetensors`` holds z, not quantised.

    float16, 11.5 MB a skull at the paper's size.  Latents already there are kept.
    """
    names = [skull.name for skull in source.skulls]
    missing = [i for i, n in enumerate(names) if not _file(folder, n).is_file()]
    for i in track(missing, "Caching latents") if missing else ():
        with device.autocast():
            z = model.encode(device.to_device(source[i][0][None]))[0]
        with replacing(_file(folder, names[i])) as temporary:
            save_file({"z": z.half().cpu().contiguous()}, temporary)


class LatentSet(Dataset):
    """Cached latents of a set of skulls: item → (z float32 (k, d, h, w), quality)."""

    def __init__(self, folder: Path, source: SkullSet) -> None:
        self.files = [_file(folder, skull.name) for skull in source.skulls]
        self.qualities = source.qualities
        self._kept: dict[int, Tensor] = {}
        self._keep = len(self) * self._read(0).nbytes <= MEMORY

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        z = self._kept[index] if index in self._kept else self._read(index)
        if self._keep:
            self._kept[index] = z
        return z.float(), self.qualities[index]

    def _read(self, index: int) -> Tensor:
        try:
            return load_file(self.files[index])["z"]
        except (OSError, SafetensorError) as error:
            raise SkfmError(
                f"{self.files[index]} cannot be read ({error})",
                "a cached latent",
                "run 02_train_vqvae again: it encodes what is missing",
            ) from error


def load_latents(study: Study) -> LatentSet:
    """The training set's latents, as stage 02 cached them."""
    folder = study.finished(stage_names.VQVAE).folder / "latents"
    return LatentSet(folder, skulls(study, "train"))


@dataclass(frozen=True)
class LatentScale:
    """x = (z − centre) / half: what the denoiser sees of a latent z.

    centre, half  (k, 1, 1, 1)
    bounds        of x, in which diffusion keeps what it predicts; None for none
    """

    centre: Tensor
    half: Tensor
    bounds: tuple[float, float] | None

    def normalise(self, z: Tensor) -> Tensor:
        """z → x, approximately in [−1, 1]."""
        return (z - self.centre) / self.half

    def restore(self, x: Tensor) -> Tensor:
        """x → z."""
        return x * self.half.to(x.device) + self.centre.to(x.device)

    def as_dict(self) -> dict[str, object]:
        """Plain values, kept with the weights that were trained in this range."""
        centre, half = self.centre.flatten().tolist(), self.half.flatten().tolist()
        return {"centre": centre, "half": half, "bounds": self.bounds}

    @staticmethod
    def from_dict(record: dict) -> "LatentScale":
        """The inverse of `as_dict`."""
        centre, half = (
            torch.tensor(record[name]).view(-1, 1, 1, 1) for name in ("centre", "half")
        )
        bounds = record["bounds"]
        return LatentScale(centre, half, tuple(bounds) if bounds else None)


def latent_scale(kind: str, model: VQVAE, latents: LatentSet) -> LatentScale:
    """How latents are normalised: by the "codebook" or per "channel".

    codebook  by the smallest and largest value of all codes (paper §3.2)
    channel   by mean and standard deviation of each channel over the training set;
              its bounds are the range of the training set's own latents
    """
    if kind == "codebook":
        codes = model.codebook.vectors.detach().cpu()
        low, high = codes.min(), codes.max()
        one = torch.ones(codes.shape[1], 1, 1, 1)
        return LatentScale(one * (low + high) / 2, one * (high - low) / 2, (-1.0, 1.0))
    if kind == "channel":
        mean, variance = _moments(latents)
        scale = LatentScale(mean, variance.sqrt(), None)
        return replace(scale, bounds=_range(scale, latents))
    raise SkfmError(f"normalise {kind!r}", "codebook or channel")


def spread(scale: LatentScale, latents: LatentSet) -> Tensor:
    """Standard deviation of each channel (k,) of the normalised latents.

    Noise has 1; a signal well below that is drowned by noise over most of the path.
    """
    _, variance = _moments(latents)
    return (variance.sqrt() / scale.half).flatten()


def _moments(latents: LatentSet) -> tuple[Tensor, Tensor]:
    """Mean and variance (k, 1, 1, 1) of each channel over a set, in float64 sums."""
    total = squares = voxels = 0
    for z, _ in (latents[i] for i in range(len(latents))):
        z = z.double()
        total = total + z.sum((1, 2, 3), keepdim=True)
        squares = squares + z.square().sum((1, 2, 3), keepdim=True)
        voxels += z[0].numel()
    mean = total / voxels
    return mean.float(), (squares / voxels - mean.square()).float()


def _range(scale: LatentScale, latents: LatentSet) -> tuple[float, float]:
    """The smallest and largest normalised value of a set."""
    seen = [scale.normalise(latents[i][0]).aminmax() for i in range(len(latents))]
    return min(x.min.item() for x in seen), max(x.max.item() for x in seen)


def _file(folder: Path, name: str) -> Path:
    return Path(folder) / f"{name}.safetensors"
