"""A trained model as a generator of skulls: seeds and quality scores → volumes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skfm_lib import presets, samplers
from skfm_lib.data.field_of_view import Asked, FieldsOfView
from skfm_lib.data.voxels import Grid, mirrored, skull_grid
from skfm_lib.losses import ddpm, shortcut
from skfm_lib.models import VQVAE, LinearShapeModel, UNet3D
from skfm_lib.samplers import Sampler
from skfm_lib.training.denoiser import OBJECTIVES
from skfm_lib.training.latents import LatentScale
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import noise

SHORTCUT_STEPS = tuple(2**k for k in range(shortcut.HALVINGS + 1))


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
    start: float = 1.0  # the time at which it begins; 0: the linear model alone
    guide: UNet3D | None = None  # a worse network of the same data, for autoguidance

    @property
    def grid(self) -> Grid:
        """The voxel grid of the generated volumes, in mm."""
        return skull_grid(self.vqvae.settings.output_shape)

    @property
    def prediction(self) -> str:
        """What the network of a diffusion model predicts; "" for the others."""
        model = OBJECTIVES.get(self.objective)
        return model.prediction if model else ""

    @property
    def is_flow(self) -> bool:
        """Whether the network predicts the velocity at (z, t)."""
        return self.objective in OBJECTIVES and not self.prediction

    @property
    def takes_steps(self) -> bool:
        """Whether the network predicts the velocity for a step, at (z, t, d)."""
        return self.objective == "shortcut"

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
            if self.start == 0:
                return self.scale.restore(drawn)
            z = (1 - self.start) * drawn + self.start * z
        field = self.field(quality, sampler.guidance, fields)
        if not self.prediction:
            return self.scale.restore(self._follow(field, z, sampler))

        def fresh(step: int) -> Tensor:
            eps = noise(shape, "fresh", step, samples=samples)
            return self.device.to_device(eps)

        options: dict[str, Any] = {
            "clip": self.scale.bounds,
            "prediction": self.prediction,
            "timesteps": self.timesteps,
            "start": sampler.start,
        }
        if sampler.method == "ancestral":
            options["fresh"] = fresh
        solve = getattr(samplers, sampler.method)
        return self.scale.restore(solve(field, z, sampler.steps, **options))

    def _follow(
        self, velocity: Callable[..., Tensor], z: Tensor, sampler: Sampler
    ) -> Tensor:
        """Solve the flow from its start to 0, by way of `Sampler.symmetric`.

        There, the predicted data x̂_0 of the state z = (1 − t) x̂_0 + t ε̂ are made
        symmetric, and ε̂ is kept.
        """
        solve, steps = getattr(samplers, sampler.method), sampler.steps
        shift, begin, t = sampler.shift, self.start, self.symmetric_time(sampler)
        if not t:
            return solve(velocity, z, steps, shift=shift, start=begin)
        before = min(max(1, round(steps * (1 - t / begin))), steps - 1)
        z = solve(velocity, z, before, shift=shift, start=begin, end=t)
        once = samplers.shortcut if self.takes_steps else samplers.euler
        x_0 = once(velocity, z, 1, start=t)
        z = z + (1 - t) * (self.symmetric(x_0) - x_0)
        return solve(velocity, z, steps - before, start=t)

    def symmetric_time(self, sampler: Sampler) -> float:
        """The time of `Sampler.symmetric`, for the shortcut model the nearest it has.

        It has to be one of the sampler's times, and a step size from which the model
        reaches t = 0 at once: a half of the start, a quarter, … down to a step.
        """
        if not (sampler.symmetric and self.takes_steps):
            return sampler.symmetric
        times = [self.start / n for n in SHORTCUT_STEPS[1:] if n <= sampler.steps]
        return min(times, key=lambda t: abs(t - sampler.symmetric))

    @torch.no_grad()
    def symmetric(self, x_0: Tensor) -> Tensor:
        """The normalised latents x_0 of skulls, averaged with their mirror images.

        They are decoded, averaged with the mirrored volume and encoded: a mirrored
        skull's latent is not the mirrored latent, since grids are padded on one side.
        """
        v = self.decode(self.scale.restore(x_0)).numpy()
        other = [mirrored(one[0], self.grid)[None] for one in v]
        means = torch.from_numpy((v + np.stack(other)) / 2)
        found = []
        for part in means.split(self.vqvae.at_once):
            with self.device.autocast():
                found.append(self.vqvae.encode(self.device.to_device(part)).float())
        return self.scale.normalise(torch.cat(found))

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
                "--model ours, or skfm train 03 -p field_of_view true",
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
        if self.takes_steps and steps not in SHORTCUT_STEPS:
            raise SkfmError(f"{steps} shortcut steps", f"one of {SHORTCUT_STEPS}")
        most = round(self.timesteps * sampler.start)
        if self.prediction and steps > most:
            raise SkfmError(f"{steps} diffusion steps", f"1 to {most}")
        if sampler.start != 1 and not self.prediction:
            found = f"start {sampler.start} with the sampler {sampler.method}"
            raise SkfmError(found, "1; only diffusion can start at another time")
        if sampler.shift != 1 and not self.is_flow:
            found = f"time shift {sampler.shift} with the sampler {sampler.method}"
            raise SkfmError(found, "1; only the time grid of a flow can be shifted")
        if sampler.symmetric and (self.prediction or sampler.symmetric >= self.start):
            found = f"symmetric {sampler.symmetric:g} with {self.objective}"
            expected = "0" if self.prediction else f"a time below {self.start:g}"
            raise SkfmError(found, expected)
        if self.guide:
            self._check_guide(self.guide)
        elif sampler.guidance != 1 and self.label_dropout == 0:
            raise SkfmError(
                f"guidance {sampler.guidance} with a model trained on every label",
                "guidance 1",
                "train the model with -p label_dropout 0.1 for guided sampling",
            )

    def _check_guide(self, guide: UNet3D) -> None:
        """Raise SkfmError for a network that is no guide of this one."""
        if not self.prediction and not self.is_flow:
            raise SkfmError(f"a guide of {self.objective}", "no guide")
        sees, other = (
            one.condition.heights is not None for one in (self.network, guide)
        )
        if sees != other:
            words = {True: "with", False: "without"}
            found = f"a guide {words[other]} the condition on the field of view"
            raise SkfmError(
                found, f"one {words[sees]} it, as the network that it guides"
            )

    def field(
        self, quality: Tensor, guidance: float, fields: Tensor | None = None
    ) -> Callable[..., Tensor]:
        """The network as a function of (z, t), or (z, t, d) for the shortcut model.

        With `guidance` w other than 1 it is v' + w (v − v'), where v' is the prediction
        of the `guide` (autoguidance, Karras et al. 2024), or without one that of the
        network without a label (Ho & Salimans 2021).  `fields` are the fields of view
        of a model that is conditioned on them, with and without guidance.
        """
        seen = {} if fields is None else {"field_of_view": fields}

        def conditional(z: Tensor, t: float, *step: float) -> Tensor:
            with self.device.autocast():
                return self.network(z, t, quality, *step, **seen)

        def guided(z: Tensor, t: float) -> Tensor:
            with self.device.autocast():
                if self.guide:
                    other = self.guide(z, t, quality, **seen)
                else:
                    other = self.network(z, t, presets.NO_LABEL, **seen)
            return other + guidance * (conditional(z, t) - other)

        return conditional if guidance == 1 else guided
