"""A scan through a run's aligner and completer: files in, files out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyvista as pv
import trimesh

from skfm_lib import presets
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.registration.canonical_pose import register
from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.data.voxels import skull_grid
from skfm_lib.models import PointAttN
from skfm_lib.prepare.bone_segmentation import bone_voxels
from skfm_lib.prepare.discovery import find_sources
from skfm_lib.prepare.extraction import DOUBT, SCAN, TRANSFORM, read_surface
from skfm_lib.study import Stage, Study, open_study, stage_names
from skfm_lib.study.stage_names import ALIGNMENT, COMPLETION
from skfm_lib.tasks.align_scan import Alignment, align_skull
from skfm_lib.tasks.alignment import load_aligner
from skfm_lib.tasks.completion import load_completer
from skfm_lib.tasks.experiments.runs import Experiments
from skfm_lib.tasks.implant import Completion, complete_skull
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, replacing
from skfm_lib.utils.paths import project_root

CELL, TEST = "cell of the tools", "error of the tools"  # in these stages' results
WARNING = "Research software, no medical device: not for diagnosis or treatment."


@dataclass(frozen=True)
class Scan:
    """A skull's surface in its own RAS mm, and what describes its grid."""

    path: Path
    mesh: pv.PolyData
    grid: dict[str, object]


def tool_results(
    experiments: Experiments, name: str, seed: int, column: str
) -> dict[str, object]:
    """For a chapter's results: the cell whose weights the tools take, and its error.

    column  of the cell's errors, mm; of fillings, the completer's own count
    """
    cell = experiments.cell(name, seed)
    table = pd.DataFrame(cell.results["errors"])
    if "way" in table:
        table = table[table["way"] == "completer"]
    values = table[column]
    errors = {"mean": float(values.mean()), "95 % below": float(values.quantile(0.95))}
    return {CELL: cell.name, TEST: errors}


def named_run(name: str) -> Study:
    """The run of that name; SkfmError where there is none, listing those there are."""
    folder = project_root() / "runs"
    if not (folder / name / "run.json").is_file():
        runs = sorted(path.parent.name for path in folder.glob("*/run.json"))
        raise SkfmError(
            f"there is no run {name!r}",
            " or ".join(runs) or "a finished study",
            "skfm study, then skfm run 08 and 09",
        )
    about = read_json(folder / name / "run.json")
    return open_study(name, about["preset"], about["seed"])


def read_one(path: Path, threshold: float) -> Scan:
    """The skull in a scan or mesh of any format that `skfm prepare` reads.

    threshold  HU of bone.  SkfmError where there is not exactly one scan, or it
    cannot be read.
    """
    path = Path(path)
    with Sandbox() as sandbox:
        found = find_sources(path, path / "-", sandbox)
        if len(found.sources) != 1 or found.problems:
            why = next(iter(found.problems.values()), f"{len(found.sources)} scans")
            raise SkfmError(f"{path}: {why}", "one scan", "name its file or folder")
        mesh, _, grid = sandbox(read_surface, found.sources[0], threshold)
    return Scan(path, mesh, grid)


def align_scan(scan: Scan, out: Path, study: Study) -> str:
    """Write a scan's skull in the canonical pose; what was done, in words.

    out  gets ``aligned.ply``, ``aligned.nii.gz`` on the study's grid, ``matrix.txt``
         (4×4, from the scan's RAS mm) and ``aligned.json``, the record that `skfm
         export --like` takes the skull back by

    SkfmError where the run's aligner is not trained.
    """
    stage, cell = _trained(study, ALIGNMENT)
    found, settings = _aligned(study, cell, scan)
    mesh = scan.mesh.transform(found.matrix, inplace=False)
    grid = skull_grid(study.settings.vqvae.output_shape)
    bone = bone_voxels(mesh, grid)
    if not bone.any():
        raise SkfmError(
            f"{scan.path}: aligned, no bone is within the field of view",
            f"a skull turned by at most {settings.degrees:g}° about each axis",
            "skfm prepare, which also knows scans that lie on their back",
        )
    write_mesh(out / "aligned.ply", mesh)
    write_volume(out / "aligned.nii.gz", bone, grid)
    with replacing(out / "matrix.txt") as temporary:
        np.savetxt(temporary, found.matrix, fmt="%.6f")
    limit = stage.results[TEST]["95 % below"]
    sure = "no worse" if found.spread <= limit else "MORE: look at it"
    about = {
        "spread of the tries, mm": round(found.spread, 2),
        "error on test skulls, mm": stage.results[TEST],
        "spread against that error": sure,
        **_about(study, cell, settings.steps),
    }
    _record(out / "aligned.json", scan, found.matrix, about)
    return (
        f"The tries agree within {found.spread:.1f} mm; on test skulls the mean error "
        f"is {stage.results[TEST]['mean']:.1f} mm, 95 % are below {limit:.1f} mm"
        f" ({sure}).\n{about['trained on']}\n{WARNING}"
    )


