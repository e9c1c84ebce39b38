"""Feature vectors of volumes, computed once and kept on disk."""

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skfm_lib.data.files import replacing
from skfm_lib.device import pick_device
from skfm_lib.errors import SkfmError
from skfm_lib.progress import Progress


class FeatureNetwork(Protocol):
    """What `extract` asks of a network: `Med3D` and `StudyFeatures` have it."""

    def features(self, v: Tensor) -> Tensor:
        """(n, 1, D, H, W) in [−1, 1] → (n, d)."""

    def state_dict(self) -> dict[str, Tensor]:
        """The weights, by name."""


def extract(
    network: FeatureNetwork,
    volumes: Tensor | np.ndarray,
    batch: int = 8,
    cache: str | Path | None = None,
) -> Tensor:
    """Features (n, d), float32, of `volumes` (n, 1, D, H, W).

    `volumes` are the networks' own values in [−1, 1], or occupancies of type bool
    or uint8, which are mapped there batch by batch.  Computed in float32 on every
    device, so that the metrics do not depend on the machine's fast precision; the
    network is left in evaluation mode.
    With a folder `cache` the result is kept under the SHA-256 of the volumes and
    of the weights, and taken from there next time; a change of either is seen.
    Raises SkfmError for another shape or a damaged cache file.
    """
    if volumes.ndim != 5 or volumes.shape[1] != 1 or len(volumes) == 0:
        raise SkfmError(f"volumes of shape {tuple(volumes.shape)}", "(n, 1, D, H, W)")
    if cache is None:
        return _run(network, volumes, batch)
    path = Path(cache) / f"{_fingerprint(network, volumes)}.npy"
    if not path.exists():
        with replacing(path) as aside:
            np.save(aside, _run(network, volumes, batch).numpy())
    try:
        return torch.from_numpy(np.load(path))
    except (ValueError, EOFError, OSError) as problem:
        raise SkfmError(
            f"{path} is damaged", "features kept earlier", f"rm {path}"
        ) from problem


@torch.no_grad()
def _run(network: FeatureNetwork, volumes: Tensor | np.ndarray, batch: int) -> Tensor:
    here = pick_device()
    network = here.place(network).eval()
    found = []
    with Progress("features", len(volumes)) as bar:
        for start in range(0, len(volumes), batch):
            v = as_input(volumes[start : start + batch])
            found.append(network.features(here.place(v)).float().cpu())
            bar.advance(len(v))
    return torch.cat(found)


def as_input(volumes: Tensor | np.ndarray) -> Tensor:
    """float32 in [−1, 1]: occupancies (bool, uint8) are mapped, floats kept."""
    v = torch.as_tensor(volumes)
    return v.float() if v.is_floating_point() else v.float() * 2 - 1


def _fingerprint(network: FeatureNetwork, volumes: Tensor | np.ndarray) -> str:
    digest = hashlib.sha256(type(network).__name__.encode())
    for name, weight in network.state_dict().items():
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().numpy())
    for volume in map(torch.as_tensor, volumes):
        digest.update(f"{volume.dtype} {tuple(volume.shape)}".encode())
        digest.update(volume.cpu().contiguous().numpy())
    return digest.hexdigest()
