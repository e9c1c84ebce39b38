"""Pack a study's trained models: smaller files, screened, with an index."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skfm_lib.data.phantom_set import PAPER_TRAIN
from skfm_lib.evaluation.screening.score_classifier import WEIGHTS as CLASSIFIER
from skfm_lib.evaluation.screening.screener import RANGES, save_ranges, stage_screener
from skfm_lib.reference_model.loading import MODEL
from skfm_lib.reference_model.measuring import MeasuredModel, counts_of
from skfm_lib.reference_model.package import (
    INDEX,
    Package,
    checksum,
    read_index,
    save_compact,
    write_index,
)
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.study.data_stage import skulls
from skfm_lib.study.provenance import provenance
from skfm_lib.tasks.alignment import ALIGNMENT
from skfm_lib.tasks.apply_to_scan import ERROR, chosen_experiment, describe
from skfm_lib.tasks.completion import COMPLETION
from skfm_lib.tasks.task import Task
from skfm_lib.training.denoiser import WEIGHTS
from skfm_lib.training.feature_net import study_features
from skfm_lib.training.linear_start import LINEAR
from skfm_lib.training.vqvae import WEIGHTS as VQVAE_WEIGHTS
from skfm_lib.utils.errors import SkfmError

STAGE = "reference_model"  # of the study: the screening of what was packed
TASKS: tuple[Task[Any], ...] = (ALIGNMENT, COMPLETION)
CLASSIFIER_STEPS, FEATURE_STEPS = 250, 300  # as in chapters 7 and 6


def pack(
    study: Study,
    folder: Path,
    count: int = sum(PAPER_TRAIN.values()),
    classifier_steps: int = CLASSIFIER_STEPS,
    feature_steps: int = FEATURE_STEPS,
) -> str:
    """Pack a study's model "ours", its screening and its tools; returns a summary.

    The packed model itself is measured: `count` skulls in the paper's mix are screened
    and compared with the held-out skulls, which are screened for the false alarms.
    Aligner and completer are left out where chapters 8 and 9 are not finished.  The
    index is written last, so that an interrupted call leaves no packed model; the same
    call resumes.

    Raises:
        SkfmError: where a stage is missing, and for a study of scans: the screening
            holds coarse copies of its training skulls, and no patient's may be packed.
    """
    data = study.finished(stage_names.DATA)
    if data.results["made_from"] != "phantoms":
        found = f"run {study.name!r} was trained on scans: a packed model holds coarse "
        raise SkfmError(found + "copies of its training skulls", "a run of phantoms")
    vqvae, ours = (study.finished(n) for n in (stage_names.VQVAE, stage_names.OURS))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    save_compact(vqvae.folder / VQVAE_WEIGHTS, folder / VQVAE_WEIGHTS)
    save_compact(ours.folder / WEIGHTS, folder / WEIGHTS)
    if ours.settings[MODEL].get("components"):
        save_compact(ours.folder / LINEAR, folder / LINEAR)
    packed = Package(folder, _index(study, vqvae, ours, folder))

    chosen = {"classifier_steps": classifier_steps, "packed": packed.fingerprint}
    stage = study.stage(STAGE, chosen, (stage_names.VQVAE, stage_names.OURS))
    screener = stage_screener(stage, classifier_steps)
    train = skulls(study, "train")
    save_ranges(folder / RANGES, screener.ranges, train.qualities)
    save_compact(stage.folder / CLASSIFIER, folder / CLASSIFIER)
    tools = _pack_tools(study, folder)
    packed.index["settings"].update(tools["settings"])
    packed.index["tools"].update(tools["records"])
    measured = MeasuredModel.of(stage, packed, count)
    results = measured.screened(screener)
    packed.index["screening"].update({k: counts_of(v) for k, v in results.items()})
    network = study_features(stage, train, feature_steps)
    packed.index["distances"].update(measured.distances(network, folder))
    packed.index["example"].update(measured.example(results["generated"], folder))
    stage.finish(**packed.index["screening"])
    write_index(folder, {k: v for k, v in packed.index.items() if k != "files"})
    return _summary(folder)


def _index(study: Study, vqvae: Stage, ours: Stage, folder: Path) -> dict[str, Any]:
    """The index, of which tools and screening are still empty."""
    settings = study.settings
    trained_by = {
        "vqvae": settings.vqvae.but(**vqvae.settings["vqvae"]),
        MODEL: settings.ours.but(**ours.settings[MODEL]),
    }
    groups = {**trained_by, "sampling": settings.sampling}
    names = (VQVAE_WEIGHTS, WEIGHTS, LINEAR)
    files = {n: folder / n for n in names if (folder / n).is_file()}
    train = skulls(study, "train")
    trained = {
        stage.name: {key: stage.made[key] for key in ("commit", "clean", "time")}
        for stage in (vqvae, ours)
    }
    return {
        "preset": settings.name,
        "settings": {name: group.as_dict() for name, group in groups.items()},
        "origin": {
            **provenance(),
            "run": study.name,
            "seed": study.seed,
            "kind": "phantom skulls",
            "skulls": len(train),
            "scores": dict(sorted(Counter(train.qualities).items())),
            "steps": {name: one.steps for name, one in trained_by.items()},
            "trained": trained,
        },
        "screening": {},
        "distances": {},
        "tools": {},
        "example": {},
        "files": {name: {"sha256": checksum(path)} for name, path in files.items()},
    }


def _pack_tools(study: Study, folder: Path) -> dict[str, dict[str, Any]]:
    """Pack the networks of the finished tasks: their settings and records."""
    settings, records = {}, {}
    for task in TASKS:
        (folder / task.weights).unlink(missing_ok=True)  # of another run
        if not study.is_finished(task.stage):
            print(f"without the {task.name}: {task.stage} is not finished")
            continue
        experiment = chosen_experiment(study, task)
        save_compact(experiment.folder / task.weights, folder / task.weights)
        group = getattr(study.settings, task.name).but(**experiment.settings[task.name])
        settings[task.name] = group.as_dict()
        errors = study.finished(task.stage).results[ERROR]
        records[task.name] = {"errors": errors, "about": describe(study, task)}
    return {"settings": settings, "records": records}


def _summary(folder: Path) -> str:
    index = read_index(folder)
    files: dict[str, dict[str, Any]] = index["files"]
    lines = [f"{one['bytes'] / 1e6:7.2f} MB  {name}" for name, one in files.items()]
    total = sum(one["bytes"] for one in files.values()) / 1e6
    screened: Sequence[tuple[str, dict[str, Any]]] = index["screening"].items()
    return "\n".join(
        [
            *lines,
            f"{total:7.2f} MB  together, in {folder}",
            *(f"{n}: {one['failed']} of {one['skulls']} fail" for n, one in screened),
        ]
    )