def complete_scan(
    scan: Scan,
    out: Path,
    study: Study,
    aligned: bool,
    near: Sequence[float] | None = None,
) -> str:
    """Write what a scan's skull lacks; what was found, in words.

    aligned  the skull is in its canonical pose; else it is registered as `skfm prepare`
             does (`canonical_pose.register`), which errs less than the aligner
    near     a place in the defect, in the scan's own RAS mm (see `complete_skull`)
    out      gets ``completed.ply`` (points), ``implant.ply`` (a closed surface, where
             anything is missing) in the canonical pose, and ``implant.json``, the
             record that `skfm export --like` takes the implant back by

    SkfmError where the run's completer is not trained, and for a skull that does not
    fit upon the reference.
    """
    stage, cell = _trained(study, COMPLETION)
    matrix, doubt = np.eye(4), {}
    if not aligned:
        registered = register(scan.mesh)
        matrix, doubt = registered.matrix, {DOUBT: round(registered.uncertainty, 2)}
    model, device = tool_completer(study), pick_device()
    mesh = scan.mesh.transform(matrix, inplace=False)
    spot = None if near is None else apply(matrix, np.array([near], float))[0]
    found = complete_skull(model, mesh, device, spot)
    about = {
        "points that are missing": int(found.missing.sum()),
        "points of the next largest place": found.rival,
        "clearly missing": bool(found.clear),
        "points in all": len(found.cloud),
        **doubt,
        "Chamfer distance in test defects, mm": stage.results[TEST],
        **_about(study, cell, model.settings.steps),
    }
    _record(out / "implant.json", scan, matrix, about)
    told = _write(found, out, stage.results[TEST]["mean"])
    return f"{told}\n{about['trained on']}\n{WARNING}"


def tool_completer(study: Study) -> PointAttN:
    """The completer that `skfm complete` uses, of a run's chapter 9."""
    _, cell = _trained(study, COMPLETION)
    settings = study.settings.completer.but(**cell.settings["completer"])
    return load_completer(cell, settings, pick_device())


def _write(found: Completion, out: Path, error: float) -> str:
    """Write cloud and implant; what there is of them, in words."""
    with replacing(out / "completed.ply") as temporary:
        temporary.write_bytes(trimesh.PointCloud(found.cloud).export(file_type="ply"))
    (out / "implant.ply").unlink(missing_ok=True)  # of an earlier call
    if found.implant is None:
        return "Nothing is missing: no implant is written."
    write_mesh(out / "implant.ply", found.implant)
    x, y, z = found.cloud[found.missing].mean(axis=0)
    sure = "clearly more" if found.clear else "UNCERTAIN, whole skulls differ as much"
    return (
        f"{found.missing.sum()} of {len(found.cloud)} points are missing, around "
        f"({x:.0f}, {y:.0f}, {z:.0f}) mm; at the next largest place "
        f"{found.rival or 'none'} ({sure}).\nThe implant has "
        f"{found.implant.volume / 1000:.1f} ml.  In test defects the fillings are "
        f"{error:.1f} mm from the bone (Chamfer distance)."
    )


def _aligned(
    study: Study, cell: Stage, scan: Scan
) -> tuple[Alignment, presets.AlignerConfig]:
    """A scan's motion by the aligner of a cell, and that aligner's settings."""
    settings = study.settings.aligner.but(**cell.settings["aligner"])
    device = pick_device()
    model = load_aligner(cell, settings, device)
    return align_skull(model, scan.mesh, device), settings


def _trained(study: Study, name: str) -> tuple[Stage, Stage]:
    """A chapter's finished stage, and the cell whose weights the tools take."""
    stage = study.finished(name)
    return stage, study.finished(str(stage.results[CELL]))


def _about(study: Study, cell: Stage, steps: int) -> dict[str, str]:
    """What the weights rest on, and what they are not for."""
    made_from = study.finished(stage_names.DATA).results["made_from"]
    kind = "phantom skulls" if made_from == "phantoms" else "skulls of scans"
    trained = (
        f"Run {study.name}: trained for {steps} steps on {cell.results['skulls']} "
        f"{kind} (set {cell.settings['set']!r}, of which “real” are the study's own)."
    )
    return {"trained on": trained, "warning": WARNING}


def _record(path: Path, scan: Scan, matrix: np.ndarray, about: dict) -> None:
    entry = {TRANSFORM: matrix.tolist(), SCAN: scan.grid, **about}
    with replacing(path) as temporary:
        temporary.write_text(
            json.dumps(entry, indent=1, ensure_ascii=False), encoding="utf-8"
        )
