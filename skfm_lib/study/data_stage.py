"""What a study works on: its skulls, from phantoms or from a prepared data set."""

import hashlib
import os
from collections import Counter
from functools import lru_cache
from pathlib import Path

from skfm_lib.data.dataset import KINDS, SkullSet
from skfm_lib.data.io.sample_scan import CACHE, HEADS
from skfm_lib.data.io.volumes import VOLUME_SUFFIXES
from skfm_lib.data.manifest import Skull, proportional, read_manifest
from skfm_lib.data.phantom_set import PAPER_TEST, PAPER_TRAIN, phantom_skulls
from skfm_lib.data.splits import with_validation
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.study.repair import repair
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, suffix
from skfm_lib.utils.paths import project_root

HELD_OUT = "held out"  # of a stage's settings: its validation is `with_validation`'s


def make_data_stage(study: Study, data: str | None = None) -> Stage:
    """Stage 01: draw the phantom population, or take the data set at `data`.

    Phantoms come in the paper's mix of quality scores (§3.3, Figure 2b), scaled to
    the preset's numbers.  A data set (`skfm prepare`) is read where it lies; a run that
    was made from one keeps it where `data` is None.  Of one without a validation split,
    a part of the training skulls is held out (`with_validation`), as it prints.
    """
    settings = study.settings.data
    if data is None and (data := _former_data(study)):
        print(f"the data set of this run: {data} (another --run is for phantoms)")
    if data is None:
        stage = study.stage(stage_names.DATA, {"data": settings.as_dict()})
        numbers = (
            proportional(PAPER_TRAIN, settings.train_skulls),
            proportional(PAPER_TEST, settings.test_skulls),
            proportional(PAPER_TRAIN, settings.validation_skulls),
        )
        shape = study.settings.vqvae.output_shape
        if not stage.done:
            folder = stage.folder / "skulls"
            phantom_skulls(folder, shape, *numbers, seed=study.seed)
        stage.finish(folder="skulls", made_from="phantoms")
        return stage
    return _scan_stage(study, Path(data).expanduser().resolve())


def _scan_stage(study: Study, folder: Path) -> Stage:
    """Stage 01 of a data set, whose skulls are read once here."""
    rows, held_out = read_manifest(folder), {}
    if all(skull.split != "validation" for skull in rows):
        rows, held_out = with_validation(rows), {HELD_OUT: "of the training skulls"}
    splits = [skull.split for skull in rows]
    for split in ("train", "test"):
        if split not in splits:
            raise SkfmError(
                f"{folder / 'manifest.csv'} has no skull of split {split!r}",
                "skulls of train and test",
                f"set the column split of some rows to {split}",
            )
    first = SkullSet(folder, "train", rows)
    for split in sorted({*splits} - {"unlabelled"}):
        _check_skulls(study, SkullSet(folder, split, rows), first)
    if held_out:
        held, train = splits.count("validation"), splits.count("train")
        all_of_train = f"{held} of {held + train} training skulls"
        print(f"no validation split: {all_of_train} held out for choices")
    chosen = {"data": str(folder), "content": _content(folder), **held_out}
    stage = study.stage(stage_names.DATA, chosen)
    stage.finish(folder=str(folder), made_from="scans")
    return stage


def skulls(study: Study, split: str) -> SkullSet:
    """The skulls of a split ("train", "test", "validation", "unlabelled") of a study.

    Networks are trained on "train", whatever is chosen is chosen on "validation", and
    "test" is for results alone.

    Raises:
        SkfmError: where a data set is no longer the one that the run was made from, and
            for "validation" where there are no such skulls.
    """
    stage = study.finished(stage_names.DATA)
    folder = stage.folder / stage.results["folder"]
    if "content" in stage.settings and _content(folder) != stage.settings["content"]:
        raise SkfmError(
            f"{folder} has changed since run {study.name!r} was made from it",
            "the same skulls",
            _repair(study),
        )
    rows = _rows(stage)
    if split == "validation" and all(skull.split != split for skull in rows):
        found = f"run {study.name!r} has no skulls for validation"
        few = "set the column split of some rows to validation, and "
        remedy = few * (HELD_OUT in stage.settings) + _repair(study)
        raise SkfmError(found, "skulls to choose by", remedy)
    return SkullSet(folder, split, rows)


def _repair(study: Study) -> str:
    """The command that makes stage 01 anew."""
    return repair(study.folder, [stage_names.DATA], study.settings.name, study.seed)


