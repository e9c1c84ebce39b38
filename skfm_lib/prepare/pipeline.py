"""A user's scans and meshes made into a data set."""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.manifest import Skull, claim, stratified_split, write_manifest
from skfm_lib.data.voxels import skull_grid
from skfm_lib.prepare.augmentation import derive
from skfm_lib.prepare.bone_segmentation import THRESHOLD
from skfm_lib.prepare.discovery import Found, find_sources, without
from skfm_lib.prepare.expert_scores import DISCARD, read_scores, write_scores
from skfm_lib.prepare.extraction import PROPOSED, REASON, Record
from skfm_lib.prepare.job_pool import Job, Outcome, outcomes
from skfm_lib.prepare.pseudonyms import code, read_salt
from skfm_lib.prepare.report import Report, write_report
from skfm_lib.prepare.source import Source
from skfm_lib.prepare.user_labels import Label, read_labels
from skfm_lib.presets.grid_sizes import Shape, scaled_shape
from skfm_lib.utils.errors import SkfmError

QUICK_SHAPE = scaled_shape(1 / 8)


def prepare(
    folder: Path,
    out: Path,
    shape: Shape = QUICK_SHAPE,
    threshold: float = THRESHOLD,
    labels: Path | None = None,
    strict: bool = False,
    test_fraction: float = 0.2,
    seed: int = 0,
    keep_names: bool = False,
    accept: bool = False,
    workers: int = 2,
    population: int = 0,
) -> Report:
    """Make every scan (CT or mask volume, DICOM series) and mesh a skull of `out`.

    folder         of scans, see `sources`; or one scan
    out            a data set (see `manifest`); beside each ``volumes/NAME.nii.gz`` lies
                   its record (see `extract_skull`)
    shape          (D, H, W) of the volumes, on ``skull_grid(shape)``
    threshold      HU of bone
    labels         table name,quality and perhaps threshold (see `labels`); by default
                   ``labels.csv`` in `folder`.  Scans without a quality go to the split
                   "unlabelled"
    strict         raise at the first scan that fails, instead of reporting it
    test_fraction  of the labelled scans, stratified by quality, drawn from `seed`; all
                   of a patient are on one side
    keep_names     call scans by their files' names, not by codes (see `names`): for
                   public data, whose names are nobody's
    accept         where nobody has given a score, take the one that is proposed
    workers        scans worked at a time, 3.5 GiB each at most
    population     variations to add, derived from the training skulls (see `derive`)

    A score is proposed for each skull and written to ``labels.csv`` in `out`, where an
    expert corrects it (see `scores`); ``report.html`` and ``report.csv`` tell the rest.
    Scans prepared before are kept, so that an interrupted run goes on.  SkfmError
    before any work for: no scans, two files of one name, wrong labels, an `out` of
    other settings; after it, if no scan could be used.
    """
    folder, out = Path(folder), Path(out)
    with Sandbox() as sandbox:
        found = find_sources(folder, out, sandbox)
    table = read_labels(folder, labels, found.sources)
    corrected = read_scores(out)
    salt = read_salt(out)
    names = _names(found, salt, keep_names)
    settings = {"made from": code(salt, str(folder.resolve()))}
    settings |= {"shape": list(shape), "threshold": threshold}
    settings |= {"test fraction": test_fraction, "seed": seed}
    claim(out, settings)
    problems = {
        names[key]: _named(names[key], without(why, [folder / key], names[key]))
        for key, why in found.problems.items()
    }
    jobs = _jobs(found, names, table, salt, out / "volumes", shape, threshold)
    done = _done(jobs, problems, workers, strict)
    if problems and (strict or not done):
        raise SkfmError(_first(problems, len(jobs), folder, strict))
    records = {name: outcome.record for name, outcome in done.items()}
    write_scores(out, {n: (r[PROPOSED], r[REASON]) for n, r in records.items()})
    qualities = _qualities(done, table, corrected, accept)
    owners = {name: names[done[name].job.source.patient] for name in qualities}
    splits = patient_split(owners, qualities, test_fraction, seed)
    skulls = _skulls(records, qualities, owners, splits, shape)
    derived = derive(out, skulls, records, population, seed)
    write_manifest(out, skulls + derived)
    new = frozenset(name for name, outcome in done.items() if outcome.new)
    report = Report(out, skulls, problems, found.left_out, records, new, derived)
    write_report(report)
    return report


