"""Apply a run's aligner and completer to a scan: files in, files out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import numpy as np
import pandas as pd
import pyvista as pv
import torch
import trimesh

from skfm_lib.data.bone_fractions import is_bone
from skfm_lib.data.io.dicom.seg import IMPLANT
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.data.registration.up_axis import register_any_axes
from skfm_lib.data.voxels import skull_grid
from skfm_lib.models import Aligner, PointAttN
from skfm_lib.prepare.bone_segmentation import bone_voxels
from skfm_lib.prepare.discovery import find_source
from skfm_lib.prepare.extraction import DOUBT, KIND, SCAN, TRANSFORM, read_surface
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.tasks.alignment import ALIGNMENT, align_skull, mean_distance
from skfm_lib.tasks.completion import COMPLETION
from skfm_lib.tasks.experiments.runs import Experiments
from skfm_lib.tasks.implant import Completion, complete_skull
from skfm_lib.tasks.implant_evaluation import CLEARLY, MISSING, RUNNER_UP
from skfm_lib.tasks.task import Network, Task
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

# Keys of a chapter's results.
EXPERIMENT, ERROR = "experiment of the tools", "error of the tools"
SHAPE_MODEL = "Linear shape model of phantoms, fitted to the skull: no network."
WARNING = "Research software, no medical device: not for diagnosis or treatment."


@dataclass(frozen=True)
class Scan:
    """A skull's surface in the scan's RAS mm, and a description of the scan's grid."""

    path: Path
    mesh: pv.PolyData
    grid: dict[str, Any]


def tool_results(
    experiments: Experiments, name: str, seed: int, column: str
) -> dict[str, Any]:
    """For a chapter's results: the experiment that the tools use, and its errors, mm.

    `column` names the errors; of fillings, only the completer's count.
    """
    experiment = experiments.stage(name, seed)
    table = pd.DataFrame(experiment.results["errors"])
    if "way" in table:
        table = table[table["way"] == "completer"]
    values = table[column]
    errors = {"mean": float(values.mean()), "95 % below": float(values.quantile(0.95))}
    return {EXPERIMENT: experiment.name, ERROR: errors}


@dataclass(frozen=True)
class Tool(Generic[Network]):
    """A trained network of a task, as the commands apply it.

    Attributes:
        model: the network.
        errors: on test skulls, mm: "mean" and "95 % below".
        about: what it was trained on, and what it is not for.
        shape: of the grid of the skulls that it was trained with.
    """

    model: Network
    errors: dict[str, float]
    about: dict[str, str]
    shape: Shape


def chosen_experiment(study: Study, task: Task[Any]) -> Stage:
    """The experiment whose network a task's chapter chose for the tools.

    Raises SkfmError where the chapter is not finished.
    """
    results = study.finished(task.stage).results
    return study.finished(str(results[EXPERIMENT]))


def describe(study: Study, task: Task[Any]) -> dict[str, str]:
    """What the `chosen_experiment` trained its network on, and what it is not for."""
    experiment = chosen_experiment(study, task)
    settings = getattr(study.settings, task.name).but(**experiment.settings[task.name])
    made_from = study.finished(stage_names.DATA).results["made_from"]
    kind = "phantom skulls" if made_from == "phantoms" else "skulls of scans"
    origin = (
        f"Run {study.name}: trained for {settings.steps} steps on "
        f"{experiment.results['skulls']} {kind} (set {experiment.settings['set']!r}, "
        "of which “real” are the study's own)."
    )
    return {"trained on": origin, "warning": WARNING}


def study_tool(study: Study, task: Task[Network]) -> Tool[Network]:
    """The network that a task's chapter chose for the tools.

    Raises SkfmError where the chapter is not finished.
    """
    experiment, errors = (
        chosen_experiment(study, task),
        study.finished(task.stage).results[ERROR],
    )
    settings = getattr(study.settings, task.name).but(**experiment.settings[task.name])
    model, shape = (
        task.load(experiment, settings, pick_device()),
        study.settings.vqvae.output_shape,
    )
    return Tool(model, errors, describe(study, task), shape)


def trained(
    study: Study, task: Task[Network]
) -> tuple[Network, dict[str, float], dict[str, str]]:
    """Network, errors and record of a `study_tool`."""
    tool = study_tool(study, task)
    return tool.model, tool.errors, tool.about


def read_one(path: Path, threshold: float, label: str = "") -> Scan:
    """The skull in a scan or mesh of any format that `skfm prepare` reads.

    `threshold` is that of bone, HU; `label` the skull's in a segmentation.  Raises
    SkfmError where there is not exactly one scan, or it cannot be read.
    """
    with Sandbox() as sandbox:
        source = find_source(path, sandbox)
        mesh, _, grid = sandbox(read_surface, source, threshold, label)
    return Scan(path, mesh, grid)


def pose_distance(mesh: pv.PolyData, first: np.ndarray, second: np.ndarray) -> float:
    """Mean distance of a mesh's points after two motions (4×4), mm."""
    points = np.asarray(mesh.points, float)
    moved = (torch.from_numpy(apply(matrix, points)) for matrix in (first, second))
    return float(mean_distance(*moved))


