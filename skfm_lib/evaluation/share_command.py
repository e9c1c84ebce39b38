"""The command line of a chapter's trainings: ``python -m MODULE 1/2 --preset quick``.

The trainings of a chapter are divided into shares, one for each of several shells; once
all have ended, the chapter finds everything trained.  Networks of the smaller presets
do not keep two cores busy, so that two processes of one thread each are faster than one
of two threads (`study.parallel`).
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from skfm_lib.presets import NAMES
from skfm_lib.study import Study, open_study
from skfm_lib.study.parallel import cores_for, side_by_side
from skfm_lib.study.parameters import TYPES
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.subprocesses import SAYS
from skfm_lib.utils.values import conform, parse

PROCESSES = 2
Defaults = Mapping[str, tuple[str, Any]]  # parameter → type, and the chapter's default


def run_share(
    arguments: Sequence[str] | None,
    module: str,
    about: str | None,
    defaults: Defaults,
    train: Callable[[Study, dict[str, object], int, int], None],
) -> int:
    """Call ``train(study, parameters given, index, count)``; returns the exit status.

    An SkfmError is printed in one line, as `skfm` does.
    """
    options = _parser(module, about, defaults).parse_args(arguments)
    try:
        study = open_study(options.run, options.preset, options.seed)
        given = {name: parse(text) for name, text in options.parameters}
        train(study, given, *_share(options.share))
    except SkfmError as error:
        print(f"{SAYS}{error}", file=sys.stderr)
        return error.status
    return 0


def train_side_by_side(module: str, words: Sequence[str], missing: int) -> None:
    """Run the shares of a chapter at the same time, each in a process of one thread.

    Not for fewer than two `missing` trainings, nor on a GPU or where there is only one
    core.  `words` are the options of the command line that all shares get.

    Raises:
        SkfmError: what the first process that failed reports; the other one has ended.
    """
    if missing < PROCESSES or not cores_for(PROCESSES):
        return
    shares = [f"{i + 1}/{PROCESSES}" for i in range(PROCESSES)]
    commands = {f"share {one}": [one, *words] for one in shares}
    for error in side_by_side(commands, module).values():
        raise error


def values_of(given: Mapping[str, object], defaults: Defaults) -> dict[str, Any]:
    """The parameters of a chapter: those `given`, and the defaults of the others.

    Raises:
        SkfmError: for an unknown parameter, and for a value of another type.
    """
    if unknown := [name for name in given if name not in defaults]:
        raise SkfmError(f"parameter {unknown[0]!r}", f"one of {', '.join(defaults)}")
    values = {}
    for name, (kind, default) in defaults.items():
        hint = Optional[TYPES[kind]] if default is None else TYPES[kind]  # noqa: UP045
        values[name] = conform(name, given.get(name, default), hint)
    return values


def _share(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit()):
        raise SkfmError(f"share {text!r}", "such as 1/2")
    return int(index), int(count)


def _parser(
    module: str, about: str | None, defaults: Defaults
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"python -m {module}", description=about)
    parser.add_argument("share", nargs="?", default="1/1", help="such as 1/2")
    parser.add_argument("--preset", default="quick", help=", ".join(NAMES))
    parser.add_argument("--run", help="name of the run (default: the preset's)")
    parser.add_argument("--seed", type=int, default=0, help="the study's seed")
    parser.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help=f"a parameter of the chapter: {', '.join(defaults)}",
    )
    return parser
