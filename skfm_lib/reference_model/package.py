"""A packed model on disk: weights, and an index with their checksums and their origin.

    index.json                  preset, settings, data, steps, commit, screening, files
    vqvae.safetensors           the autoencoder
    denoiser.safetensors        ours, and linear_start.safetensors
    score_classifier.safetensors, screening.npz       for the screening
    aligner.safetensors, completer.safetensors        for `skfm align` and `complete`
    feature_network.safetensors, held_out.npz         for distances and recall
    example.npz                 a skull that it generated, to compare with

Weights of convolutions and products are bf16, to which autocast rounds them anyway:
where it computes in bf16, the packed model generates the study's skulls bit for bit.
For that, the rest stays float32: vectors (biases, norms, variances), the codebook
and the convolution whose output it quantises, the labels and the linear model.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, replacing, write_json

FOLDER = Path(__file__).parent / "weights"
VARIABLE = "SKFM_WEIGHTS"  # environment variable: the folder of another packed model
INDEX, EXAMPLE = "index.json", "example.npz"
KEYS = (
    *("preset", "settings", "origin", "screening", "distances", "tools", "example"),
    "files",
)
REMEDY = "install skfm again (in a clone: git checkout -- skfm_lib)"
EXACT = (  # float32 although they are matrices
    *("codebook.vectors", "encoder.project.weight", "condition.label.weight"),
    *("means", "slopes", "components"),  # of the linear model
)


@dataclass(frozen=True)
class Package:
    """A packed model: its folder and the content of its index."""

    folder: Path
    index: Mapping[str, Any]

    def has(self, name: str) -> bool:
        """Whether the model comes with a file."""
        return name in self.index["files"]

    def file(self, name: str) -> Path:
        """The path of a file whose content is that of the index.

        Raises:
            SkfmError: for a file that is missing, damaged or altered.
        """
        path = self.folder / name
        wanted = self.index["files"].get(name, {}).get("sha256")
        if wanted is None or not path.is_file():
            raise self._unlike(path, "is missing")
        if checksum(path) != wanted:
            raise self._unlike(path, "is damaged or was altered (SHA-256)")
        return path

    @property
    def fingerprint(self) -> str:
        """Beginning of the checksum of the denoiser's weights."""
        return self.index["files"]["denoiser.safetensors"]["sha256"][:16]

    @property
    def summary(self) -> str:
        """What the model was trained on, in one line."""
        origin = self.index["origin"]
        steps = ", ".join(f"{name} {n:,} steps" for name, n in origin["steps"].items())
        return (
            f"Packed model of {origin['time'][:10]}, preset {self.index['preset']}: "
            f"trained on {origin['skulls']} {origin['kind']} ({steps})."
        )

    def _unlike(self, path: Path, what: str) -> SkfmError:
        return SkfmError(f"{path} {what}", f"the file that {INDEX} lists", REMEDY)


def find_package() -> Package | None:
    """The packed model of the library, or of the folder that VARIABLE names, or None.

    Raises:
        SkfmError: for a damaged index, and where VARIABLE names no packed model.
    """
    named = os.environ.get(VARIABLE)
    folder = Path(named).expanduser() if named else FOLDER
    if not named and not (folder / INDEX).is_file():
        return None
    return Package(folder, read_index(folder))


def open_package() -> Package:
    """As `find_package`; SkfmError where there is none."""
    if package := find_package():
        return package
    found = "this copy of skfm comes without a trained model"
    remedy = "skfm study trains one, then: skfm generate --run quick"
    raise SkfmError(found, f"{FOLDER / INDEX}", remedy)


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a packed model; SkfmError if it is missing or damaged."""
    try:
        return read_json(folder / INDEX, *KEYS)
    except SkfmError as error:
        expected = "the index of a packed model"
        raise SkfmError(error.parts[0], expected, REMEDY) from error


def write_index(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the index of the files (`KEYS` but ``files``) that are in a folder."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": checksum(path)}
        for path in sorted(folder.iterdir())
        if path.suffix in (".safetensors", ".npz")
    }
    write_json(folder / INDEX, {**content, "files": files})


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_compact(source: Path, target: Path) -> None:
    """Copy weights of `save_weights`, with their metadata, matrices rounded to bf16."""
    with safe_open(source, "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}
        about = file.metadata()
    for name, value in state.items():
        if value.ndim > 1 and value.is_floating_point() and name not in EXACT:
            state[name] = value.to(torch.bfloat16)
    with replacing(target) as temporary:
        save_file(state, temporary, about)
