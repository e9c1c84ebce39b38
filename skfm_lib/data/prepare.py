"""A user's scans and meshes made into a data set."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from skfm_lib.data.bone import THRESHOLD
from skfm_lib.data.extract import extract_skull, finished
from skfm_lib.data.guard import Guard
from skfm_lib.data.labels import Label, read_labels
from skfm_lib.data.manifest import Skull, claim, stratified_split, write_manifest
from skfm_lib.data.names import code, read_salt
from skfm_lib.data.sources import Found, find_sources, without
from skfm_lib.data.voxels import skull_grid
from skfm_lib.errors import SkfmError
from skfm_lib.progress import track
from skfm_lib.scales import Shape, scaled_shape

QUICK_SHAPE = scaled_shape(1 / 8)


@dataclass(frozen=True)
class Report:
    """What `prepare` did: the data set's folder, its skulls, and what was skipped.

    problems  name in the data set → what is wrong, and the remedy
    """

    folder: Path
    skulls: list[Skull]
    problems: dict[str, str]

    def __str__(self) -> str:
        unlabelled = sum(skull.quality is None for skull in self.skulls)
        unusual = [f"  {s.name}: {s.checks}" for s in self.skulls if s.checks != "ok"]
        skipped = [f"  {why}" for why in self.problems.values()]
        lines = [f"{len(self.skulls)} skulls in {self.folder}"]
        if unlabelled:
            lines.append(
                f"{unlabelled} without a quality score: they can be reconstructed, but "
                "not trained on or generated (write labels.csv with name,quality)"
            )
        lines += ["Unusual:", *unusual] if unusual else []
        lines += ["Skipped:", *skipped] if skipped else []
        return "\n".join(lines)


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
    test_fraction  of the labelled scans, stratified by quality, drawn from `seed`
    keep_names     call scans by their files' names, not by codes (see `names`): for
                   public data, whose names are nobody's

    Scans prepared before are kept, so that an interrupted run goes on.  SkfmError
    before any work for: no scans, two files of one name, wrong labels, an `out` of
    other settings; after it, if no scan could be used.
    """
    folder, out = Path(folder), Path(out)
    with Guard() as guard:
        found = find_sources(folder, out, guard)
        table = read_labels(folder, labels, found.sources)
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
        checks = {}
        for source in track(found.sources, "Preparing scans"):
            if strict and problems:
                break
            own = table.get(source.key, Label()).threshold or threshold
            target = out / "volumes" / names[source.key]
            stamp = code(salt, f"{source.stamp} {own}")
            try:
                checks[source.key] = finished(target, stamp) or guard(
                    extract_skull, source, target, shape, own, stamp
                )
            except SkfmError as problem:
                problems[target.name] = _named(target.name, str(problem))
    if problems and (strict or not checks):
        raise SkfmError(_first(problems, len(found.sources), folder, strict))
    qualities = {key: label.quality for key, label in table.items() if label.quality}
    splits = _splits(list(checks), qualities, test_fraction, seed)
    skulls = [
        Skull(
            name=names[source.key],
            split=splits[source.key],
            quality=qualities.get(source.key),
            file=f"volumes/{names[source.key]}.nii.gz",
            source=f"scan of {names[source.patient]}",
            spacing=skull_grid(shape).spacing,
            checks=checks[source.key],
        )
        for source in found.sources
        if source.key in checks
    ]
    write_manifest(out, skulls)
    return Report(out, skulls, problems)


def who_is_who(folder: Path, out: Path) -> dict[str, str]:
    """Name in the data set `out` → place of its files below `folder`.

    For the one who holds the scans and the salt: these names may be patients'.
    """
    with Guard() as guard:
        found = find_sources(Path(folder), Path(out), guard)
    names = _names(found, read_salt(out), keep_names=False)
    places = {source.key: source.place for source in found.sources}
    places |= {key: key for key in found.problems}
    return {names[key]: place for key, place in places.items()}


def _names(found: Found, salt: bytes, keep_names: bool) -> dict[str, str]:
    """Key or patient → name: a code, or what the file is called."""
    keys = [s.key for s in found.sources] + list(found.problems)
    patients = [source.patient for source in found.sources]
    if not keep_names:
        return {text: code(salt, text) for text in keys + patients}
    own = {source.key: source.name for source in found.sources}
    twice = [name for name, n in Counter(own.values()).items() if n > 1]
    if twice:
        raise SkfmError(
            f"{len(twice)} names are of several scans, such as {twice[0]}",
            "a name of its own for every scan",
            "rename them, or let codes be their names",
        )
    return {text: text for text in patients + list(found.problems)} | own


def _named(name: str, problem: str) -> str:
    return problem if name in problem else f"{name}: {problem}"


def _first(problems: dict[str, str], number: int, folder: Path, strict: bool) -> str:
    why = next(iter(problems.values()))
    if strict:
        return why
    number = max(number, len(problems))
    return f"none of the {number} scans in {folder} could be used, the first: {why}"


def _splits(
    names: list[str], qualities: dict[str, int], test_fraction: float, seed: int
) -> dict[str, str]:
    labelled = [name for name in names if name in qualities]
    drawn = stratified_split([qualities[n] for n in labelled], test_fraction, seed)
    return dict.fromkeys(names, "unlabelled") | dict(zip(labelled, drawn, strict=True))
