"""The skulls of the experiments: real ones, and synthetic ones generated on demand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skfm_lib import generation, samplers
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.manifest import Skull, read_manifest
from skfm_lib.data.point_clouds import CloudSet, concatenate, load_clouds
from skfm_lib.study import Study, stage_names
from skfm_lib.study.data_stage import skulls
from skfm_lib.tasks.experiments import training_sets
from skfm_lib.tasks.experiments.training_sets import Counts, counts
from skfm_lib.utils.seeding import seed_of

FOLDER, CLOUDS = "08_skulls", "clouds"
SMALLEST = 120.0  # mm; a generated skull of less extent is a fragment: left out


@dataclass(frozen=True)
class SkullPool:
    """The skulls that training sets are composed of, and the test skulls.

    Attributes:
        real: manifest of the real training skulls.
        synthetic: model → manifest of its skulls.
        train: clouds of all of these except fragments.
        test: clouds of the test skulls.
        held_out: volumes of the test skulls.
    """

    real: list[Skull]
    synthetic: dict[str, list[Skull]]
    train: CloudSet
    test: CloudSet
    held_out: SkullSet

    def training(self, name: str, seed: int) -> CloudSet:
        """The clouds of a `training_set`; generated fragments are left out."""
        chosen = training_sets.training_set(name, self.real, self.synthetic, seed)
        index = {name: i for i, name in enumerate(self.train.names)}
        return self.train.subset([index[s.name] for s in chosen if s.name in index])


def composition(pool: SkullPool, names: Sequence[str], seed: int) -> dict[str, Counts]:
    """Skulls of each score in the clouds of each named set."""
    return {name: counts(pool.training(name, seed).qualities) for name in names}


def stages_of(names: Iterable[str]) -> tuple[str, ...]:
    """The stages that the named sets are made from."""
    models = {training_sets.mix_of(name).model for name in names} - {""}
    return stage_names.DATA, *(generation.STAGES[model] for model in sorted(models))


def sampler_of(study: Study, model: str) -> generation.Sampler:
    """The paper's sampler for a model, with the preset's number of steps."""
    method, steps = samplers.METHODS[model][0], study.settings.sampling.steps
    return generation.Sampler(method, steps)


def gather(study: Study, names: Sequence[str]) -> SkullPool:
    """All skulls of the named training sets; missing ones and their clouds are made.

    Raises SkfmError for an unknown name, and where a model was not trained.
    """
    train, test = skulls(study, "train"), skulls(study, "test")
    folder = study.folder / CLOUDS / study.finished(stage_names.DATA).fingerprint
    clouds, synthetic = [load_clouds(train, folder)], {}
    wanted = training_sets.needed(names, counts(train.qualities))
    for model, numbers in wanted.items():
        made = synthetic_skulls(study, model, numbers)
        synthetic[model] = [skull for one in made for skull in one.skulls]
        clouds += [load_clouds(one, one.folder / CLOUDS, SMALLEST) for one in made]
    test_clouds = load_clouds(test, folder)
    return SkullPool(train.skulls, synthetic, concatenate(clouds), test_clouds, test)


def synthetic_skulls(study: Study, model: str, wanted: Counts) -> list[SkullSet]:
    """A model's skulls: a set for each quality score, with at least `wanted` skulls.

    The sets belong to the run and only grow, so that their first skulls stay the same.
    """
    sampler, batch = sampler_of(study, model), study.settings.sampling.batch
    folder = (
        study.folder / FOLDER / study.finished(generation.STAGES[model]).fingerprint
    )
    folders = {q: folder / f"{model}-{sampler.steps}" / f"qs{q}" for q in wanted}
    made = {q: f for q, f in folders.items() if (f / "manifest.csv").is_file()}
    count = {q: len(read_manifest(folder)) for q, folder in made.items()}
    missing = [q for q, n in wanted.items() if count.get(q, 0) < n]
    if missing:
        generator = generation.load_generator(study, model)
    for q in missing:
        given = folders[q], [q] * wanted[q], seed_of(study.seed, "tasks", q)
        generation.generate_skulls(generator, *given, sampler, batch)
    return [SkullSet(folders[q], "train") for q, n in wanted.items() if n]
