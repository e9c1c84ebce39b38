"""The command that runs chapters again as they were run before."""

import json
import shlex
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from skfm_lib.study.stage_names import PARAMETERS

COMMON = ("preset", "run", "seed")


def repair(run: Path, stages: Sequence[str], preset: str, seed: int) -> str:
    """``skfm run 01 02 …``, or several, with the parameters of the former records.

    `run` is the folder of the run, whose records papermill has left in ``notebooks``,
    and `stages` are names of stages, which begin with the number of their chapter.
    """
    options = f"--run {run.name} --preset {preset} --seed {seed}"
    commands = []
    chapters = dict.fromkeys((name[:2], _parameters(run, name)) for name in stages)
    for words, same in groupby(chapters, lambda chapter: chapter[1]):
        numbers = " ".join(number for number, _ in same)
        commands.append(f"skfm run {numbers} {options}{words}")
    return " && ".join(commands)


def _parameters(run: Path, stage: str) -> str:
    """The parameters of a chapter's record, as words of the command line.

    Those that select one of its stages (`PARAMETERS`) are those of `stage`.
    """
    given: dict[str, object] = {}
    for path in sorted(run.glob(f"notebooks/{stage[:2]}_*.ipynb")):
        if not path.stem.endswith(".failed"):
            given = _recorded(path)
    selecting = {name for own in PARAMETERS.values() for name in own}
    given = {k: v for k, v in given.items() if k not in selecting}
    given |= PARAMETERS.get(stage, {})
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