def split_counts(study: Study) -> dict[str, dict[int, int]]:
    """How many skulls of each quality score each split of a study holds."""
    rows, found = _rows(study.finished(stage_names.DATA)), {}
    for split in dict.fromkeys(skull.split for skull in rows if skull.quality):
        scores = Counter(skull.quality or 0 for skull in rows if skull.split == split)
        found[split] = dict(sorted(scores.items()))
    return found


def _rows(stage: Stage) -> list[Skull]:
    """The rows of the manifest of stage 01, with a validation split where it can be."""
    rows = read_manifest(stage.folder / stage.results["folder"])
    return with_validation(rows) if HELD_OUT in stage.settings else rows


def _former_data(study: Study) -> str | None:
    """The data set that a run was begun with; None for phantoms, and for a new run."""
    path = study.folder / stage_names.DATA / "stage.json"
    settings = read_json(path, "settings")["settings"] if path.exists() else {}
    return data if isinstance(data := settings.get("data"), str) else None


def _content(folder: Path) -> str:
    """SHA-256 of a data set's manifest and volumes."""
    files = ["manifest.csv", *(skull.file for skull in read_manifest(folder))]
    paths = [folder / file for file in files]
    return _hash(tuple((p, p.stat().st_size, p.stat().st_mtime_ns) for p in paths))


@lru_cache(maxsize=4)
def _hash(files: tuple[tuple[Path, int, int], ...]) -> str:
    """SHA-256 of the files' content, read again where size or time have changed."""
    digest = hashlib.sha256()
    for path, *_ in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def real_heads(given: str | None = None) -> Path:
    """The head CTs of chapters 11 and 15: a scan, or a folder of scans.

    Args:
        given: by the user, relative to the project's folder; otherwise what the
            environment variable ``SKFM_HEADS`` names; otherwise the folder of the
            samples that ``skfm sample`` has fetched.

    Raises:
        SkfmError: where there is none; the project ships no patient's scan.
    """
    if named := given or os.environ.get("SKFM_HEADS"):
        path = (project_root() / Path(named).expanduser()).resolve()
        if not path.exists():
            raise SkfmError(f"{path} does not exist", "a head CT", "skfm sample")
        return path
    if not any((CACHE / head.target).exists() for head in HEADS):
        raise SkfmError(f"{CACHE} holds no sample", "a head CT", "skfm sample cranium")
    return CACHE


def real_head(given: str | None = None) -> Path:
    """One of `real_heads`: of a folder, the test head or else the first scan."""
    path = real_heads(given)
    if path.is_file():
        return path
    scans = sorted(p for p in path.iterdir() if suffix(p) in VOLUME_SUFFIXES)
    cranium = [scan for scan in scans if "cranium" in scan.name.lower()]
    return next(iter(cranium or scans), path)


def stamp_of(heads: Path) -> str:
    """A hash that changes with the files of `real_heads`: names, sizes and times."""
    files = sorted(p for p in (heads, *heads.rglob("*")) if p.is_file())
    about = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return hashlib.sha256(repr(about).encode()).hexdigest()[:16]


def counts(skulls: SkullSet) -> dict[int, int]:
    """How many skulls of each quality score a set holds (Figure 2b)."""
    return {q: skulls.qualities.count(q) for q in sorted(set(skulls.qualities))}


def examples(skulls: SkullSet, each: int = 1) -> list[int]:
    """The first `each` items of every quality score, in ascending order."""
    return [
        item
        for quality in counts(skulls)
        for item in [i for i, q in enumerate(skulls.qualities) if q == quality][:each]
    ]


def _check_skulls(study: Study, found: SkullSet, first: SkullSet) -> None:
    """SkfmError for another shape than the preset's, and for an unreadable volume.

    Also if some skulls are held as bits and those of `first` as fractions, or the other
    way round: what networks learn from one does not hold for the other.
    """
    expected, name = study.settings.vqvae.output_shape, study.settings.name
    if tuple(found.shape) != tuple(expected):
        raise SkfmError(
            f"{found.folder} holds volumes of {found.shape} voxels",
            f"{expected}, as preset {name} has",
            f"skfm prepare SCANS --preset {name} --out OTHER_FOLDER",
        )
    if found.kind != first.kind:
        mixed = f"{found.skulls[0].name} as {KINDS[found.kind]}"
        raise SkfmError(
            f"{found.folder} holds {mixed}",
            f"{KINDS[first.kind]}, as {first.skulls[0].name}",
            f"skfm prepare SCANS --preset {name} --out OTHER_FOLDER",
        )
    found.load()
    for item, skull in enumerate(found.skulls):
        if not found.occupancy(item).any():
            raise SkfmError(
                f"{found.folder / skull.file} holds no bone",
                "a skull",
                "remove its row from manifest.csv",
            )
