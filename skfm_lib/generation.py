"""Generate skulls from seeds and quality scores: volumes, and data sets of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from skfm_lib import presets, samplers
from skfm_lib.data.bone_fractions import skull_surface, stored
from skfm_lib.data.field_of_view import Asked, FieldOfView, FieldsOfView
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import (
    Skull,
    claim,
    proportional,
    read_manifest,
    write_manifest,
)
from skfm_lib.data.voxels import Grid, skull_grid
from skfm_lib.losses import ddpm, shortcut
from skfm_lib.models import VQVAE, LinearShapeModel, UNet3D
from skfm_lib.samplers import Sampler
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.checkpoints import load_weights
from skfm_lib.training.denoiser import OBJECTIVES, OTFM, WEIGHTS, load_linear
from skfm_lib.training.latents import LatentScale
from skfm_lib.training.vqvae import load_vqvae
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import Progress
from skfm_lib.utils.seeding import noise, seed_of

STAGES = {name: objective.stage for name, objective in OBJECTIVES.items()}
STAGES["shortcut"] = stage_names.FEW_STEPS
LABELS = {name: objective.label for name, objective in OBJECTIVES.items()}
LABELS["shortcut"] = "shortcut"  # of every model, for tables and figures
SHORTCUT_STEPS = tuple(2**k for k in range(shortcut.HALVINGS + 1))
FEW_STEPS = 4  # default steps of a shortcut model
VOLUME = "volumes/{}.nii.gz"  # by the name of a skull


@dataclass(frozen=True)
class SkullGenerator:
    """A trained denoiser with the autoencoder that it was trained for."""

    objective: str
    network: UNet3D
    vqvae: VQVAE
    scale: LatentScale
    device: Device
    label_dropout: float = 0.0
    trained: str = ""  # fingerprint of the stage that trained the network
    timesteps: int = ddpm.TIMESTEPS  # T of a diffusion model
    fields: FieldsOfView | None = None  # of the training set; None: no condition
    linear: LinearShapeModel | None = None  # whose skulls the flow begins with
    start: float = 1.0  # the time at which it begins

    @property
    def grid(self) -> Grid:
        """The voxel grid of the generated volumes, in mm."""
        return skull_grid(self.vqvae.settings.output_shape)

    @property
    def prediction(self) -> str:
        """What the network of a diffusion model predicts; "" for the others."""
        model = OBJECTIVES.get(self.objective)
        return model.prediction if model else ""

    @torch.no_grad()
    def latents(
        self,
        qualities: Sequence[int],
        seeds: Sequence[int],
        sampler: Sampler,
        field_of_view: Asked | None = None,
    ) -> Tensor:
        """z (b, k, d, h, w): one sample per (quality, seed), noise from the seed.

        `field_of_view` is that of all samples; see `fields_of_view`.
        """
        self.check(sampler)
        fields = self.fields_of_view(qualities, seeds, field_of_view)
        settings = self.vqvae.settings
        shape, samples = (settings.code_dim, *settings.latent_shape), list(seeds)
        z = self.device.to_device(noise(shape, "start", samples=samples))
        quality = torch.tensor(qualities)
        if self.linear:
            eps = self.device.to_device(noise(shape, "linear", samples=samples))
            drawn = self.linear.draw(eps, quality, fields)
            z = (1 - self.start) * drawn + self.start * z
        field = self.field(quality, sampler.guidance, fields)
        solve = partial(getattr(samplers, sampler.method), field, z, sampler.steps)

        def fresh(step: int) -> Tensor:
            eps = noise(shape, "fresh", step, samples=samples)
            return self.device.to_device(eps)

        options: dict[str, Any] = {}
        if self.prediction:
            options = {"clip": self.scale.bounds, "prediction": self.prediction}
            options |= {"timesteps": self.timesteps, "start": sampler.start}
        if sampler.method == "ancestral":
            options["fresh"] = fresh
        if self.objective == "otfm":
            options |= {"shift": sampler.shift, "start": self.start}
        return self.scale.restore(solve(**options))

    def fields_of_view(
        self,
        qualities: Sequence[int],
        seeds: Sequence[int],
        asked: Asked | None = None,
    ) -> Tensor | None:
        """(n, 2), mm: the fields of view of samples; None without this condition.

        By default drawn from those of the training skulls of the same score, by the
        seed of the sample; `asked`, and the errors, as for `FieldsOfView.draw`.

        Raises:
            SkfmError: where one is asked of a model that is not conditioned on it.
        """
        if self.fields is not None:
            pairs = zip(qualities, seeds)
            drawn = [self.fields.draw(*pair, asked) for pair in pairs]
            return torch.tensor(drawn, dtype=torch.float32)
        if asked is not None:
            raise SkfmError(
                f"a field of view asked of {self.objective}",
                "a model that was trained with this condition",
                "skfm train 03 -p field_of_view true",
            )
        return None

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Quantise and decode latents: v* (b, 1, D, H, W) on the CPU, surface at 0.

        Some at a time (`VQVAE.at_once`), at the paper's size one.
        """
        found = []
        for part in latents.split(self.vqvae.at_once):
            with self.device.autocast():
                q, _ = self.vqvae.quantize(part)
                found.append(self.vqvae.decode(q).cpu())
        return torch.cat(found)

    def check(self, sampler: Sampler) -> None:
        """Raise SkfmError for a sampler that this model cannot use."""
        allowed = samplers.METHODS[self.objective]
        if sampler.method not in allowed:
            found = f"sampler {sampler.method!r} for {self.objective}"
            raise SkfmError(found, " or ".join(allowed))
        steps = sampler.steps
        if self.objective == "shortcut" and steps not in SHORTCUT_STEPS:
            raise SkfmError(f"{steps} shortcut steps", f"one of {SHORTCUT_STEPS}")
        most = round(self.timesteps * sampler.start)
        if self.prediction and steps > most:
            raise SkfmError(f"{steps} diffusion steps", f"1 to {most}")
        if sampler.start != 1 and not self.prediction:
            found = f"start {sampler.start} with the sampler {sampler.method}"
            raise SkfmError(found, "1; only diffusion can start at another time")
        if sampler.shift != 1 and self.objective != "otfm":
            found = f"time shift {sampler.shift} with the sampler {sampler.method}"
            raise SkfmError(found, "1; only the time grid of OTFM can be shifted")
        if sampler.guidance != 1 and self.label_dropout == 0:
            raise SkfmError(
                f"guidance {sampler.guidance} with a model trained on every label",
                "guidance 1",
                "train OTFM or DDPM with -p label_dropout 0.1 for guided sampling",
            )

    def field(
        self, quality: Tensor, guidance: float, fields: Tensor | None = None
    ) -> Callable[..., Tensor]:
        """The network as a function of (z, t), or (z, t, d) for the shortcut model.

        `fields` are the fields of view of a model that is conditioned on them, with and
        without guidance.
        """
        seen = {} if fields is None else {"field_of_view": fields}

        def conditional(z: Tensor, t: float, *step: float) -> Tensor:
            with self.device.autocast():
                return self.network(z, t, quality, *step, **seen)

        def guided(z: Tensor, t: float) -> Tensor:
            with self.device.autocast():
                free = self.network(z, t, presets.NO_LABEL, **seen)
            return free + guidance * (conditional(z, t) - free)

        return conditional if guidance == 1 else guided


