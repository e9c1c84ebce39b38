"""Cells of a sweep drawn, decoded and put into features, with what that cost.

What is drawn is kept, batch by batch, under what it was made from: a run that was
stopped, or is given more cells, draws only what is missing.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from skfm_lib.evaluation.sampling_steps.grid import Cell, cost
from skfm_lib.generation import STAGES, Sampler, SkullGenerator
from skfm_lib.metrics.feature_extraction import FeatureNetwork, as_input
from skfm_lib.study import Study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.memory import memory
from skfm_lib.utils.progress import Progress
from skfm_lib.utils.seeding import seed_of

FOLDER = "13_cells"
PEAK = Path("/proc/self/clear_refs")  # on Linux: 5 has the peak counted anew


@dataclass(frozen=True)
class Drawn:
    """The skulls of a cell in feature space, and what they cost.

    features  (n, d)
    sampling  seconds a skull, in batches of the preset
    decoding  seconds a skull, one by one
    memory    bytes at most while sampling: of the CUDA device, else of the process
    """

    cell: Cell
    features: np.ndarray
    sampling: float
    decoding: float
    memory: int


@dataclass(frozen=True)
class Sweep:
    """Draws cells for one study, and measures them in the features of `network`."""

    study: Study
    network: FeatureNetwork
    qualities: Sequence[int]

    def draw(self, generator: SkullGenerator, cells: Sequence[Cell]) -> list[Drawn]:
        """Those cells that are of the generator's model, drawn now or earlier."""
        cells = [cell for cell in cells if cell.model == generator.objective]
        if not all(self.folder(cell).is_dir() for cell in cells):
            self._warm_up(generator, cells[0])
        total = cost(cells) * len(self.qualities)
        with Progress(f"Sweep, {generator.objective}", total) as bar:
            return [self._cell(generator, cell, bar) for cell in cells]

    def latents(self, cell: Cell) -> Tensor:
        """z (n, k, d, h, w), float16, of a cell that was drawn."""
        files = sorted(self.folder(cell).glob("latents-*.safetensors"))
        return torch.cat([_read(path)[0] for path in files])

    def volume(self, generator: SkullGenerator, cell: Cell, item: int) -> np.ndarray:
        """v* (D, H, W) of one skull of a cell that was drawn; surface at 0."""
        z = self.latents(cell)[item : item + 1].float()
        return generator.decode(generator.device.to_device(z))[0, 0].numpy()

    def folder(self, cell: Cell) -> Path:
        """Where a cell is kept, by what it is made from."""
        made_from = {
            "model": self.study.finished(STAGES[cell.model]).fingerprint,
            "sampler": cell.sampler.as_dict(),
            "seeds": self._seeds(cell),
            "qualities": list(self.qualities),
            "batch": self._batch,
        }
        text = json.dumps(made_from, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        method = f"{cell.sampler.method}-{cell.sampler.evaluations}"
        return self.study.folder / FOLDER / f"{cell.model}-{method}-{digest}"

    @property
    def _batch(self) -> int:
        return self.study.settings.sampling.batch

    def _seeds(self, cell: Cell) -> list[int]:
        """Those of chapter 5's skulls, or others."""
        word, count = "repeat" if cell.repeat else "sample", len(self.qualities)
        return [seed_of(self.study.seed, word, index) for index in range(count)]

    def _warm_up(self, generator: SkullGenerator, cell: Cell) -> None:
        """One evaluation, lest the first cell pay for the choice of kernels."""
        part = slice(0, self._batch)
        once = replace(cell.sampler, steps=1)
        generator.latents(self.qualities[part], self._seeds(cell)[part], once)

    def _cell(self, generator: SkullGenerator, cell: Cell, bar: Progress) -> Drawn:
        folder, seeds, key = self.folder(cell), self._seeds(cell), _key(self.network)
        found, about = [], []
        for start in range(0, len(seeds), self._batch):
            part = slice(start, start + self._batch)
            latents = folder / f"latents-{start:05d}.safetensors"
            features = folder / f"features-{key}-{start:05d}.safetensors"
            if not latents.is_file():
                given = self.qualities[part], seeds[part], cell.sampler
                _draw(generator, *given, latents)
            if not features.is_file():
                _measure(generator, self.network, latents, features)
            found.append(_read(features)[0])
            about.append(_read(latents)[1] | _read(features)[1])
            bar.advance(cell.sampler.evaluations * len(seeds[part]), cell.name)
        return Drawn(
            cell,
            torch.cat(found).double().numpy(),
            sum(a["sampling"] for a in about) / len(seeds),
            sum(a["decoding"] for a in about) / len(seeds),
            max(a["memory"] for a in about),
        )


def _draw(
    generator: SkullGenerator,
    qualities: Sequence[int],
    seeds: Sequence[int],
    sampler: Sampler,
    path: Path,
) -> None:
    """Keep a batch of latents, and what it cost to draw them."""
    _forget_peak()
    started = time.perf_counter()
    z = generator.latents(qualities, seeds, sampler).half().cpu()
    seconds = time.perf_counter() - started
    _save(path, z, {"sampling": seconds, "memory": memory()[1]})


def _measure(
    generator: SkullGenerator, network: FeatureNetwork, latents: Path, path: Path
) -> None:
    """Keep the features of a batch of latents, and what it cost to decode them."""
    place, z = generator.device.to_device, _read(latents)[0].float()
    started = time.perf_counter()
    v = torch.cat([generator.decode(place(one[None])) for one in z])
    seconds = time.perf_counter() - started
    with torch.no_grad():
        features = place(network).eval().features(place(as_input(v > 0)))
    _save(path, features.float().cpu(), {"decoding": seconds})


def _save(path: Path, values: Tensor, about: Mapping[str, float]) -> None:
    with replacing(path) as temporary:
        save_file(
            {"values": values.contiguous()}, temporary, {"about": json.dumps(about)}
        )


def _read(path: Path) -> tuple[Tensor, dict[str, float]]:
    try:
        with safe_open(path, "pt") as file:
            return file.get_tensor("values"), json.loads(file.metadata()["about"])
    except (OSError, SafetensorError) as error:
        raise SkfmError(
            f"{path} cannot be read ({error})", "a batch of the sweep", f"rm {path}"
        ) from error


def _key(network: FeatureNetwork) -> str:
    """A name for the network's weights."""
    digest = hashlib.sha256(type(network).__name__.encode())
    for name, weight in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().numpy())
    return digest.hexdigest()[:12]


def _forget_peak() -> None:
    """Have the peak of memory counted from here on, where the system can."""
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):  # not Linux: the peak of the whole process
        PEAK.write_text("5", encoding="ascii")
