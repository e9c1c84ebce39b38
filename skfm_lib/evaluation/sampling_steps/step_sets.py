"""Sets of ours and its shortcut model in few steps, and what they lose by that.

All sets have the same quality scores, fields of view and starting noise, so that the
i-th skulls of two sets are a pair: what both have in common cancels in a difference.
A number of steps is chosen by it, so the sets are compared with validation skulls.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.evaluation import screening, table1, table1_columns
from skfm_lib.evaluation.held_out import (
    FAILED,
    FID,
    IR,
    MISCONDITIONED,
    PR,
    HeldOut,
    Values,
)
from skfm_lib.evaluation.sampling_steps.sampling import FOLDER
from skfm_lib.evaluation.screening.reference_ranges import ScreeningResult
from skfm_lib.evaluation.table1_columns import Compared, Row
from skfm_lib.generation import (
    LABELS,
    STAGES,
    Sampler,
    SkullGenerator,
    generate_skulls,
    usual_sampler,
)
from skfm_lib.metrics import paired_difference, share
from skfm_lib.study import Stage, Study
from skfm_lib.study.data_stage import skulls

Rows = dict[str, dict[str, object]]  # of a table


@dataclass(frozen=True)
class StepSet:
    """The skulls of a model in some steps, compared with the validation skulls."""

    model: str
    sampler: Sampler
    seconds: float  # per skull, from noise to volume
    values: Values  # of `HeldOut.compare`
    screened: ScreeningResult
    compared: Compared

    @property
    def name(self) -> str:
        """Such as ``ours, 8 steps``."""
        steps = self.sampler.steps
        return f"{LABELS[self.model]}, {steps} step{'s' * (steps > 1)}"

    def row(self) -> dict[str, object]:
        """Its costs, and the values with Wilson's intervals of the shares of skulls."""
        return {
            "evaluations": self.sampler.evaluations,
            "seconds per skull": self.seconds,
            **self.values,
            FAILED: share(self.screened.failed),
            MISCONDITIONED: share(self.screened.misconditioned),
        }

    def minus(self, other: "StepSet") -> Row:
        """The differences of failures, conditioning errors, FID and recall (IR, PR).

        With the 95 % intervals of pairs: `paired_difference`, and `Compared.minus`.
        """
        own, its = self.screened, other.screened
        between_sets = self.compared.minus(other.compared).row()
        return {
            FAILED: paired_difference(own.failed, its.failed),
            MISCONDITIONED: paired_difference(own.misconditioned, its.misconditioned),
            **{column: between_sets[column] for column in (FID, IR, PR)},
        }

    def worse_than(self, other: "StepSet") -> list[str]:
        """The columns of `minus` whose entire interval is on the worse side of 0."""
        return [
            column
            for column, found in self.minus(other).items()
            if (found.low > 0 if column.endswith("↓") else found.high < 0)
        ]


def step_sets(
    study: Study,
    generator: SkullGenerator,
    steps: Iterable[int],
    qualities: Sequence[int],
    held_out: HeldOut,
) -> list[StepSet]:
    """The sets of a model in ascending numbers of steps; missing ones are generated.

    Each is an experiment of the study.  The first n skulls, their noise and their
    sampler are as in chapter 5 (`usual_sampler`).
    """
    model, sampling, found = generator.objective, study.settings.sampling, []
    for sampler in (usual_sampler(model, sampling, s) for s in sorted(set(steps))):
        stage = _generated(study, generator, sampler, qualities)
        found.append(_compared(stage, model, sampler, held_out))
    return found


def _generated(
    study: Study,
    generator: SkullGenerator,
    sampler: Sampler,
    qualities: Sequence[int],
) -> Stage:
    """The finished experiment of a set, whose skulls are in its folder."""
    model, batch = generator.objective, study.settings.sampling.batch
    settings = {
        "seed": study.seed,
        "sampler": sampler.as_dict(),
        "qualities": list(qualities),
        "batch": batch,
    }
    label = f"{model}-{sampler.steps}-steps"
    stage = study.experiment(FOLDER, label, settings, (STAGES[model],))
    if not stage.done:
        given = list(qualities), study.seed, sampler, batch
        generate_skulls(generator, stage.folder / "skulls", *given)
        part = list(qualities)[:batch]
        started = time.perf_counter()
        generator.decode(generator.latents(part, range(len(part)), sampler))
        stage.finish(seconds=(time.perf_counter() - started) / len(part))
    return stage


def _compared(stage: Stage, model: str, sampler: Sampler, held_out: HeldOut) -> StepSet:
    made, measures = SkullSet(stage.folder / "skulls", "train"), "measures.npz"
    values = held_out.compare(made, stage.folder / measures)
    measured = screening.measure_skulls(made, "skulls", stage.folder / measures)
    fake = table1.features_of(held_out.network, volumes_of(made), held_out.cache)
    labels = skulls(stage.study, "validation").qualities, made.qualities
    seed = stage.study.seed
    return StepSet(
        model,
        sampler,
        stage.results["seconds"],
        values,
        held_out.screen(made, measured),
        table1_columns.compare(held_out.features, fake, seed, labels=labels),
    )


def most_steps(sets: Sequence[StepSet]) -> StepSet:
    """The reference: the set of the first model in the most steps."""
    own = [one for one in sets if one.model == sets[0].model]
    return max(own, key=lambda one: one.sampler.steps)


def losses(sets: Sequence[StepSet]) -> Rows:
    """Set → evaluations, its differences from `most_steps`, and what is worse."""
    reference, rows = most_steps(sets), Rows()
    for one in sets:
        if one is not reference:
            worse = ", ".join(column[:-2] for column in one.worse_than(reference))
            about = {"evaluations": one.sampler.evaluations}
            rows[one.name] = {**about, **one.minus(reference), "worse": worse or "none"}
    return rows


def fewest(sets: Sequence[StepSet]) -> dict[str, StepSet | None]:
    """Model → its set of the fewest evaluations that is worse in no measure, if any."""
    reference = most_steps(sets)
    found: dict[str, StepSet | None] = dict.fromkeys(one.model for one in sets)
    for one in sorted(sets, key=lambda one: -one.sampler.evaluations):
        if one is reference or not one.worse_than(reference):
            found[one.model] = one
    return found


def conclusion(sets: Sequence[StepSet]) -> str:
    """One sentence: what `fewest` found."""
    reference = most_steps(sets)
    parts = [
        f"{one.sampler.evaluations} of {LABELS[model]} ({one.sampler.steps} steps)"
        if one
        else f"none of {LABELS[model]}"
        for model, one in fewest(sets).items()
    ]
    return (
        "The fewest evaluations in which no measure is worse, beyond chance, than in "
        f"the {reference.sampler.evaluations} of {reference.name}: {', '.join(parts)}."
    )


def record(sets: Sequence[StepSet]) -> Rows:
    """The values of every set and its differences, for `Stage.finish`."""
    differences = losses(sets)
    return {
        one.name: {**one.row(), "minus the most steps": differences.get(one.name)}
        for one in sets
    }
