"""The clouds of the experiments: real skulls, and synthetic ones made on demand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.manifest import Skull, read_manifest
from skfm_lib.data.point_clouds import CloudSet, concatenate, load_clouds
from skfm_lib.generation import (
    SAMPLERS,
    STAGES,
    Sampler,
    SkullGenerator,
    generate_skulls,
    load_generator,
)
from skfm_lib.study import Study, stage_names
from skfm_lib.study.data_stage import counts, skulls
from skfm_lib.tasks.experiments.training_sets import (
    Counts,
    models_of,
    needed,
    training_set,
)
from skfm_lib.utils.seeding import seed_of

FOLDER, CLOUDS = "08_skulls", "clouds"
SMALLEST = 120.0  # mm; a generated skull of less extent is a fragment: left out


@dataclass(frozen=True)
class SkullPool:
    """What training sets are drawn from, and the skulls that test.

    real, synthetic  the manifests that `training_set` takes
    train            the clouds of all of them, but for fragments
    test             those of the test skulls; `held_out` has their volumes
    """

    real: list[Skull]
    synthetic: dict[str, list[Skull]]
    train: CloudSet
    test: CloudSet
    held_out: SkullSet

    def training(self, name: str, seed: int) -> CloudSet:
        """The clouds of a training set; generated fragments are left out."""
        chosen = training_set(name, self.real, self.synthetic, seed)
        places = {name: place for place, name in enumerate(self.train.names)}
        return self.train.subset([places[s.name] for s in chosen if s.name in places])


def composition(pool: SkullPool, names: Sequence[str], seed: int) -> dict[str, Counts]:
    """Skulls of each score in the clouds of each named set."""
    return {name: _scores(pool.training(name, seed)) for name in names}


def stages_of(names: Sequence[str]) -> tuple[str, ...]:
    """The stages that the named sets are made from."""
    return stage_names.DATA, *(STAGES[model] for model in models_of(names))


def gather(study: Study, names: Sequence[str]) -> SkullPool:
    """All that the training sets called `names` are made of.

    Synthetic skulls and clouds that are missing are made.  Raises SkfmError for an
    unknown name, and where a model that is needed was not trained.
    """
    train, test = skulls(study, "train"), skulls(study, "test")
    folder = study.folder / CLOUDS / study.finished(stage_names.DATA).fingerprint
    sets, synthetic = [load_clouds(train, folder)], {}
    for model, wanted in needed(names, counts(train)).items():
        made = synthetic_skulls(study, model, wanted)
        synthetic[model] = [skull for one in made for skull in one.skulls]
        sets += [load_clouds(one, one.folder / CLOUDS, SMALLEST) for one in made]
    test_clouds = load_clouds(test, folder)
    return SkullPool(train.skulls, synthetic, concatenate(sets), test_clouds, test)


def synthetic_skulls(
    study: Study, model: str, wanted: Mapping[int, int]
) -> list[SkullSet]:
    """A model's skulls, a set for each score, of at least the numbers `wanted`.

    A set is kept with the run and only ever grows, so that its first skulls stay the
    same.  Drawn by the paper's sampler in the preset's steps.
    """
    sampler, found = sampler_of(study, model), []
    place = study.folder / FOLDER / study.finished(STAGES[model]).fingerprint
    place = place / f"{model}-{sampler.steps}"
    lacking = {q: n for q, n in wanted.items() if _made(place / f"qs{q}") < n}
    if lacking:
        _draw(load_generator(study, model), place, lacking, study, sampler)
    for quality in (q for q, n in wanted.items() if n):
        found.append(SkullSet(place / f"qs{quality}", "train"))
    return found


def sampler_of(study: Study, model: str) -> Sampler:
    """The paper's sampler for a model, in the preset's steps."""
    return Sampler(SAMPLERS[model][0], study.settings.sampling.steps)


def _draw(
    generator: SkullGenerator,
    place: Path,
    wanted: Counts,
    study: Study,
    sampler: Sampler,
) -> None:
    batch = study.settings.sampling.batch
    for quality, n in wanted.items():
        folder, seed = place / f"qs{quality}", seed_of(study.seed, "tasks", quality)
        generate_skulls(generator, folder, [quality] * n, seed, sampler, batch)


def _scores(clouds: CloudSet) -> Counts:
    scores = sorted(clouds.qualities)
    return {quality: scores.count(quality) for quality in dict.fromkeys(scores)}


def _made(folder: Path) -> int:
    """How many skulls there are; none where the set was never finished."""
    there = (folder / "manifest.csv").is_file()
    return len(read_manifest(folder)) if there else 0
