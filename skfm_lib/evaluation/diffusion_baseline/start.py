"""Diffusion samplers that start below t = 1, and that do not clamp x̂_0."""

from collections.abc import Sequence

import torch

from skfm_lib.evaluation.diffusion_baseline.trainings import Plan, Training
from skfm_lib.evaluation.held_out import HeldOut
from skfm_lib.generation import SkullGenerator
from skfm_lib.losses import ddpm
from skfm_lib.samplers import Sampler
from skfm_lib.utils.seeding import seed_of

SOME = 16  # skulls whose latents are measured
Rows = dict[str, dict[str, object]]


def start_table(
    trainings: Sequence[Training],
    plan: Plan,
    held_out: HeldOut,
    qualities: Sequence[int],
    seed: int,
) -> Rows:
    """Each training's skulls from every start of the plan, clamped and free.

    Columns: ``√ᾱ`` at the start, the `spread` of the latents, and those of
    `HeldOut.compare`.  Noise stands for the state at the start, whose part from the
    data, √ᾱ x_0, is left out: that error grows as τ falls.
    """
    rows: Rows = {}
    last, signal = max(plan.training_steps), ddpm.alpha_bar(plan.timesteps).sqrt()
    for one in trainings:
        for tau in sorted(plan.starts, reverse=True):
            sampler = one.sampler(plan.steps, tau / plan.timesteps)
            for clamp in (True, False):
                made = one.sample(last, sampler, qualities, seed, clamp)
                generator = one.generator(last, clamp)
                name = f"{one.name}, from τ = {tau}, {'clamped' if clamp else 'free'}"
                rows[name] = {
                    "√ᾱ": signal[tau].item(),
                    "spread": spread(generator, qualities, sampler, seed),
                    **held_out.compare(made, made.folder / "measures.npz"),
                }
    return rows


def spread(
    generator: SkullGenerator, qualities: Sequence[int], sampler: Sampler, seed: int
) -> float:
    """Root mean square of sampled latents on the network's scale; that of data is 1.

    They are those of about `SOME` of the skulls of `Training.sample`, spread over the
    quality scores.
    """
    chosen = range(len(qualities))[:: max(1, len(qualities) // SOME)]
    seeds = [seed_of(seed, "sample", index) for index in chosen]
    z = generator.latents([qualities[i] for i in chosen], seeds, sampler).cpu()
    x: torch.Tensor = generator.scale.normalise(z)
    return x.double().square().mean().sqrt().item()