def patient_split(
    owners: dict[str, str],
    qualities: dict[str, int | None],
    test_fraction: float,
    seed: int,
) -> dict[str, str]:
    """Name → split, with all scans of a patient on one side.

    owners     name → patient
    qualities  name → score, or None: split "unlabelled"

    Patients are drawn stratified by the score of their first scan.
    """
    labelled = [name for name, quality in qualities.items() if quality]
    first = {owners[name]: qualities[name] for name in reversed(labelled)}
    patients = [owner for owner in dict.fromkeys(owners.values()) if owner in first]
    scores = [first[owner] for owner in patients]
    drawn = stratified_split(scores, test_fraction, seed)
    sides = dict(zip(patients, drawn, strict=True))
    unlabelled = dict.fromkeys(owners, "unlabelled")
    return unlabelled | {name: sides[owners[name]] for name in labelled}


def who_is_who(folder: Path, out: Path) -> dict[str, str]:
    """Name in the data set `out` → place of its files below `folder`.

    For the one who holds the scans and the salt: these names may be patients'.
    """
    with Sandbox() as sandbox:
        found = find_sources(Path(folder), Path(out), sandbox)
    names = _names(found, read_salt(out), keep_names=False)
    places = {source.key: source.place for source in found.sources}
    places |= {key: key for key in found.problems}
    return {names[key]: place for key, place in places.items()}


def _jobs(
    found: Found,
    names: Mapping[str, str],
    table: Mapping[str, Label],
    salt: bytes,
    volumes: Path,
    shape: Shape,
    threshold: float,
) -> list[Job]:
    """What is to be made of every scan, at the threshold that its label may set."""
    jobs = []
    for source in found.sources:
        own = table.get(source.key, Label()).threshold or threshold
        stamp = code(salt, f"{source.stamp} {own}")
        jobs.append(Job(source, volumes / names[source.key], shape, own, stamp))
    return jobs


def _qualities(
    done: Mapping[str, Outcome],
    table: Mapping[str, Label],
    corrected: Mapping[str, int],
    accept: bool,
) -> dict[str, int | None]:
    """Name → score: an expert's, the table's, else with `accept` the proposed one."""
    return {
        name: corrected.get(name)
        or table.get(outcome.job.source.key, Label()).quality
        or (outcome.record[PROPOSED] if accept else None)
        for name, outcome in done.items()
        if corrected.get(name) != DISCARD
    }


def _skulls(
    records: Mapping[str, Record],
    qualities: Mapping[str, int | None],
    owners: Mapping[str, str],
    splits: Mapping[str, str],
    shape: Shape,
) -> list[Skull]:
    """The manifest's rows."""
    spacing = skull_grid(shape).spacing
    return [
        Skull(
            name=name,
            split=splits[name],
            quality=quality,
            file=f"volumes/{name}.nii.gz",
            source=f"scan of {owners[name]}",
            spacing=spacing,
            checks=records[name]["checks"],
        )
        for name, quality in qualities.items()
    ]


def _names(found: Found, salt: bytes, keep_names: bool) -> dict[str, str]:
    """Key or patient → name: a code, or what the file is called."""
    keys = [s.key for s in found.sources] + list(found.problems)
    patients = [source.patient for source in found.sources]
    if not keep_names:
        return {text: code(salt, text) for text in keys + patients}
    own = {source.key: _public_name(source) for source in found.sources}
    twice = [name for name, n in Counter(own.values()).items() if n > 1]
    if twice:
        raise SkfmError(
            f"{len(twice)} names are of several scans, such as {twice[0]}",
            "a name of its own for every scan",
            "rename them, or let codes be their names",
        )
    return {text: text for text in patients + list(found.problems)} | own


def _public_name(source: Source) -> str:
    """A file's name; of a DICOM series, whose folder many share, with the patient's."""
    if source.suffix != "dicom":
        return source.name
    return f"{source.patient} {source.name}".replace("/", "-")


def _named(name: str, problem: str) -> str:
    return problem if name in problem else f"{name}: {problem}"


def _first(problems: dict[str, str], number: int, folder: Path, strict: bool) -> str:
    why = next(iter(problems.values()))
    if strict:
        return why
    number = max(number, len(problems))
    return f"none of the {number} scans in {folder} could be used, the first: {why}"


def _done(
    jobs: list[Job], problems: dict[str, str], workers: int, strict: bool
) -> dict[str, Outcome]:
    """Name → outcome of the scans that became skulls; the others join the problems."""
    done = {}
    with closing(outcomes(jobs, workers)) as ended:
        for outcome in ended if not (strict and problems) else ():
            name = outcome.job.target.name
            if outcome.record:
                done[name] = outcome
                continue
            problems[name] = _named(name, outcome.problem)
            if strict:
                break
    return {job.target.name: done[n] for job in jobs if (n := job.target.name) in done}
