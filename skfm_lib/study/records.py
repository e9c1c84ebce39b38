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

import nbformat

from skfm_lib.study.captions import KEY
from skfm_lib.study.runs import existing_study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.paths import project_root

CHAPTER = re.compile(r"\d\d_\w+")  # not a copy, such as 03_train_otfm-Copy1
MADE_BY = {"run", "stage", "fingerprint"}  # of the metadata that `made_by` leaves
NOT_RUN = "not run"
DAMAGED = OSError, ValueError, KeyError, TypeError, AttributeError


@dataclass(frozen=True)
class Executed:
    """A chapter that was executed, well or not.

    Attributes:
        path: of the notebook.
        chapter: the name of its source, such as ``03_train_otfm``.
    """

    path: Path
    chapter: str

    @property
    def age(self) -> float:
        """When it was saved, in Unix seconds."""
        return self.path.stat().st_mtime


@dataclass(frozen=True)
class Record(Executed):
    """An executed chapter that ended well.

    Attributes:
        run: the run that it is of.
        stage: the finished stage that it shows.
        fingerprint: of that stage, when the chapter was executed.
    """

    run: str
    stage: str
    fingerprint: str

    @property
    def stale(self) -> str:
        """Why the run has moved on since, or ""."""
        try:
            found = existing_study(self.run).finished(self.stage)
        except SkfmError as error:
            return str(error)
        return "" if found.fingerprint == self.fingerprint else "its stage was run anew"


@dataclass(frozen=True)
class Unfinished(Executed):
    """An executed chapter that the book does not show.

    Attributes:
        run: the run in whose folder it is; "" elsewhere.
        why: what is wrong with it, in one line.
    """

    run: str
    why: str


def find_executed() -> list[Record | Unfinished]:
    """All executed chapters of this project, the oldest first."""
    root = project_root()
    paths = [
        *root.glob("runs/*/notebooks/[0-9][0-9]_*.ipynb"),
        *root.glob("notebooks/[0-9][0-9]_*.ipynb"),
        *root.glob("*.ipynb"),
    ]
    found = [executed for path in paths if (executed := _executed(path))]
    return sorted(found, key=lambda executed: executed.age)


def _executed(path: Path) -> Record | Unfinished | None:
    """What a notebook is; None for a clean source and for what is no chapter."""
    chapter = path.name.removesuffix(".ipynb").removesuffix(".failed")
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        ran = notebook["metadata"].get("papermill", {}).get("input_path")
        chapter = Path(ran).stem if ran else chapter
        nbformat.validate(nbformat.from_dict(notebook))
        made, why = made_by(notebook), _unfinished(notebook)
    except (*DAMAGED, nbformat.ValidationError) as error:
        made, why = {}, f"cannot be read ({type(error).__name__})"
    if not CHAPTER.fullmatch(chapter) or why == NOT_RUN:
        return None
    if why:
        run = path.parts[-3] if path.parts[-4:-3] == ("runs",) else ""
        return Unfinished(path, chapter, run, why)
    return Record(path, chapter, **{name: made[name] for name in MADE_BY})


def _unfinished(notebook: dict[str, Any]) -> str:
    """What keeps a notebook from being a record, or ""."""
    code = [c for c in notebook["cells"] if c["cell_type"] == "code" and c["source"]]
    outputs = [output for cell in code for output in cell["outputs"]]
    for output in outputs:
        if output["output_type"] == "error":
            line = f"{output['ename']}: {output['evalue']}".splitlines()[0]
            return f"ended in an error: {line}"
    ran = [cell for cell in code if cell["execution_count"] is not None]
    if not ran:
        return NOT_RUN
    complete = len(ran) == len(code) and made_by(notebook)
    return "" if complete else "was not run to its end"


def made_by(notebook: dict[str, Any]) -> dict[str, Any]:
    """What `view.tables.made_by` left in an executed notebook; {} without it."""
    found = [
        about[KEY]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        for about in output.get("metadata", {}).values()
        if isinstance(about, dict) and about.get(KEY, {}).keys() >= MADE_BY
    ]
    return found[-1] if found else {}
