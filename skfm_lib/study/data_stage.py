"""What a study works on: its skulls, from phantoms or from a prepared data set."""

import hashlib
import os
from pathlib import Path

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.io.sample_scan import CACHE, NAME
from skfm_lib.data.io.volumes import VOLUME_SUFFIXES
from skfm_lib.data.manifest import proportional, read_manifest
from skfm_lib.data.phantom_set import PAPER_TEST, PAPER_TRAIN, phantom_skulls
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import suffix
from skfm_lib.utils.paths import project_root


def make_data_stage(study: Study, data: str | None = None) -> Stage:
    """Stage 01: draw the phantom population, or take the data set at `data`.

    Phantoms come in the paper's mix of quality scores (§3.3, Figure 2b), scaled to
    the preset's numbers.  A data set (`skfm prepare`) is read where it lies.
    """
    settings = study.settings.data
    if data is None:
        stage = study.stage(stage_names.DATA, {"data": settings.as_dict()})
        train = proportional(PAPER_TRAIN, settings.train_skulls)
        test = proportional(PAPER_TEST, settings.test_skulls)
        shape = study.settings.vqvae.output_shape
        if not stage.done:
            phantom_skulls(stage.folder / "skulls", shape, train, test, study.seed)
        stage.finish(folder="skulls", made_from="phantoms")
        return stage
    folder = Path(data).expanduser().resolve()
    splits = {skull.split for skull in read_manifest(folder)}
    for split in ("train", "test"):
        if split not in splits:
            raise SkfmError(
                f"{folder / 'manifest.csv'} has no skull of split {split!r}",
                "skulls of train and test",
                f"set the column split of some rows to {split}",
            )
        _check_skulls(study, SkullSet(folder, split))
    digest = hashlib.sha256((folder / "manifest.csv").read_bytes()).hexdigest()
    stage = study.stage(stage_names.DATA, {"data": str(folder), "manifest": digest})
    stage.finish(folder=str(folder), made_from="scans")
    return stage


def skulls(study: Study, split: str) -> SkullSet:
    """The skulls of a split ("train", "test", "unlabelled") of a study."""
    stage = study.finished(stage_names.DATA)
    return SkullSet(stage.folder / stage.results["folder"], split)


def real_heads(given: str | None = None) -> Path:
    """The head CTs of chapters 11 and 15: a scan, or a folder of scans.

    Args:
        given: by the user, relative to the project's folder; otherwise what the
            environment variable ``SKFM_HEADS`` names; otherwise the sample that
            ``skfm sample`` has fetched.

    Raises:
        SkfmError: where there is none; the project ships no patient's scan.
    """
    named = given or os.environ.get("SKFM_HEADS")
    path = CACHE / NAME
    if named:
        path = (project_root() / Path(named).expanduser()).resolve()
    if not path.exists():
        raise SkfmError(f"{path} does not exist", "a head CT", "skfm sample")
    return path


def real_head(given: str | None = None) -> Path:
    """One of `real_heads`: of a folder, the sample Cranium or else the first scan."""
    path = real_heads(given)
    if path.is_file():
        return path
    scans = sorted(p for p in path.iterdir() if suffix(p) in VOLUME_SUFFIXES)
    cranium = [scan for scan in scans if "cranium" in scan.name.lower()]
    return next(iter(cranium or scans), path)


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


def _check_skulls(study: Study, found: SkullSet) -> None:
    """SkfmError for another shape than the preset's, and for an unreadable volume."""
    expected, name = study.settings.vqvae.output_shape, study.settings.name
    if tuple(found.shape) != tuple(expected):
        raise SkfmError(
            f"{found.folder} holds volumes of {found.shape} voxels",
            f"{expected}, as preset {name} has",
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
