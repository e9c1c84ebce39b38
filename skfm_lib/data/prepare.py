"""A user's scans and meshes made into a data set."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvista as pv
from skimage.measure import label

from skfm_lib.data.bone import THRESHOLD, bone_mesh, bone_voxels, touched_borders
from skfm_lib.data.files import replacing, stem, suffix
from skfm_lib.data.manifest import Skull, claim, stratified_split, write_manifest
from skfm_lib.data.place import place
from skfm_lib.data.scans import MESH_SUFFIXES, read_mesh, read_scan, write_volume
from skfm_lib.data.sources import find_scans, read_labels
from skfm_lib.data.voxels import Grid, skull_grid
from skfm_lib.errors import SkfmError
from skfm_lib.progress import track
from skfm_lib.scales import Shape, scaled_shape

QUICK_SHAPE = scaled_shape(1 / 8)
USUAL_BONE = (150.0, 1500.0)  # ml, a calvarium … a skull with mandible and vertebrae
ALLOWED_LOOSE = 0.15  # share of the bone in parts other than the largest: a mandible
ALLOWED_OUTSIDE = 0.01  # share of a surface's points


@dataclass(frozen=True)
class Report:
    """What `prepare` did: the data set's folder, its skulls, and what was skipped.

    problems  file (relative to the input folder) → what is wrong, and the remedy
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
) -> Report:
    """Make every scan (CT or mask volume) and mesh under `folder` a skull of `out`.

    out            a data set (see `manifest`); beside each ``volumes/NAME.nii.gz`` lies
                   NAME.json: the 4×4 from the scan's RAS mm into the skull frame, the
                   checks, and the size of the file it came from
    shape          (D, H, W) of the volumes, on ``skull_grid(shape)``
    threshold      HU of bone
    labels         table name,quality; by default ``labels.csv`` in `folder`.  Scans
                   without a label go to the split "unlabelled"
    strict         raise at the first scan that fails, instead of reporting it
    test_fraction  of the labelled scans, stratified by quality, drawn from `seed`

    Scans prepared before are kept, so that an interrupted run goes on.  SkfmError
    before any work for: no scans, two files of one name, wrong labels, an `out` of
    other settings; after it, if no scan could be used.
    """
    folder, out = Path(folder), Path(out)
    files = find_scans(folder, out)
    qualities = read_labels(folder, labels, set(files))
    settings = {
        "made from": str(folder.resolve()),
        "shape": list(shape),
        "threshold": threshold,
        "test fraction": test_fraction,
        "seed": seed,
    }
    claim(out, settings)
    checks, problems = _prepare_all(files, out / "volumes", shape, threshold, strict)
    if not checks:
        found = f"none of the {len(files)} scans in {folder} could be used"
        raise SkfmError(f"{found}, the first because {next(iter(problems.values()))}")
    splits = _splits(list(checks), qualities, test_fraction, seed)
    skulls = [
        Skull(
            name=name,
            split=splits[name],
            quality=qualities.get(name),
            file=f"volumes/{name}.nii.gz",
            source=_relative(files[name], folder),
            spacing=skull_grid(shape).spacing,
            checks=note,
        )
        for name, note in checks.items()
    ]
    write_manifest(out, skulls)
    named = {_relative(files[name], folder): why for name, why in problems.items()}
    return Report(out, skulls, named)


def _prepare_all(
    files: dict[str, Path], volumes: Path, shape: Shape, threshold: float, strict: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Name → checks of the scans that could be used, name → problem of the others."""
    checks, problems = {}, {}
    for name, path in track(files.items(), "Preparing scans", len(files)):
        try:
            checks[name] = _prepare_one(path, volumes, shape, threshold)
        except SkfmError as problem:
            named = str(problem) if str(path) in str(problem) else f"{path}: {problem}"
            if strict:
                raise SkfmError(named) from problem
            problems[name] = named
    return checks, problems


def _prepare_one(path: Path, volumes: Path, shape: Shape, threshold: float) -> str:
    """Write one skull and its transform, unless done before; return its checks."""
    target, record = volumes / f"{stem(path)}.nii.gz", volumes / f"{stem(path)}.json"
    size = path.stat().st_size
    if target.exists() and record.exists():
        before = json.loads(record.read_text(encoding="utf-8"))
        if before["bytes"] == size:
            return before["checks"]
    mesh, borders = _surface(path, threshold)
    placed, matrix = place(mesh)
    grid = skull_grid(shape)
    bone = bone_voxels(placed, grid)
    if not bone.any():
        raise SkfmError("no voxel is bone", "a closed surface", "repair the mesh")
    checks = _checks(placed, matrix, borders, bone, grid)
    write_volume(target, bone, grid)
    entry = {"bytes": size, "checks": checks, "scan to skull frame": matrix.tolist()}
    with replacing(record) as temporary:
        temporary.write_text(json.dumps(entry, indent=1), encoding="utf-8")
    return checks


def _surface(path: Path, threshold: float) -> tuple[pv.PolyData, list[str]]:
    """A scan's or mesh's surface in its own frame, and the borders it touches."""
    if suffix(path) in MESH_SUFFIXES:
        return read_mesh(path), []
    image = read_scan(path)
    mesh = bone_mesh(image, threshold)
    return mesh, touched_borders(mesh, image)


def _checks(
    placed: pv.PolyData,
    matrix: np.ndarray,
    borders: list[str],
    bone: np.ndarray,
    grid: Grid,
) -> str:
    """What is unusual about a placed skull, in words, or "ok"."""
    notes = [f"touches {border} border" for border in borders]
    if matrix[0, 0] < 0:
        notes.append("turned by half a turn (it was in LPS)")
    index = grid.to_index(placed.points)
    outside = ((index < -0.5) | (index > np.array(grid.shape) - 0.5)).any(axis=1).mean()
    if outside > ALLOWED_OUTSIDE:
        notes.append(f"{100 * outside:.0f} % outside the grid")
    volume = placed.volume / 1000
    if not USUAL_BONE[0] <= volume <= USUAL_BONE[1]:
        notes.append(f"{volume:.0f} ml of bone")
    sizes = np.bincount(label(bone).ravel())[1:]
    loose = 1 - sizes.max() / sizes.sum()
    if loose > ALLOWED_LOOSE:
        notes.append(f"{100 * loose:.0f} % of the bone in loose parts")
    return ", ".join(notes) or "ok"


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _splits(
    names: list[str], qualities: dict[str, int], test_fraction: float, seed: int
) -> dict[str, str]:
    labelled = [name for name in names if name in qualities]
    drawn = stratified_split([qualities[n] for n in labelled], test_fraction, seed)
    return dict.fromkeys(names, "unlabelled") | dict(zip(labelled, drawn, strict=True))
