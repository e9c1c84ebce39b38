"""Feature vectors of volumes, computed once and kept on disk."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import Progress


@runtime_checkable
class FeatureNetwork(Protocol):
    """What `extract` asks of a network: `Med3D` and `StudyFeatures` have it."""

    dimensions: int

    @property
    def description(self) -> str:
        """What the features are, for captions."""

    def features(self, v: Tensor) -> Tensor:
        """(n, 1, D, H, W) in [−1, 1] → (n, d)."""

    def state_dict(self) -> dict[str, Tensor]:
        """The weights, by name."""


def extract(
    network: FeatureNetwork,
    volumes: Tensor | np.ndarray | Sequence[Tensor],
    batch: int = 4,
    cache: str | Path | None = None,
) -> Tensor:
    """Features (n, d), float32, of n `volumes` (1, D, H, W).

    `volumes` are the networks' own values in [−1, 1], or occupancies of type bool
    or uint8, which are mapped there batch by batch.  Computed in float32 on every
    device, so that the metrics do not depend on the machine's fast precision; the
    network is left in evaluation mode.

    With a folder `cache` each volume's features are kept under the SHA-256 of the
    network and of the volume, and taken from there next time: a change of either is
    seen, sets may share volumes, and an interrupted extraction goes on.  Raises
    SkfmError for another shape or a damaged cache file.
    """
    shape = tuple(np.shape(volumes[0])) if len(volumes) else ()
    if len(shape) != 4 or shape[0] != 1:
        found = f"{len(volumes)} volumes of shape {shape}"
        raise SkfmError(found, "at least one, each (1, D, H, W)")
    if cache is None:
        found = [f for _, f in _run(network, volumes, range(len(volumes)), batch)]
        return torch.cat(found)
    folder = Path(cache) / _fingerprint(network.description, network.state_dict())
    paths = [folder / f"{_fingerprint('volume', {'v': v})}.npy" for v in volumes]
    missing = {path: item for item, path in enumerate(paths) if not path.exists()}
    for items, found in _run(network, volumes, list(missing.values()), batch):
        for item, row in zip(items, found.numpy()):
            with replacing(paths[item]) as aside:
                np.save(aside, row)
    return torch.stack([_kept(path) for path in paths])


def as_input(volumes: Tensor | np.ndarray) -> Tensor:
    """float32 in [−1, 1]: occupancies (bool, uint8) are mapped, floats kept."""
    v = torch.as_tensor(volumes)
    return v.float() if v.is_floating_point() else v.float() * 2 - 1


def _run(
    network: FeatureNetwork,
    volumes: Tensor | np.ndarray | Sequence[Tensor],
    items: Sequence[int],
    batch: int,
) -> Iterator[tuple[Sequence[int], Tensor]]:
    """The features of the `items`, batch by batch, with the items they are of."""
    if not items:
        return
    here = pick_device()
    network = here.to_device(network).eval()
    with Progress("features", len(items)) as bar:
        for start in range(0, len(items), batch):
            part = items[start : start + batch]
            v = torch.stack([as_input(volumes[i]) for i in part])
            yield part, _exact(network, v, here)
            bar.advance(len(part))


@torch.no_grad()
def _exact(network: FeatureNetwork, v: Tensor, here: Device) -> Tensor:
    """Features in true float32: CUDA's convolutions round to TF32 unless told."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        return network.features(here.to_device(v)).float().cpu()


def _fingerprint(about: str, arrays: Mapping[str, Tensor | np.ndarray]) -> str:
    """SHA-256 of a line of text and of named arrays: types, shapes and content."""
    digest = hashlib.sha256(about.encode())
    for name, value in arrays.items():
        value = torch.as_tensor(value)
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy())
    return digest.hexdigest()


def _kept(path: Path) -> Tensor:
    try:
        return torch.from_numpy(np.load(path))
    except (ValueError, EOFError, OSError) as problem:
        raise SkfmError(
            f"{path} is damaged", "features kept earlier", f"rm {path}"
        ) from problem
