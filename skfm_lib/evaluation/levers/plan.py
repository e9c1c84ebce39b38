"""What the chapter trains and generates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from skfm_lib.evaluation.levers.models import BASES, Model, screened
from skfm_lib.evaluation.levers.table import OURS, levers
from skfm_lib.evaluation.levers.trainings import OTHER, Source, Training
from skfm_lib.generation import mix_of
from skfm_lib.study import Study
from skfm_lib.study.data_stage import counts, skulls
from skfm_lib.training.denoiser import WEIGHTS, weights_after
from skfm_lib.utils.errors import SkfmError

LINEAR = "linear model alone"


@dataclass(frozen=True)
class Plan:
    """What the chapter trains and generates.

    Attributes:
        study: the run, whose seed is that of the screening and of all noise.
        steps: of the trainings of the screening; None is half of the complete ones'.
        seeds: of the trainings that are complete.
        best: levers of ours that are taken away in complete trainings.
        count: skulls of each set.
        names: levers of the screening; None is all.
        full_steps: of the complete trainings; None are the preset's.

    Raises:
        SkfmError: for no seeds, and for a lever that does not exist, or that ours does
            not have.
    """

    study: Study
    steps: int | None
    seeds: Sequence[int]
    best: Sequence[str]
    count: int
    names: Sequence[str] | None = None
    full_steps: int | None = None

    def __post_init__(self) -> None:
        if not self.seeds:
            raise SkfmError("no seeds", "at least one")
        known = levers(self.study.settings)
        _check("levers", self.names or (), list(known))
        _check("best", self.best, OURS)

    @property
    def long_steps(self) -> int:
        """Steps of a complete training."""
        own = self.study.settings.denoiser.steps
        return own if self.full_steps is None else self.full_steps

    @property
    def short_steps(self) -> int:
        """Steps of a training of the screening."""
        return self.long_steps // 2 if self.steps is None else self.steps

    @property
    def qualities(self) -> list[int]:
        """The quality scores of every set: the mix of the training skulls."""
        return mix_of(counts(skulls(self.study, "train")), self.count)

    def screening(self, base: str) -> dict[Model, Source]:
        """The models around a base, from one seed and short trainings."""
        names = self.names or list(levers(self.study.settings))
        seed, steps = self.study.seed, self.short_steps
        return {
            model: self.source(model, seed, steps) for model in screened(base, names)
        }

    def linear(self) -> Source:
        """The linear shape model of ours, without its flow."""
        made = self.source(Model("ours"), self.study.seed, self.short_steps)
        return replace(made, sampler=replace(made.sampler, symmetric=0.0), linear=True)

    def complete(self) -> dict[tuple[Model, int], Source]:
        """(model, seed) → its skulls after the complete training."""
        models = [Model("otfm"), Model("ours"), *(Model("ours", n) for n in self.best)]
        return {
            (model, seed): self.source(model, seed, self.long_steps)
            for model in models
            for seed in self.seeds
        }

    def stopping(self) -> dict[tuple[int, int], Source]:
        """(first seed, step) → the skulls of ours from the weights after that step."""
        seed = self.seeds[0]
        last = self.source(Model("ours"), seed, self.long_steps)
        found = {
            (seed, step): replace(last, file=weights_after(step))
            for step in last.training.kept
        }
        return {**found, (seed, self.long_steps): last}

    def source(self, model: Model, seed: int, steps: int) -> Source:
        """A model's skulls after a training of so many steps."""
        preset, study = self.study.settings, replace(self.study, seed=seed)
        training = Training(study, model.base, model.settings(preset, steps))
        return Source(
            training,
            model.sampler(preset),
            OTHER if model.other_average else WEIGHTS,
            training.guide if model.guided(preset) else "",
        )

    def sources(self) -> list[Source]:
        """All sets of skulls, each once, those of the longest trainings first."""
        found = [
            *self.complete().values(),
            *self.stopping().values(),
            *(s for base in BASES for s in self.screening(base).values()),
            self.linear(),
        ]
        once = dict.fromkeys(found)
        return sorted(once, key=lambda source: -source.training.settings.steps)

    def trainings(self) -> list[Training]:
        """All trainings, each once, the longest first."""
        return list(dict.fromkeys(source.training for source in self.sources()))


def _check(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise SkfmError(f"{what} {', '.join(unknown)}", f"some of {', '.join(known)}")
