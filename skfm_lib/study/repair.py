"""The command that runs chapters again as they were run before."""

import json
import shlex
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

COMMON = ("preset", "run", "seed")


def repair(run: Path, chapters: Sequence[str], preset: str, seed: int) -> str:
    """``skfm run 01 02 …``, or several, with the parameters of the former records.

    `run` is the folder of the run, whose records papermill has left in ``notebooks``.
    """
    options = f"--run {run.name} --preset {preset} --seed {seed}"
    commands = []
    for words, same in groupby(chapters, lambda number: _parameters(run, number)):
        numbers = " ".join(same)
        commands.append(f"skfm run {numbers} {options}{words}")
    return " && ".join(commands)


def _parameters(run: Path, number: str) -> str:
    """The parameters of a chapter's record, as words of the command line."""
    given: dict[str, object] = {}
    for path in sorted(run.glob(f"notebooks/{number}_*.ipynb")):
        if not path.stem.endswith(".failed"):
            given = _recorded(path)
    words = [
        f" -p {name} {shlex.quote(v if isinstance(v, str) else json.dumps(v))}"
        for name, v in given.items()
        if name not in COMMON and v is not None
    ]
    return "".join(words)


def _recorded(path: Path) -> dict[str, object]:
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
        return dict(metadata["papermill"]["parameters"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