def load_generator(study: Study, objective: str) -> SkullGenerator:
    """The generator that a study trained by `objective`, one of `STAGES`."""
    if objective not in STAGES:
        raise SkfmError(f"model {objective!r}", " or ".join(STAGES))
    return generator_of(study.finished(STAGES[objective]), objective)


def generator_of(stage: Stage, objective: str, file: str = WEIGHTS) -> SkullGenerator:
    """The generator whose network's weights are in a `file` of a training's folder."""
    device, study = pick_device(), stage.study
    settings = study.settings.denoiser.but(**stage.settings["denoiser"])
    network = UNet3D(settings, leaps=objective == "shortcut")
    known = ("fields_of_view",) if settings.field_of_view else ()
    about = load_weights(network, stage.folder / file, "scale", *known)
    fields = FieldsOfView.from_dict(about["fields_of_view"]) if known else None
    linear = None
    if settings.components and objective == OTFM.name:
        linear = load_linear(stage, settings, study.settings.vqvae)
    return SkullGenerator(
        objective,
        device.to_device(network).eval(),
        load_vqvae(study, device),
        LatentScale.from_dict(about["scale"]),
        device,
        settings.label_dropout,
        stage.fingerprint,
        settings.timesteps,
        fields,
        device.to_device(linear) if linear else None,
        settings.start,
    )


