"""The data card of a generated set: ``card.md``, of what was measured and recorded."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.manifest import read_manifest
from skfm_lib.evaluation.screening.measures import Measurements, measure_skulls
from skfm_lib.evaluation.screening.reference_ranges import distance_to_nearest
from skfm_lib.evaluation.screening.screener import Screener, study_screener
from skfm_lib.generation import RECORD
from skfm_lib.metrics import share
from skfm_lib.reference_model.comparison_set import FEWEST, ComparisonSet
from skfm_lib.reference_model.findings import privacy_rows, steps_rows
from skfm_lib.reference_model.loading import load_reference, load_screener
from skfm_lib.reference_model.model_card import (
    distance_rows,
    markdown_table,
    model_rows,
    screening_rows,
)
from skfm_lib.reference_model.package import Package, find_package
from skfm_lib.study import Study, stage_names
from skfm_lib.study.data_stage import skulls
from skfm_lib.training.feature_net import study_features
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, replacing

CARD, MADE = "card.md", "made.json"  # of a set's folder
PACKED = "the packed model"
INTENDED = """For research on methods: training and testing of segmentation,
registration, completion and shape models, teaching, and as a set that can be shared
where patients' scans cannot."""
PHANTOMS = """- The model was trained on phantoms: procedural skulls from published
  craniometry. The set is no evidence about anatomy or its frequencies."""
SCANS = """- The model was trained on scans. Chapter 14 of its study measures what its
  skulls reveal of them; whether they may be shared is for you to decide."""
LIMITS = """- The grid is coarse: walls thinner than a voxel are fractions of bone.
- The screening finds gross failures by fourteen measures; a skull that passes may still
  be wrong."""
LICENCE = """MIT, as skfm. Please cite the paper and the software (`CITATION.cff`)."""
WARNING = "Not a medical device: not for diagnosis, planning or treatment."


@dataclass(frozen=True)
class Reference:
    """What a set is compared with: a screener, and the skulls that none trained on."""

    name: str
    screener: Screener
    held_out: ComparisonSet | None


def write_card(folder: Path, study: Study | None = None) -> Path:
    """Write ``card.md`` of a set that `skfm generate` made; returns its path.

    With a study, the set is compared with its training and test skulls; otherwise with
    those of the packed model, if that made the set.

    Raises:
        SkfmError: for a folder without such a set, and for a study whose chapter 7 is
            not finished.
    """
    settings = read_json(folder / "settings.json")
    if "trained" not in settings:
        found = f"{folder} holds no set of skfm generate"
        raise SkfmError(found, "its settings.json", "skfm generate --help")
    own = _own_package(settings["trained"])
    reference = _reference(study, own)
    made = SkullSet(folder, "train")
    measured = measure_skulls(made, "skulls")
    sections = {
        "What it is": _content(folder, made, settings, own),
        "Screening": _screening(folder),
        "Distance to held-out skulls": _distance(reference, made, measured, own),
        "Copies": _copies(reference, measured),
        "How it was made": _origin(folder, settings),
        "Intended use": INTENDED,
        "Limits": "\n".join(_data(study, own) + [LIMITS]),
        "Licence": LICENCE,
    }
    parts = [f"# Data card: {folder.resolve().name}", f"**{WARNING}**"]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    with replacing(folder / CARD) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return folder / CARD


def _own_package(trained: str) -> Package | None:
    """The packed model, if it is the one that made a set."""
    package = find_package()
    return package if package and package.fingerprint == trained else None


def _data(study: Study | None, package: Package | None) -> list[str]:
    """What the training skulls imply, if it is known what they were."""
    if study is None:
        return [PHANTOMS] if package else []
    made_from = study.finished(stage_names.DATA).results["made_from"]
    return [PHANTOMS if made_from == "phantoms" else SCANS]


def _reference(study: Study | None, package: Package | None) -> Reference | None:
    if study:
        study.finished(stage_names.FAILURES)  # or it raises
        screener, name = study_screener(study), f"run {study.name}"
        return Reference(name, screener, _held_out(study)) if screener else None
    if package:
        given = load_screener(package), load_reference(package)
        return Reference(PACKED, *given)
    return None


def _held_out(study: Study) -> ComparisonSet | None:
    """The test skulls in the features of chapter 6; None where that is not finished."""
    if not study.is_finished(stage_names.METRICS):
        return None
    stage = study.finished(stage_names.METRICS)
    train, test = skulls(study, "train"), skulls(study, "test")
    network = study_features(stage, train, stage.settings["feature_steps"])
    return ComparisonSet.of(network, test, measure_skulls(test, "held-out skulls"))


