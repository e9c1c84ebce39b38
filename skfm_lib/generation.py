"""New skulls: from a seed and a quality score to a volume, and sets of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from skfm_lib import presets, samplers
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import Skull, claim, proportional, write_manifest
from skfm_lib.data.voxels import Grid, skull_grid, surface
from skfm_lib.losses import shortcut
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.study import Study, stage_names
from skfm_lib.training.checkpoints import load_weights
from skfm_lib.training.denoiser import OBJECTIVES, WEIGHTS
from skfm_lib.training.latents import LatentScale
from skfm_lib.training.vqvae import load_vqvae
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import Progress
from skfm_lib.utils.seeding import noise, seed_of

STAGES = {name: objective.stage for name, objective in OBJECTIVES.items()}
STAGES["shortcut"] = stage_names.FEW_STEPS
SAMPLERS = {
    "otfm": ("euler", "midpoint", "heun"),
    "ddpm": ("ancestral", "ddim"),
    "shortcut": ("shortcut",),
}
LEAPS = tuple(2**k for k in range(shortcut.HALVINGS + 1))  # of a shortcut model
FEW_STEPS = 4  # S of a shortcut model, unless told otherwise
COSTS = {"midpoint": 2, "heun": 2}  # evaluations a step; all others take one


@dataclass(frozen=True)
class Sampler:
    """How to go from noise to data.

    method    of `SAMPLERS`; the first of each is the paper's
    steps     S; for the shortcut model a power of two
    guidance  1: the conditional model; above 1, away from the unconditional one
    shift     of the flow solvers' grid of times; 1 is uniform
    """

    method: str
    steps: int
    guidance: float = 1.0
    shift: float = 1.0

    @property
    def evaluations(self) -> int:
        """How often the network is asked for one skull."""
        return self.steps * COSTS.get(self.method, 1) * (1 if self.guidance == 1 else 2)

    def as_dict(self) -> dict[str, object]:
        """Plain values, for records; that a grid is uniform goes without saying."""
        return {k: v for k, v in vars(self).items() if k != "shift" or v != 1}


@dataclass(frozen=True)
class SkullGenerator:
    """A trained denoiser with the autoencoder it was trained for."""

    objective: str
    network: UNet3D
    vqvae: VQVAE
    scale: LatentScale
    device: Device
    label_dropout: float = 0.0

    @property
    def grid(self) -> Grid:
        """Where the generated volumes lie."""
        return skull_grid(self.vqvae.settings.output_shape)

    @torch.no_grad()
    def latents(
        self, qualities: Sequence[int], seeds: Sequence[int], sampler: Sampler
    ) -> Tensor:
        """z (b, k, d, h, w): one sample per (quality, seed), noise from the seed."""
        self.check(sampler)
        settings = self.vqvae.settings
        shape = (settings.code_dim, *settings.latent_shape)
        z = self.device.to_device(noise(shape, "start", samples=list(seeds)))
        field = self._field(torch.tensor(qualities), sampler.guidance)
        method = getattr(samplers, sampler.method)
        if self.objective == "otfm":
            x = method(field, z, sampler.steps, shift=sampler.shift)
        elif sampler.method == "ancestral":
            x = method(field, z, sampler.steps, self.scale.bounds, _fresh(shape, seeds))
        elif sampler.method == "ddim":
            x = method(field, z, sampler.steps, self.scale.bounds)
        else:
            x = method(field, z, sampler.steps)
        return self.scale.restore(x)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """v* (b, 1, D, H, W) on the CPU of latents, quantised first; surface at 0."""
        with self.device.autocast():
            q, _ = self.vqvae.quantize(latents)
            return self.vqvae.decode(q).cpu()

    def _field(self, quality: Tensor, guidance: float) -> Callable[..., Tensor]:
        def conditional(z: Tensor, t: float, *step: float) -> Tensor:
            with self.device.autocast():
                return self.network(z, t, quality, *step)

        def guided(z: Tensor, t: float) -> Tensor:
            with self.device.autocast():
                free = self.network(z, t, presets.NO_LABEL)
            return free + guidance * (conditional(z, t) - free)

        return conditional if guidance == 1 else guided

    def check(self, sampler: Sampler) -> None:
        """Raise SkfmError for a sampler that does not go with this model."""
        allowed = SAMPLERS[self.objective]
        if sampler.method not in allowed:
            found = f"sampler {sampler.method!r} for {self.objective}"
            raise SkfmError(found, " or ".join(allowed))
        if self.objective == "shortcut" and sampler.steps not in LEAPS:
            raise SkfmError(f"{sampler.steps} shortcut steps", f"one of {LEAPS}")
        if sampler.shift != 1 and self.objective != "otfm":
            found = f"time shift {sampler.shift} with the sampler {sampler.method}"
            raise SkfmError(found, "1; only the flow's solvers have a grid to shift")
        if sampler.guidance != 1 and self.label_dropout == 0:
            raise SkfmError(
                f"guidance {sampler.guidance} with a model trained on every label",
                "guidance 1",
                "train OTFM or DDPM with -p label_dropout 0.1 for guided sampling",
            )


def load_generator(study: Study, objective: str) -> SkullGenerator:
    """The generator that a study trained by `objective`, of `STAGES`."""
    if objective not in STAGES:
        raise SkfmError(f"model {objective!r}", " or ".join(STAGES))
    stage, device = study.finished(STAGES[objective]), pick_device()
    settings = study.settings.denoiser.but(**stage.settings["denoiser"])
    network = UNet3D(settings, leaps=objective == "shortcut")
    about = load_weights(network, stage.folder / WEIGHTS)
    return SkullGenerator(
        objective,
        device.to_device(network).eval(),
        load_vqvae(study, device),
        LatentScale.from_dict(about["scale"]),
        device,
        settings.label_dropout,
    )


def mix_of(counts: dict[int, int], total: int) -> list[int]:
    """`total` quality scores in the proportions of `counts`, in ascending order."""
    shares = proportional(counts, total)
    return [quality for quality, n in shares.items() for _ in range(n)]


def generate_skulls(
    generator: SkullGenerator,
    folder: Path,
    qualities: Sequence[int],
    seed: int,
    sampler: Sampler,
    batch: int,
    mesh: str | None = None,
) -> list[Skull]:
    """Write a synthetic data set: one skull per quality score, each of its own seed.

    folder  gets ``volumes/NAME.nii.gz`` and a manifest, as any data set; with `mesh`
            ("ply" or "stl") also ``meshes/NAME.ply``, in RAS mm
    seed    the i-th skull's own seed comes from (seed, i), whatever the model: OTFM
            and DDPM start from the same noise

    Skulls already there are kept; batches are always the same, so that a resumed
    set equals an uninterrupted one.
    """
    generator.check(sampler)  # before the folder is claimed
    settings = generator.vqvae.settings
    what = {"seed": seed, "shape": list(settings.output_shape), **sampler.as_dict()}
    claim(folder, {"made from": generator.objective, **what})
    seeds = [seed_of(seed, "sample", index) for index in range(len(qualities))]
    skulls = _rows(generator, qualities, seeds, sampler)
    with Progress(f"Generating by {generator.objective}", len(skulls)) as bar:
        for start in range(0, len(skulls), batch):
            part = skulls[start : start + batch]
            if not all(
                path.is_file() for s in part for path in _files(folder, s, mesh)
            ):
                z = generator.latents(
                    [s.quality for s in part], seeds[start : start + batch], sampler
                )
                _write(generator, z, part, folder, mesh)
            bar.advance(len(part))
    write_manifest(folder, skulls)
    return skulls


def _rows(
    generator: SkullGenerator,
    qualities: Sequence[int],
    seeds: Sequence[int],
    sampler: Sampler,
) -> list[Skull]:
    """The manifest of a synthetic set; skulls are counted within their score."""
    spacing = round(generator.grid.spacing, 6)
    source = f"{generator.objective}, {sampler.steps} {sampler.method} steps, seed"
    counted, skulls = Counter(), []
    for quality, seed in zip(qualities, seeds):
        counted[quality] += 1
        name = f"{generator.objective}-qs{quality}-{counted[quality]:04d}"
        file = f"volumes/{name}.nii.gz"
        skulls.append(Skull(name, "train", quality, file, f"{source} {seed}", spacing))
    return skulls


def _files(folder: Path, skull: Skull, mesh: str | None) -> list[Path]:
    """What is written for one skull."""
    meshes = [folder / "meshes" / f"{skull.name}.{mesh}"] if mesh else []
    return [folder / skull.file, *meshes]


def _write(
    generator: SkullGenerator,
    z: Tensor,
    skulls: Sequence[Skull],
    folder: Path,
    mesh: str | None,
) -> None:
    """Decode latents one by one and write what they show."""
    grid = generator.grid
    for skull, latent in zip(skulls, z):
        v = generator.decode(latent[None])[0, 0].numpy()
        volume, *meshes = _files(folder, skull, mesh)
        for path in meshes if v.max() > 0 else ():  # an empty volume has no surface
            write_mesh(path, surface(v, grid, 0.0))
        write_volume(volume, v > 0, grid)


def _fresh(shape: tuple[int, ...], seeds: Sequence[int]) -> Callable[[int], Tensor]:
    """Fresh noise for step i, per sample from its own seed."""
    return lambda i: noise(shape, "fresh", i, samples=list(seeds))
