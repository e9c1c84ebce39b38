"""What chapter 14 trains: a model with canaries, and shadow models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from skfm_lib.evaluation.privacy.canaries import choose_canaries, repeated
from skfm_lib.evaluation.privacy.shadow_models import halves
from skfm_lib.evaluation.privacy.spaces import Vectors, distances
from skfm_lib.evaluation.privacy.trainings import PartTraining
from skfm_lib.evaluation.share_command import values_of
from skfm_lib.study import Study
from skfm_lib.training.latents import LatentSet, load_latents

DEFAULTS: dict[str, tuple[str, Any]] = {  # type, and the chapter's default
    "shadows": ("int", 8),
    "shadow_steps": ("int", None),
    "canary_steps": ("int", None),
    "doses": ("list[int]", [0, 1, 10, 50]),
    "times": ("int", 5),
}


@dataclass(frozen=True)
class Plan:
    """What the chapter trains.

    Attributes:
        study: the run, from whose seed all others follow.
        shadows: number of shadow models, in pairs of complementary halves.
        shadow_steps: of each; None is half of the preset's.
        canary_steps: of the model with canaries; None are the preset's.
        doses: of the canaries, how often they are in the training set.
        times: at which losses are taken, from 0.1 to 0.9 of a model's path.
    """

    study: Study
    shadows: int
    shadow_steps: int | None
    canary_steps: int | None
    doses: Sequence[int]
    times: int

    @cached_property
    def latents(self) -> LatentSet:
        """Those of the training set."""
        return load_latents(self.study)

    @property
    def path_times(self) -> list[float]:
        """Shares of the time at which a flow begins."""
        return np.linspace(0.1, 0.9, self.times).tolist()

    @cached_property
    def member(self) -> np.ndarray:
        """Which training skulls train which shadow models, bool (N, M)."""
        return halves(self.latents.qualities, self.shadows, self.study.seed)

    @cached_property
    def canaries(self) -> dict[int, list[int]]:
        """Dose → items of the training set; unusual is what has no near latents."""
        scores = self.latents.qualities
        rows = Vectors(np.array(scores), lambda i: self.latents[i][0].flatten())
        among = distances(rows, rows)
        np.fill_diagonal(among, np.inf)
        given = among.min(axis=1), self.doses, self.study.seed
        return choose_canaries(scores, *given)

    @property
    def with_canaries(self) -> PartTraining:
        """The training with canaries."""
        own = self.study.settings.ours.steps
        steps = own if self.canary_steps is None else self.canary_steps
        items = repeated(len(self.latents), self.canaries)
        return PartTraining(self.study, "canaries", tuple(items), steps)

    @property
    def shadow_models(self) -> list[PartTraining]:
        """Their trainings, each with a seed of its own, in the columns' order."""
        own = self.study.settings.ours.steps // 2
        steps = max(1, own) if self.shadow_steps is None else self.shadow_steps
        return [
            PartTraining(
                replace(self.study, seed=self.study.seed + 1 + model),
                f"shadow-{model + 1}",
                tuple(np.flatnonzero(column).tolist()),
                steps,
            )
            for model, column in enumerate(self.member.T)
        ]

    @property
    def trainings(self) -> list[PartTraining]:
        """All trainings, the longest first."""
        return [self.with_canaries, *self.shadow_models]

    def shadow_losses(self) -> np.ndarray:
        """The losses (N, M) of the finished shadow models on all training skulls."""
        models = self.shadow_models
        each = [one.losses(self.latents, self.path_times) for one in models]
        return np.stack(each, axis=1)


def plan_of(study: Study, given: Mapping[str, object]) -> Plan:
    """The chapter's plan with the parameters `given`, and the defaults of the others.

    Raises:
        SkfmError: for an unknown parameter, and a value of another type.
    """
    return Plan(study, **values_of(given, DEFAULTS))