def _content(
    folder: Path, made: SkullSet, settings: dict[str, Any], package: Package | None
) -> str:
    counts = {f"QS {q}": str(n) for q, n in sorted(Counter(made.qualities).items())}
    scores = markdown_table({"skulls": {**counts, "all": str(len(made))}})
    d, h, w = made.shape
    text = (
        f"{len(made)} synthetic skulls as volumes of {d}×{h}×{w} voxels of "
        f"{made.grid.spacing:g} mm (NIfTI, RAS, fraction of bone as bytes), by quality "
        f"score (QS: how much of the skull a scan shows):\n\n{scores}\n\n"
        f"Model `{settings['made from']}`, weights `{settings['trained']}`"
    )
    if package is None:
        return text + "; of a study, not the packed model."
    about = {name: {"": value} for name, value in model_rows(package.index).items()}
    screened = markdown_table(screening_rows(package.index))
    return (
        f"{text}, {PACKED} of skfm:\n\n{markdown_table(about)}\n\n"
        f"Its screening when it was packed, without redrawing:\n\n{screened}\n\n"
        f"{_few_steps(package)}"
        "What its weights and its skulls disclose of the skulls that it was trained "
        f"on:\n\n{markdown_table(privacy_rows(package))}"
    )


def _few_steps(package: Package) -> str:
    rows = steps_rows(package)
    text = f"In fewer steps of the sampler:\n\n{markdown_table(rows)}\n\n"
    return text if rows else ""


def _screening(folder: Path) -> str:
    path, names = folder / RECORD, [skull.name for skull in read_manifest(folder)]
    if not path.is_file():
        return "Not screened."
    record = read_json(path)
    drawn = [found for name in names for found in record.get(name, [])]
    kept = [record[name][-1] for name in names if record.get(name)]
    rows = {
        "drawn": {"skulls": str(len(drawn)), "failed": str(share(_flags(drawn)))},
        "in this set": {"skulls": str(len(kept)), "failed": str(share(_flags(kept)))},
    }
    measures = Counter(_measure(reason) for found in drawn for reason in found)
    text = markdown_table(rows) + "\n\nFailed: beyond the limits of a measure of real "
    text += "skulls, or of another score than requested. With Wilson's 95 % intervals."
    if measures:
        most = ", ".join(f"{name} {n}" for name, n in measures.most_common())
        text += f" Reasons, of which a skull may have several: {most}."
    return text


def _distance(
    reference: Reference | None,
    made: SkullSet,
    measured: Measurements,
    package: Package | None,
) -> str:
    if reference is None or reference.held_out is None:
        return (
            "Left out: it needs the held-out skulls of a study whose chapter 6 is "
            "finished (`skfm card SET --run quick`)."
        )
    held_out = reference.held_out
    count = min(len(made), len(held_out))
    if count < FEWEST:
        return f"Left out: it needs at least {FEWEST} skulls in both sets."
    rows = {name: str(v) for name, v in held_out.compare(made, measured).items()}
    table = {f"{count} of this set": rows}
    if package and reference.name == PACKED:
        table |= distance_rows(package.index)
    return (
        f"{markdown_table(table)}\n\n{count} of the test skulls of {reference.name}, "
        "on which no network was trained, against as many others, with 95 % intervals; "
        f"{held_out.caption(count)}. The anatomical distance is that of eleven "
        "measures. Mixes of scores are not matched."
    )


def _copies(reference: Reference | None, measured: Measurements) -> str:
    rows = {}
    if len(measured.blocks) > 1:
        within = distance_to_nearest(measured.blocks, measured.blocks, own=True)
        rows["another skull of this set"] = _distances(within)
    if reference:
        training = reference.screener.ranges.training
        label = f"a training skull of {reference.name}"
        rows[label] = _distances(distance_to_nearest(measured.blocks, training))
        among = distance_to_nearest(training, training, own=True)
        rows["of a training skull to another one"] = _distances(among)
    if not rows:
        return "Left out: one skull, and no training skulls at hand."
    text = markdown_table(rows) + "\n\n1 − Dice overlap in blocks of 8 mm with the "
    text += "nearest of the others; 0 would be a copy at that resolution."
    if not reference:
        text += " Not compared with training skulls: name their study by `--run`."
    return text


def _origin(folder: Path, settings: dict[str, Any]) -> str:
    rows = {name: {"": str(value)} for name, value in settings.items()}
    if (folder / MADE).is_file():
        made = read_json(folder / MADE)
        clean = "" if made["clean"] else ", with uncommitted changes"
        rows["command"] = {"": f"`{made['command']}`"}
        rows["commit"] = {"": f"`{made['commit']}`{clean}"}
        rows["date"] = {"": made["time"]}
        rows["device"] = {"": made["device"]}
    return markdown_table(rows)


def _distances(values: np.ndarray) -> dict[str, str]:
    names = ("least", "5 %", "median")
    found = np.quantile(values, (0, 0.05, 0.5))
    return {name: f"{value:.3f}" for name, value in zip(names, found)}


def _flags(found: list[list[str]]) -> np.ndarray:
    return np.array([bool(reasons) for reasons in found])


def _measure(reason: str) -> str:
    """The name of the measure of a reason such as ``vault holes 12.3 cm²``."""
    words = reason.split()
    numbers = [i for i, word in enumerate(words) if word[:1].isdigit()]
    return " ".join(words[: numbers[0]]) if numbers else reason