def align_scan(scan: Scan, out: Path, by: Study | Tool[Aligner]) -> str:
    """Write a scan's skull in the canonical pose; returns a summary in words.

    `out` gets ``aligned.ply``, ``aligned.nii.gz`` on the tool's grid, ``matrix.txt``
    (4×4, from the scan's RAS mm) and ``aligned.json``, with which `skfm export --like`
    moves the skull back.

    `by` is an aligner, or the study of which it is to be taken.

    Raises:
        SkfmError: where the study's aligner is not trained, or the aligned skull is
            outside the field of view.
    """
    tool = study_tool(by, ALIGNMENT) if isinstance(by, Study) else by
    model, errors, about = tool.model, tool.errors, tool.about
    found = align_skull(model, scan.mesh, pick_device())
    mesh = scan.mesh.transform(found.matrix, inplace=False)
    grid = skull_grid(tool.shape)
    bone = bone_voxels(mesh, grid)
    if not is_bone(bone).any():
        raise SkfmError(
            f"{scan.path}: aligned, no bone is within the field of view",
            f"a skull turned by at most {model.settings.degrees:g}° about each axis",
            "skfm prepare, which also registers scans in other orientations",
        )
    write_mesh(out / "aligned.ply", mesh)
    write_volume(out / "aligned.nii.gz", bone, grid)
    with replacing(out / "matrix.txt") as temporary:
        np.savetxt(temporary, found.matrix, fmt="%.6f")
    limit = errors["95 % below"]
    compared = "no worse" if found.spread <= limit else "MORE: check the result"
    quality = {
        "spread of the tries, mm": round(found.spread, 2),
        "error on test skulls, mm": errors,
        "spread against that error": compared,
    }
    _record(out / "aligned.json", scan, found.matrix, {**quality, **about})
    return (
        f"The tries agree within {found.spread:.1f} mm; on test skulls the mean error "
        f"is {errors['mean']:.1f} mm, 95 % are below {limit:.1f} mm ({compared}).\n"
        f"{about['trained on']}\n{WARNING}"
    )


def complete_scan(
    scan: Scan,
    out: Path,
    by: Study | Tool[PointAttN] | None,
    aligned: bool,
    near: Sequence[float] | None = None,
) -> str:
    """Write the missing bone of a scan's skull; returns a summary in words.

    `out` gets ``completed.ply`` (points), ``implant.ply`` (a closed surface, where bone
    is missing) in the canonical pose, and ``implant.json``, with which `skfm export
    --like` moves the implant back.

    Args:
        by: a completer, or the study of which it is to be taken; None for the linear
            shape model that the registration has.
        aligned: whether the skull is in the canonical pose.  Otherwise it is
            registered as by `skfm prepare`, more accurately than by the aligner.
        near: a point in the defect, in the scan's RAS mm (see `complete_skull`).

    Raises:
        SkfmError: where the study's completer is not trained, and for a skull that
            cannot be registered.
    """
    tool = study_tool(by, COMPLETION) if isinstance(by, Study) else by
    model = tool.model if tool else None
    errors = {"Chamfer distance in test defects, mm": tool.errors} if tool else {}
    about = tool.about if tool else {"trained on": SHAPE_MODEL, "warning": WARNING}
    matrix, doubt = np.eye(4), {}
    if not aligned:
        registered = register_any_axes(scan.mesh)
        matrix, doubt = registered.matrix, {DOUBT: round(registered.uncertainty, 2)}
    mesh = scan.mesh.transform(matrix, inplace=False)
    spot = None if near is None else apply(matrix, np.array([near], float))[0]
    found = complete_skull(model, mesh, pick_device(), spot)
    quality = {
        KIND: IMPLANT,
        MISSING: int(found.missing.sum()),
        RUNNER_UP: found.runner_up,
        CLEARLY: found.clear,
        "points in all": len(found.cloud),
        **doubt,
        **errors,
    }
    _record(out / "implant.json", scan, matrix, {**quality, **about})
    summary = _write_completion(found, out)
    if tool and found.implant:
        summary += (
            f"  In test defects the fillings are {tool.errors['mean']:.1f} mm from the "
            "bone (Chamfer distance)."
        )
    return f"{summary}\n{about['trained on']}\n{WARNING}"


def _write_completion(found: Completion, out: Path) -> str:
    """Write cloud and implant; returns a summary in words."""
    with replacing(out / "completed.ply") as temporary:
        temporary.write_bytes(trimesh.PointCloud(found.cloud).export(file_type="ply"))
    (out / "implant.ply").unlink(missing_ok=True)  # of an earlier call
    if found.implant is None:
        return "Nothing is missing: no implant is written."
    write_mesh(out / "implant.ply", found.implant)
    x, y, z = found.cloud[found.missing].mean(axis=0)
    sure = (
        "clearly more" if found.clear else "UNCERTAIN: complete skulls differ so much"
    )
    return (
        f"{found.missing.sum()} of {len(found.cloud)} points are missing, around "
        f"({x:.0f}, {y:.0f}, {z:.0f}) mm; in the next largest cluster "
        f"{found.runner_up or 'none'} ({sure}).\nThe implant has "
        f"{found.implant.volume / 1000:.1f} ml."
    )


def _record(
    path: Path, scan: Scan, matrix: np.ndarray, about: dict[str, object]
) -> None:
    entry = {TRANSFORM: matrix.tolist(), SCAN: scan.grid, **about}
    text = json.dumps(entry, indent=1, ensure_ascii=False)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
