"""Find the executed notebooks that the book can show.

A record is an executed chapter that ended well: one that `skfm` left in
``runs/<run>/notebooks/``, the output of a plain papermill in the project's folder, or
a notebook saved in JupyterLab after it was run to its end.  `view.tables.made_by`, the
last line of every chapter, leaves in it what made it.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skfm_lib.study.runs import existing_study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.paths import project_root

KEY = "skfm"  # of the metadata that `made_by` leaves
CHAPTER = re.compile(r"\d\d_\w+")  # not a copy, such as 03_train_otfm-Copy1


@dataclass(frozen=True)
class Record:
    """An executed chapter.

    Attributes:
        chapter: the name of its notebook, such as ``03_train_otfm``.
        run: the run that it is of.
        stage: the finished stage that it shows.
        fingerprint: of that stage, when the chapter was executed.
    """

    path: Path
    chapter: str
    run: str
    stage: str
    fingerprint: str

    @property
    def age(self) -> float:
        """When it was saved, in Unix seconds."""
        return self.path.stat().st_mtime

    @property
    def stale(self) -> str:
        """Why the run has moved on since, or ""."""
        try:
            found = existing_study(self.run).finished(self.stage)
        except SkfmError as error:
            return str(error)
        return "" if found.fingerprint == self.fingerprint else "its stage was run anew"


def find_records() -> list[Record]:
    """All records of this project, the oldest first."""
    root = project_root()
    paths = [
        *root.glob("runs/*/notebooks/[0-9][0-9]_*.ipynb"),
        *root.glob("notebooks/[0-9][0-9]_*.ipynb"),
        *root.glob("*.ipynb"),
    ]
    found = [record for path in paths if (record := _record(path))]
    return sorted(found, key=lambda record: record.age)


def _record(path: Path) -> Record | None:
    """The record in a notebook; None where it is not one, or ended in an error."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        outputs = [o for c in notebook["cells"] for o in c.get("outputs", [])]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if any(output["output_type"] == "error" for output in outputs):
        return None
    made = [m[KEY] for o in outputs for m in _metadata(o) if KEY in m]
    if not made:
        return None
    ran = notebook.get("metadata", {}).get("papermill", {}).get("input_path")
    chapter = Path(ran or path).stem
    fields = {"run", "stage", "fingerprint"}
    if not CHAPTER.fullmatch(chapter) or not made[-1].keys() >= fields:
        return None
    return Record(path, chapter, **{name: made[-1][name] for name in fields})


def _metadata(output: dict[str, Any]) -> list[dict[str, Any]]:
    found = output.get("metadata", {}).values()
    return [value for value in found if isinstance(value, dict)]
