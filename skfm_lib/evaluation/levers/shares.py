"""The trainings of the chapter in one process, or in two at the same time."""

import json

from skfm_lib.evaluation.levers.plan import Plan
from skfm_lib.evaluation.share_command import train_side_by_side
from skfm_lib.training.latents import latent_scale, load_latents
from skfm_lib.training.vqvae import load_vqvae
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError

MODULE = "skfm_lib.evaluation.levers"


def train_share(plan: Plan, index: int = 1, count: int = 1) -> None:
    """Train share `index` of `count` (1 … count) of the plan, and generate its skulls.

    What is finished is kept, and what was interrupted resumes.  The shares do not
    depend on what is finished, so that processes of different shares never meet.

    Raises:
        SkfmError: for a share outside 1 … count.
    """
    if not 1 <= index <= count:
        raise SkfmError(f"share {index} of {count}", f"1 to {count}", "such as 1/2")
    device, qualities = pick_device(), plan.qualities
    latents = load_latents(plan.study)
    autoencoder = load_vqvae(plan.study, device)
    kind = plan.study.settings.denoiser.normalise
    scale = latent_scale(kind, autoencoder, latents)
    for training in plan.trainings()[index - 1 :: count]:
        training.train(latents, scale, device)
        for source in plan.sources():
            if source.training == training:
                source.prepare(qualities, plan.study.seed)


def train_all(plan: Plan) -> None:
    """Train the whole plan and generate its skulls, two trainings at a time.

    On a GPU, and where there is only one core, one after the other; errors as for
    `train_side_by_side`.
    """
    missing = sum(not training.stage.done for training in plan.trainings())
    train_side_by_side(MODULE, as_words(plan), missing)
    train_share(plan)


def as_words(plan: Plan) -> list[str]:
    """The options of the command line that stand for a plan."""
    study = plan.study
    words = ["--preset", study.settings.name, "--run", study.name]
    words += ["--seed", str(study.seed)]
    given: dict[str, object] = {
        "steps": plan.steps,
        "seeds": list(plan.seeds),
        "best": list(plan.best),
    }
    given |= {"count": plan.count, "levers": plan.names and list(plan.names)}
    given |= {"full_steps": plan.full_steps}
    for name, value in given.items():
        words += ["-p", name, json.dumps(value)] if value is not None else []
    return words
