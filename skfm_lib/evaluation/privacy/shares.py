"""The trainings of chapter 14 in one process, or in two at the same time."""

import json

from skfm_lib.evaluation.privacy.plan import DEFAULTS, Plan
from skfm_lib.evaluation.share_command import train_side_by_side
from skfm_lib.training.latents import latent_scale
from skfm_lib.training.vqvae import load_vqvae
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError

MODULE = "skfm_lib.evaluation.privacy"


def train_share(plan: Plan, index: int = 1, count: int = 1) -> None:
    """Train share `index` of `count` (1 … count) of the plan.

    Afterwards the losses of the shadow models are taken, and the skulls of the model
    with canaries generated.  What is finished is kept, and what was interrupted
    resumes.  The shares do not depend on what is finished, so that processes of
    different shares never meet.

    Raises:
        SkfmError: for a share outside 1 … count.
    """
    if not 1 <= index <= count:
        raise SkfmError(f"share {index} of {count}", f"1 to {count}", "such as 1/2")
    device, study = pick_device(), plan.study
    kind = study.settings.ours.normalise
    scale = latent_scale(kind, load_vqvae(study, device), plan.latents)
    for training in plan.trainings[index - 1 :: count]:
        training.train(plan.latents, scale, device)
        if training == plan.with_canaries:
            training.generated(study.settings.sampling.count, study.seed)
        else:
            training.losses(plan.latents, plan.path_times)


def train_all(plan: Plan) -> None:
    """Train the whole plan, two trainings at a time.

    On a GPU, and where there is only one core, one after the other; errors as for
    `train_side_by_side`.
    """
    missing = sum(not training.stage.done for training in plan.trainings)
    train_side_by_side(MODULE, as_words(plan), missing)
    train_share(plan)


def as_words(plan: Plan) -> list[str]:
    """The options of the command line that stand for a plan."""
    study = plan.study
    words = ["--preset", study.settings.name, "--run", study.name]
    words += ["--seed", str(study.seed)]
    for name in DEFAULTS:
        if (value := getattr(plan, name)) is not None:
            words += ["-p", name, json.dumps(value)]
    return words
