"""Prepare a data set from a folder of scans and meshes."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.manifest import Skull, claim, stratified_split, write_manifest
from skfm_lib.data.voxels import skull_grid
from skfm_lib.prepare.augmentation import augment
from skfm_lib.prepare.bone_segmentation import THRESHOLD
from skfm_lib.prepare.discovery import Found, find_sources
from skfm_lib.prepare.extraction import PROPOSED, REASON, Job, Record
from skfm_lib.prepare.job_pool import run_jobs
from skfm_lib.prepare.labels import DISCARD, read_labels, read_scores, write_scores
from skfm_lib.prepare.pseudonyms import pseudonym, read_salt
from skfm_lib.prepare.report import Report, write_report
from skfm_lib.prepare.source import redact
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
    """Prepare every scan (CT or mask volume, DICOM series) and mesh of a folder.

    Each skull's score is proposed and written to ``labels.csv`` in `out`, where an
    expert corrects it (see `labels`); ``report.html`` and ``report.csv`` contain all
    checks.  Scans that were prepared before and have not changed are skipped, so that
    an interrupted run can be resumed.

    Args:
        folder: Scans in any subfolders and archives (see `find_sources`), or one scan.
        out: The data set (see `manifest`).  The record of each skull is stored beside
            its volume (see `extract_skull`).
        shape: (D, H, W) of the volumes, on ``skull_grid(shape)``.
        threshold: Bone threshold, HU.
        labels: Table name,quality[,threshold] (see `read_labels`), by default
            ``labels.csv`` in `folder`.  Scans without a score are in the split
            "unlabelled".
        strict: Raise at the first scan that fails instead of reporting it.
        test_fraction: Share of the labelled patients in the test set.
        seed: Of the split and of the variations.
        keep_names: Name skulls after their files, not by codes (see `pseudonyms`): for
            public data, whose names identify no patient.
        accept: Use the proposed score where there is no other.
        workers: Scans processed at a time, 3.5 GiB each at most.
        population: Number of variations of the training skulls to add (see `augment`).

    Raises:
        SkfmError: Before any work: no scans, two files of one name, invalid labels, or
            `out` has other settings.  Afterwards: no scan could be used.
    """
    folder, out = Path(folder).absolute(), Path(out)
    with Sandbox() as sandbox:
        found = find_sources(folder, out, sandbox)
    table = read_labels(folder, labels, found.sources)
    corrected = read_scores(out)
    salt = read_salt(out)
    names = _names(found, salt, keep_names)
    settings: dict[str, object] = {"made from": pseudonym(salt, str(folder.resolve()))}
    settings |= {"shape": list(shape), "threshold": threshold}
    settings |= {"test fraction": test_fraction, "seed": seed}
    claim(out, settings)
    jobs = []
    for source in found.sources:
        limit = table[source.key].threshold or threshold
        volume = out / "volumes" / f"{names[source.key]}.nii.gz"
        stamp = pseudonym(salt, f"{source.stamp} {limit}")
        jobs.append(Job(source, volume, shape, limit, stamp))
    problems = _problems(found, folder, names)
    if strict and problems:
        jobs = []
    records, failed, new = run_jobs(jobs, workers, strict)
    problems |= {n: why if n in why else f"{n}: {why}" for n, why in failed.items()}
    if problems and (strict or not records):
        first = next(iter(problems.values()))
        none = f"none of the {len(problems)} scans in {folder} could be used"
        raise SkfmError(first if strict else f"{none}, the first: {first}")
    write_scores(out, {n: (r[PROPOSED], r[REASON]) for n, r in records.items()})
    sources = {names[source.key]: source for source in found.sources}
    labelled = {name: table[sources[name].key].quality for name in records}
    qualities = _qualities(records, labelled, corrected, accept)
    owners = {name: names[sources[name].patient] for name in qualities}
    splits = patient_split(owners, qualities, test_fraction, seed)
    skulls = [
        Skull(
            name=name,
            split=splits[name],
            quality=quality,
            file=f"volumes/{name}.nii.gz",
            source=f"scan of {owners[name]}",
            spacing=skull_grid(shape).spacing,
            checks=records[name]["checks"],
        )
        for name, quality in qualities.items()
    ]
    augmented = augment(out, skulls, records, population, seed)
    write_manifest(out, skulls + augmented)
    report = Report(out, skulls, problems, found.left_out, records, new, augmented)
    write_report(report)
    return report


def patient_split(
    owners: Mapping[str, str],
    qualities: Mapping[str, int | None],
    test_fraction: float,
    seed: int,
) -> dict[str, str]:
    """Split scans into "train" and "test", all scans of a patient together.

    Patients are sampled stratified by the score of their first scan.  `owners` and
    `qualities` map names of scans to patients and to scores; scans without a score
    (None) are in the split "unlabelled".

    >>> owners = {"scan 1": "Ann", "scan 2": "Ann", "scan 3": "Ben"}
    >>> patient_split(owners, {"scan 1": 5, "scan 2": 4, "scan 3": 5}, 0.5, seed=0)
    {'scan 1': 'test', 'scan 2': 'test', 'scan 3': 'train'}
    """
    labelled = {name: quality for name, quality in qualities.items() if quality}
    first = {owners[name]: quality for name, quality in reversed(labelled.items())}
    everyone = dict.fromkeys(owners[name] for name in qualities)
    patients = [owner for owner in everyone if owner in first]
    scores = [first[owner] for owner in patients]
    split_of = dict(zip(patients, stratified_split(scores, test_fraction, seed)))
    unlabelled = dict.fromkeys(qualities, "unlabelled")
    return unlabelled | {name: split_of[owners[name]] for name in labelled}


def who_is_who(folder: Path, out: Path) -> dict[str, str]:
    """Name in the data set `out` → path of its files below `folder`.

    Needs the scans and the salt.  The paths may identify patients.
    """
    with Sandbox() as sandbox:
        found = find_sources(Path(folder), Path(out), sandbox)
    names = _names(found, read_salt(out), keep_names=False)
    locations = {names[source.key]: source.location for source in found.sources}
    return locations | {names[key]: key for key in found.problems}


def _names(found: Found, salt: bytes, keep_names: bool) -> dict[str, str]:
    """Key or patient → name in the data set: a code, or the name of the file."""
    keys = [s.key for s in found.sources] + list(found.problems)
    patients = [source.patient for source in found.sources]
    if not keep_names:
        return {text: pseudonym(salt, text) for text in keys + patients}
    own = {source.key: source.name for source in found.sources}
    own |= {
        source.key: f"{source.patient} {source.name}".replace("/", "-")
        for source in found.sources
        if source.suffix == "dicom"  # series of several patients may share a name
    }
    twice = [name for name, n in Counter(own.values()).items() if n > 1]
    if twice:
        found_twice = f"{len(twice)} names are of several scans, such as {twice[0]}"
        remedy = "rename them, or omit --keep-names"
        raise SkfmError(found_twice, "a unique name for every scan", remedy)
    return {text: text for text in patients + list(found.problems)} | own


def _problems(found: Found, folder: Path, names: Mapping[str, str]) -> dict[str, str]:
    """Name → why a scan cannot be used, with the name instead of its files."""
    problems = {}
    for key, why in found.problems.items():
        path, name = folder / key, names[key]
        below = [path, *path.parents[: len(Path(key).parts)]]  # down from the folder
        why = redact(why, below, name)
        problems[name] = why if name in why else f"{name}: {why}"
    return problems


def _qualities(
    records: Mapping[str, Record],
    labelled: Mapping[str, int | None],
    corrected: Mapping[str, int],
    accept: bool,
) -> dict[str, int | None]:
    """Name → the expert's score, otherwise the user's, otherwise the proposed one.

    Skulls that the expert discards are left out.
    """
    return {
        name: corrected.get(name)
        or labelled[name]
        or (record[PROPOSED] if accept else None)
        for name, record in records.items()
        if corrected.get(name) != DISCARD
    }