def trained_models(study: Study, *models: str) -> list[str]:
    """Those of the `models`, by default of all, that a study has finished."""
    return [m for m in models or STAGES if study.is_finished(STAGES[m])]


def mix_of(counts: dict[int, int], total: int) -> list[int]:
    """`total` quality scores in the proportions of `counts`, in ascending order.

    >>> mix_of({3: 20, 5: 10}, 3)
    [3, 3, 5]
    """
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
    field_of_view: Asked | None = None,
) -> list[Skull]:
    """Write a synthetic data set: one skull for each quality score, at least one.

    Existing skulls are kept.  Batches do not depend on them, so that a resumed set
    equals an uninterrupted one.

    Args:
        generator: the trained model.
        folder: for ``volumes/NAME.nii.gz`` and a manifest.
        qualities: the scores of the skulls.
        seed: the i-th skull depends on (seed, i); all models start from the same noise.
        sampler: checked before anything is written.
        batch: latents sampled at a time.
        mesh: "ply" or "stl" to write also ``meshes/NAME.ply``, in RAS mm.
        field_of_view: of all skulls; see `SkullGenerator.fields_of_view`.
    """
    generator.check(sampler)
    if not len(qualities):
        raise SkfmError("0 skulls", "at least one quality score", "--count 1")
    settings = generator.vqvae.settings
    what = {"seed": seed, "shape": list(settings.output_shape), **sampler.as_dict()}
    model = {"made from": generator.objective, "trained": generator.trained}
    if field_of_view:
        plain = isinstance(field_of_view, str)
        what["field of view"] = field_of_view if plain else list(field_of_view)
    seeds = [seed_of(seed, "sample", index) for index in range(len(qualities))]
    fields = generator.fields_of_view(qualities, seeds, field_of_view)
    claim(folder, {**model, **what})
    skulls = _rows(generator, qualities, seeds, sampler, fields)
    _check_kept(folder, skulls)
    kinds = [VOLUME, f"meshes/{{}}.{mesh}"] if mesh else [VOLUME]
    with Progress(f"Generating by {generator.objective}", len(skulls)) as bar:
        for start in range(0, len(skulls), batch):
            part = slice(start, start + batch)
            files = [[folder / k.format(s.name) for k in kinds] for s in skulls[part]]
            if not all(path.is_file() for paths in files for path in paths):
                given = qualities[part], seeds[part], sampler, field_of_view
                z = generator.latents(*given)
                for latent, paths in zip(z, files):
                    _write(generator, latent, *paths)
            bar.advance(len(files))
    write_manifest(folder, skulls)
    return skulls


def _rows(
    generator: SkullGenerator,
    qualities: Sequence[int],
    seeds: Sequence[int],
    sampler: Sampler,
    fields: Tensor | None,
) -> list[Skull]:
    """The manifest of a synthetic set; skulls are numbered within their score."""
    model, spacing = generator.objective, round(generator.grid.spacing, 6)
    counted: Counter[int] = Counter()
    skulls = []
    for index, (quality, seed) in enumerate(zip(qualities, seeds)):
        counted[quality] += 1
        name = f"{model}-qs{quality}-{counted[quality]:04d}"
        source = f"{model}, {sampler.steps} {sampler.method} steps, seed {seed}"
        if fields is not None:
            source += f", field of view {FieldOfView(*fields[index].tolist())}"
        file = VOLUME.format(name)
        skulls.append(Skull(name, "train", quality, file, source, spacing))
    return skulls


def _check_kept(folder: Path, skulls: list[Skull]) -> None:
    """SkfmError if `folder` has skulls that a set of `skulls` would not list."""
    former = read_manifest(folder) if (folder / "manifest.csv").is_file() else []
    if lost := {skull.name for skull in former} - {skull.name for skull in skulls}:
        raise SkfmError(
            f"{folder} holds {len(lost)} other skulls, such as {min(lost)}",
            "a new folder, or a larger set of the same scores",
            "name another folder",
        )


def _write(
    generator: SkullGenerator, latent: Tensor, volume: Path, *meshes: Path
) -> None:
    """Decode one latent and write its volume and meshes."""
    v = generator.decode(latent[None])[0, 0].numpy()
    for path in meshes if v.max() > 0 else ():  # an empty volume has no surface
        write_mesh(path, skull_surface(v, generator.grid))
    write_volume(volume, stored(v, generator.grid), generator.grid)
