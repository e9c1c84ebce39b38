"""Feature vectors of volumes, with a cache on disk."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from skfm_lib.data.bone_fractions import as_values
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import Progress

Volumes = Tensor | np.ndarray | Sequence[Tensor]


@runtime_checkable
class FeatureNetwork(Protocol):
    """A module that `extract` accepts, such as `Med3D` and `StudyFeatures`."""

    @property
    def dimensions(self) -> int:
        """d, the number of features."""

    @property
    def description(self) -> str:
        """What the features are, for captions."""

    def features(self, v: Tensor) -> Tensor:
        """(n, 1, D, H, W) in [−1, 1] → (n, d)."""

    def state_dict(self) -> dict[str, Tensor]:
        """The weights, by name."""


def extract(
    network: FeatureNetwork,
    volumes: Volumes,
    batch: int = 4,
    cache: str | Path | None = None,
) -> Tensor:
    """Features (n, d), float32, of n volumes.

    Computed in float32 on every device, so that the metrics do not depend on the
    machine's fast precision.  The network is left in evaluation mode.

    Args:
        network: a module.
        volumes: items (1, D, H, W), v in [−1, 1], or bits or bytes as stored.
        batch: volumes at a time.
        cache: folder in which features are saved under the SHA-256 of the network and
            of the volume.  A change of either is detected, sets may share volumes, and
            an interrupted extraction resumes.

    Raises:
        SkfmError: for another shape or a damaged cache file.
    """
    shape = tuple(np.shape(volumes[0])) if len(volumes) else ()
    if len(shape) != 4 or shape[0] != 1:
        found = f"{len(volumes)} volumes of shape {shape}"
        raise SkfmError(found, "at least one, each (1, D, H, W)")
    if cache is None:
        return torch.cat(list(_batches(network, volumes, range(len(volumes)), batch)))
    folder = Path(cache) / _fingerprint(network.description, network.state_dict())
    paths = [folder / f"{_fingerprint('volume', {'v': v})}.npy" for v in volumes]
    missing = {path: item for item, path in enumerate(paths) if not path.exists()}
    batches = _batches(network, volumes, list(missing.values()), batch)
    rows = (row for features in batches for row in features.numpy())
    for row, path in zip(rows, missing):
        with replacing(path) as temporary:
            np.save(temporary, row)
    return torch.stack([_load(path) for path in paths])


def as_input(volumes: Tensor | np.ndarray) -> Tensor:
    """v, float32 in [−1, 1], of a skull's bits or bytes; floats are v already."""
    return as_values(torch.as_tensor(volumes)).float()


def _batches(
    network: FeatureNetwork, volumes: Volumes, items: Sequence[int], batch: int
) -> Iterator[Tensor]:
    """The features of the `items`, batch by batch, on the CPU."""
    if not items:
        return
    device = pick_device()
    device.to_device(cast(nn.Module, network)).eval()  # moved in place
    with Progress("features", len(items)) as bar:
        for start in range(0, len(items), batch):
            part = [as_input(volumes[i]) for i in items[start : start + batch]]
            v = device.to_device(torch.stack(part))
            with torch.no_grad():
                features = network.features(v).float().cpu()
            yield features
            bar.advance(len(part))


def _fingerprint(about: str, arrays: Mapping[str, Tensor | np.ndarray]) -> str:
    """SHA-256 of a line of text and of named arrays: types, shapes and content."""
    digest = hashlib.sha256(about.encode())
    for name, value in arrays.items():
        value = torch.as_tensor(value)
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _load(path: Path) -> Tensor:
    try:
        return torch.from_numpy(np.load(path))
    except (ValueError, EOFError, OSError) as problem:
        raise SkfmError(
            f"{path} is damaged", "features saved by extract", f"rm {path}"
        ) from problem
