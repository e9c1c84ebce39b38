"""Prepare a data set from a folder of scans and meshes."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.manifest import Skull, claim, write_manifest
from skfm_lib.data.splits import TEST, check_shares, patient_split
from skfm_lib.data.voxels import skull_grid
from skfm_lib.prepare.augmentation import augment
from skfm_lib.prepare.bone_segmentation import THRESHOLD
from skfm_lib.prepare.discovery import Found, find_sources
from skfm_lib.prepare.extraction import PROPOSED, REASON, Job, Record
from skfm_lib.prepare.job_pool import run_jobs
from skfm_lib.prepare.labels import (
    DISCARD,
    Label,
    read_labels,
    read_scores,
    write_scores,
)
from skfm_lib.prepare.pseudonyms import names_of, pseudonym, read_salt
from skfm_lib.prepare.report import Report, reported_names, write_report
from skfm_lib.prepare.source import redact
from skfm_lib.presets.grid_sizes import Shape, scaled_shape
from skfm_lib.utils.errors import SkfmError

DISCARDED = "files of skulls that are scored 0 in labels.csv"
QUICK_SHAPE = scaled_shape(1 / 8)


def prepare(
    folder: Path,
    out: Path,
    shape: Shape = QUICK_SHAPE,
    threshold: float = THRESHOLD,
    labels: Path | None = None,
    strict: bool = False,
    test_fraction: float = TEST,
    seed: int = 0,
    keep_names: bool = False,
    accept: bool = False,
    workers: int = 2,
    population: int = 0,
    label: str = "",
    validation: float | None = None,
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
        label: Name or value of the skull's label in segmentations of several (see
            `segmentations.bone_mask`).
        validation: Share of the labelled patients for validation, taken from those that
            would be for training; by default a tenth, if that is enough (see
            `patient_split`).

    Raises:
        SkfmError: Before any work: no scans, two files of one name, invalid labels, or
            `out` has other settings.  Afterwards: there is no skull, which the report
            explains too.
    """
    check_shares(test_fraction, validation)
    folder, out = Path(folder).absolute(), Path(out)
    if os.path.realpath(folder) == os.path.realpath(out):
        found_same = f"--out {out} is the folder of the scans"
        raise SkfmError(found_same, "another folder", "name one that is not there yet")
    with Sandbox() as sandbox:
        found = find_sources(folder, out, sandbox)
        table = read_labels(folder, labels, found.sources)
        corrected = read_scores(out)
        salt = read_salt(out)
        names = names_of(found, salt, keep_names)
        made_from = pseudonym(salt, str(folder.resolve()))
        split = {"test fraction": test_fraction, "seed": seed}
        if validation is not None:
            split["validation"] = validation
        about = {"made from": made_from, "shape": list(shape), "threshold": threshold}
        claim(out, about | split)
        problems = _problems(found, folder, names)
        jobs = []
        if not (strict and problems):
            jobs = _jobs(found, table, names, out, shape, threshold, label)
        records, failed, new = run_jobs(jobs, workers, strict, sandbox)
    problems |= {n: why if n in why else f"{n}: {why}" for n, why in failed.items()}
    files = Counter({names[key]: n for key, n in found.problem_files.items()})
    files.update({names[source.key]: source.files for source in found.sources})
    if problems and strict:
        if not (out / "report.csv").exists():  # for `who_is_who`
            write_report(Report(out, problems, found.left_out, files, [], {}, set()))
        raise SkfmError(next(iter(problems.values())))
    write_scores(out, {n: (r[PROPOSED], r[REASON]) for n, r in records.items()})
    sources = {names[source.key]: source for source in found.sources}
    labelled = {name: table[sources[name].key].quality for name in records}
    qualities = _qualities(records, labelled, corrected, accept)
    for name in records.keys() - qualities.keys():
        found.left_out[DISCARDED] += files.pop(name)
    owners = {name: names[sources[name].patient] for name in qualities}
    splits = patient_split(owners, qualities, test_fraction, seed, validation)
    skulls = _rows(records, qualities, owners, splits, shape)
    augmented = augment(out, skulls, records, population, seed) if skulls else []
    if records:
        write_manifest(out, skulls + augmented)
    about_skulls = skulls, records, new & qualities.keys(), augmented
    report = Report(out, problems, found.left_out, files, *about_skulls)
    write_report(report)
    if not any((out / "volumes").glob("*.nii.gz")):
        (out / "settings.json").unlink()  # so that other scans may be prepared there
    if not skulls:
        raise _nothing_made(report)
    return report


def who_is_who(folder: Path, out: Path, keep_names: bool = False) -> dict[str, str]:
    """Name → path below `folder` of the skulls in `out`, and of the problems.

    Needs the scans and the salt.  The paths may identify patients; that of a scan that
    is no longer in the folder is "".  SkfmError if nothing was prepared into `out`.
    """
    made = reported_names(out)
    with Sandbox() as sandbox:
        found = find_sources(Path(folder), Path(out), sandbox)
    names = names_of(found, read_salt(out), keep_names)
    paths = {names[source.key]: source.location for source in found.sources}
    paths |= {names[key]: key for key in found.problems}
    return {name: paths.get(name, "") for name in made}


def _problems(found: Found, folder: Path, names: Mapping[str, str]) -> dict[str, str]:
    """Name → why a scan cannot be used, with the name instead of its files."""
    top = folder if folder.is_dir() else folder.parent
    problems = {}
    for key, why in found.problems.items():
        path, name = top / key, names[key]
        below = [path, *path.parents[: len(Path(key).parts)]]  # down from the folder
        why = str(redact(SkfmError(why), below, name))
        problems[name] = why if name in why else f"{name}: {why}"
    return problems


def _jobs(
    found: Found,
    table: Mapping[str, Label],
    names: Mapping[str, str],
    out: Path,
    shape: Shape,
    threshold: float,
    label: str,
) -> list[Job]:
    """What is to be done for each scan; its own threshold goes before `threshold`."""
    salt, jobs = read_salt(out), []
    for source in found.sources:
        limit = table[source.key].threshold or threshold
        volume = out / "volumes" / f"{names[source.key]}.nii.gz"
        stamp = pseudonym(salt, f"{source.stamp} {limit} {label}".rstrip())
        jobs.append(Job(source, volume, shape, limit, stamp, label))
    return jobs


def _rows(
    records: Mapping[str, Record],
    qualities: Mapping[str, int | None],
    owners: Mapping[str, str],
    splits: Mapping[str, str],
    shape: Shape,
) -> list[Skull]:
    """The rows of the manifest, without variations."""
    return [
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


def _nothing_made(report: Report) -> SkfmError:
    if report.records:
        found = f"all {len(report.records)} skulls are scored 0 in "
        remedy = "change a score there"
        return SkfmError(f"{found}{report.folder / 'labels.csv'}", "a skull", remedy)
    first = next(iter(report.problems.values()))
    table, number = report.folder / "report.csv", len(report.problems)
    if number == 1:
        return SkfmError(f"the only scan could not be used ({table}): {first}")
    none = f"none of the {number} scans could be used"
    return SkfmError(f"{none} ({table}), the first: {first}")


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
