"""Generate the skulls of sampler settings; keep their latents, features and costs.

A setting is an experiment of the study (`Study.experiment`): a finished one is not
generated again, and an interrupted one resumes with the next batch.
"""

import contextlib
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from skfm_lib.data.bone_fractions import stored
from skfm_lib.evaluation.sampling_steps.grid import SamplerSetting
from skfm_lib.generation import STAGES, SkullGenerator
from skfm_lib.metrics.feature_extraction import as_input
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.study import Stage, Study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.memory import memory
from skfm_lib.utils.progress import Progress
from skfm_lib.utils.seeding import seed_of

FOLDER = "13_experiments"
CLEAR_REFS = Path("/proc/self/clear_refs")  # Linux: writing 5 resets the memory peak


@dataclass(frozen=True)
class SampledSet:
    """The skulls of a setting as features, and their cost."""

    setting: SamplerSetting
    features: np.ndarray  # (n, d), float64
    sampling: float  # seconds per skull, in batches of the preset
    decoding: float  # seconds per skull, one by one
    memory: int  # peak bytes while sampling, of the CUDA device or the process


@dataclass(frozen=True)
class Sweep:
    """Skulls of the same `qualities` from many settings, as features of `network`."""

    study: Study
    network: StudyFeatures
    qualities: Sequence[int]

    def sample(
        self, generator: SkullGenerator, settings: Sequence[SamplerSetting]
    ) -> list[SampledSet]:
        """The sets of the generator's model; those that are missing are generated."""
        own = [s for s in settings if s.model == generator.objective]
        if not all(self.experiment(setting).done for setting in own):
            # Warm up, so that the choice of kernels is not timed.
            once = replace(own[0].sampler, steps=1, symmetric=0.0)
            part = slice(0, self._batch)
            generator.latents(self.qualities[part], self._seeds(own[0])[part], once)
        total = sum(s.sampler.evaluations for s in own) * len(self.qualities)
        with Progress(f"Sampling, {generator.objective}", total) as bar:
            return [self._sampled(generator, setting, bar) for setting in own]

    def volume(
        self, generator: SkullGenerator, setting: SamplerSetting, item: int
    ) -> np.ndarray:
        """v* (D, H, W) of one skull of a finished setting; the surface is at 0."""
        z = torch.cat([batch["z"] for batch in _batches(self.experiment(setting))])
        one = generator.device.to_device(z[item : item + 1].float())
        return generator.decode(one)[0, 0].numpy()

    def experiment(self, setting: SamplerSetting) -> Stage:
        """The stage of a setting, finished or not."""
        settings = {
            "seed": self.study.seed,
            "repeat": setting.repeat,
            "sampler": setting.sampler.as_dict(),
            "qualities": list(self.qualities),
            "batch": self._batch,
        }
        sampler = f"{setting.sampler.method}-{setting.sampler.evaluations}"
        label, after = f"{setting.model}-{sampler}", (STAGES[setting.model],)
        return self.study.experiment(FOLDER, label, settings, after)

    @property
    def _batch(self) -> int:
        return self.study.settings.sampling.batch

    def _seeds(self, setting: SamplerSetting) -> list[int]:
        """The seeds of chapter 5's skulls, or others for a repeat."""
        word, count = "repeat" if setting.repeat else "sample", len(self.qualities)
        return [seed_of(self.study.seed, word, index) for index in range(count)]

    def _sampled(
        self, generator: SkullGenerator, setting: SamplerSetting, bar: Progress
    ) -> SampledSet:
        stage, seeds = self.experiment(setting), self._seeds(setting)
        for start in range(0, len(seeds), self._batch):
            part = slice(start, start + self._batch)
            path = stage.folder / f"latents-{start:05d}.safetensors"
            if not stage.done and not path.is_file():
                given = self.qualities[part], seeds[part], setting.sampler
                _reset_memory_peak()
                started = time.perf_counter()
                z = generator.latents(*given).half().cpu()
                _save(path, time.perf_counter() - started, z=z, peak=memory()[1])
            bar.advance(setting.sampler.evaluations * len(seeds[part]), setting.name)
        found = self._features(generator, stage)
        if not stage.done:
            batches, count = _batches(stage), len(seeds)
            stage.finish(
                sampling=sum(batch["seconds"].item() for batch in batches) / count,
                decoding=found["seconds"].item() / count,
                memory=max(batch["peak"].item() for batch in batches),
            )
        return SampledSet(setting, found["f"].double().numpy(), **stage.results)

    def _features(self, generator: SkullGenerator, stage: Stage) -> dict[str, Tensor]:
        """Features "f" (n, d) of the decoded latents, and "seconds" of decoding.

        Of the volumes as a data set holds them, as those of the held-out skulls are.
        """
        weights = self.network.state_dict().values()
        content = b"stored" + b"".join(w.cpu().numpy().tobytes() for w in weights)
        key = hashlib.sha256(content).hexdigest()[:12]
        path = stage.folder / f"features-{key}.safetensors"
        if not path.is_file():
            to_device, found, seconds = generator.device.to_device, [], 0.0
            network = to_device(self.network).eval()
            for z in (batch["z"].float() for batch in _batches(stage)):
                started = time.perf_counter()
                v = torch.cat([generator.decode(to_device(one[None])) for one in z])
                seconds += time.perf_counter() - started
                held = torch.from_numpy(stored(v.numpy(), generator.grid))
                with torch.no_grad():
                    v = to_device(as_input(held))
                    found.append(network.features(v).float().cpu())
            _save(path, seconds, f=torch.cat(found))
        return _read(path)


def _batches(stage: Stage) -> list[dict[str, Tensor]]:
    """Latents "z" of each batch, and the "seconds" and "peak" memory they took."""
    return [_read(path) for path in sorted(stage.folder.glob("latents-*"))]


def _save(path: Path, seconds: float, **values: Tensor | int) -> None:
    content = {k: torch.as_tensor(v).contiguous() for k, v in values.items()}
    with replacing(path) as temporary:
        save_file({**content, "seconds": torch.tensor(seconds).double()}, temporary)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise SkfmError(
            f"{path} cannot be read ({error})", "a safetensors file", f"rm {path}"
        ) from error


def _reset_memory_peak() -> None:
    """Count the peak of memory from here on, where the system allows it."""
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):  # not Linux: the peak of the process's life
        CLEAR_REFS.write_text("5", encoding="ascii")
