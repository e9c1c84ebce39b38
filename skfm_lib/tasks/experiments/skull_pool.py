"""The skulls of the experiments: real ones, and synthetic ones generated on demand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from skfm_lib import generation
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.manifest import Skull, read_manifest
from skfm_lib.data.point_clouds import CloudSet, concatenate, load_clouds
from skfm_lib.study import Study, stage_names
from skfm_lib.study.data_stage import skulls
from skfm_lib.study.runs import existing_study
from skfm_lib.tasks.experiments import altered_clouds, training_sets
from skfm_lib.tasks.experiments.failed_skulls import Screening, failed_skulls
from skfm_lib.tasks.experiments.mixes import MIRRORED, Counts, counts, mix_of
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import seed_of

FOLDER, CLOUDS = "08_skulls", "clouds"
SMALLEST = 120.0  # mm; a generated skull of less extent is a fragment: left out

Sources = dict[str, list[Skull]]  # `Mix.source` → its skulls


@dataclass(frozen=True)
class SkullPool:
    """The skulls that training sets are composed of, and the test skulls.

    Attributes:
        real: the real training skulls, volumes and manifest.
        synthetic: for each training of the generators, its synthetic skulls; seeds
            use them in turn.
        train: clouds of all of these except fragments.
        test: clouds of the test skulls.
        held_out: volumes of the test skulls.
        base: the number of real skulls of "100% real"; None: all of them.
    """

    real: SkullSet
    synthetic: tuple[Sources, ...]
    train: CloudSet
    test: CloudSet
    held_out: SkullSet
    base: int | None = None

    def training(self, name: str, seed: int) -> CloudSet:
        """The clouds of a `training_set`; generated fragments are left out."""
        synthetic = self.synthetic[seed % len(self.synthetic)]
        given = self.real.skulls, synthetic, seed, self.base
        chosen = [skull.name for skull in training_sets.training_set(name, *given)]
        index = {name: i for i, name in enumerate(self.train.names)}
        mirrored = [one.startswith(f"{MIRRORED}/") for one in chosen]
        names = [one.removeprefix(f"{MIRRORED}/") for one in chosen]
        kept = [i for i, one in enumerate(names) if one in index]
        clouds = self.train.subset([index[names[i]] for i in kept])
        clouds = altered_clouds.mirror(clouds, [mirrored[i] for i in kept])
        return altered_clouds.blur(clouds, seed) if mix_of(name).blurred else clouds

    def volumes(self, clouds: CloudSet) -> SkullSet:
        """The volumes of clouds of real training skulls, in their order."""
        rows = {skull.name: skull for skull in self.real.skulls}
        return SkullSet(self.real.folder, "train", [rows[n] for n in clouds.names])


def composition(pool: SkullPool, names: Sequence[str], seed: int) -> dict[str, Counts]:
    """Skulls of each score in the clouds of each named set."""
    return {name: counts(pool.training(name, seed).qualities) for name in names}


def stages_of(names: Iterable[str]) -> tuple[str, ...]:
    """The stages that the named sets are made from."""
    mixes = [mix_of(name) for name in names]
    models = {mix.generator for mix in mixes} - {""}
    stages = [generation.STAGES[model] for model in sorted(models)]
    if any(mix.failed for mix in mixes):
        stages.append(stage_names.FAILURES)
    return stage_names.DATA, *stages


def sampler_of(study: Study, model: str) -> generation.Sampler:
    """The usual sampler of a model; of the paper's two, with the preset's steps."""
    return generation.usual_sampler(model, study.settings.sampling)


def gather(
    study: Study,
    names: Sequence[str],
    base: int | None = None,
    generators: Sequence[str] = (),
    screening: Screening | None = None,
) -> SkullPool:
    """All skulls of the named training sets; missing ones and their clouds are made.

    Args:
        base: the number of real skulls of "100% real"; None: all of them.
        generators: runs whose generators are used beside the study's own, in turn.
        screening: of chapter 7 of a study, for sets of skulls that failed it.

    Raises SkfmError for an unknown name or run, for a set of skulls that failed
    without a screening, and where a model was not trained.
    """
    train, test = skulls(study, "train"), skulls(study, "test")
    folder = study.folder / CLOUDS / study.finished(stage_names.DATA).fingerprint
    wanted = training_sets.needed(names, counts(train.qualities), base)
    failed = {mix.model for mix in map(mix_of, names) if mix.failed}
    clouds: list[CloudSet] = [load_clouds(train, folder)]
    synthetic: list[Sources] = []
    for run in ("", *generators):
        made = _other(study, run) if run else study
        sets = {m: synthetic_skulls(made, m, n) for m, n in wanted.items()}
        sources = {model: _skulls_of(own) for model, own in sets.items()}
        for model in failed:
            given = sets[model], wanted[model], study, screening
            sources[f"{model} failed"] = failed_skulls(*given)
        clouds += [_clouds_of(one, run) for own in sets.values() for one in own]
        synthetic.append({k: _named(own, run) for k, own in sources.items()})
    test_clouds, together = load_clouds(test, folder), concatenate(clouds)
    return SkullPool(train, tuple(synthetic), together, test_clouds, test, base)


def generator_of(study: Study, run: str, model: str) -> list[str]:
    """What tells a generator of another run from the study's own."""
    return [run, _other(study, run).finished(generation.STAGES[model]).fingerprint]


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


def _other(study: Study, run: str) -> Study:
    """Another run of the same preset, which samples as this study does."""
    other = existing_study(run)
    if run == study.name or other.settings.name != study.settings.name:
        found = f"generators of run {run!r}, preset {other.settings.name}"
        expected = f"another run of preset {study.settings.name}"
        raise SkfmError(found, expected, "skfm study --seed 1")
    return replace(other, settings=study.settings)


def _skulls_of(sets: Sequence[SkullSet]) -> list[Skull]:
    """The skulls of several sets."""
    return [skull for one in sets for skull in one.skulls]


def _clouds_of(made: SkullSet, run: str) -> CloudSet:
    """The clouds of synthetic skulls, whose names tell another run."""
    clouds = load_clouds(made, made.folder / CLOUDS, SMALLEST)
    return replace(clouds, names=[_label(name, run) for name in clouds.names])


def _named(own: Sequence[Skull], run: str) -> list[Skull]:
    """Skulls whose names tell another run."""
    return [replace(skull, name=_label(skull.name, run)) for skull in own]


def _label(name: str, run: str) -> str:
    return f"{run}/{name}" if run else name
