"""Train a share of chapter 18 without its notebook: `shares.train_share`.

    python -m skfm_lib.evaluation.levers 1/2 --preset quick
    python -m skfm_lib.evaluation.levers 2/2 --preset quick

in two shells at the same time; once both have ended, the chapter finds all of it
trained.  ``-p NAME VALUE`` gives a parameter of the chapter, the same to both.
"""

import argparse
import sys
from collections.abc import Sequence

from skfm_lib.evaluation.levers.parameters import DEFAULTS, plan_of
from skfm_lib.evaluation.levers.shares import MODULE, train_share
from skfm_lib.presets import NAMES
from skfm_lib.study import open_study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.subprocesses import SAYS
from skfm_lib.utils.values import parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a share and return the exit status, as that of `skfm`."""
    options = _parser().parse_args(arguments)
    try:
        study = open_study(options.run, options.preset, options.seed)
        given = {name: parse(text) for name, text in options.parameters}
        train_share(plan_of(study, given), *_share(options.share))
    except SkfmError as error:
        print(f"{SAYS}{error}", file=sys.stderr)
        return error.status
    return 0


def _share(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit()):
        raise SkfmError(f"share {text!r}", "such as 1/2")
    return int(index), int(count)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"python -m {MODULE}", description=__doc__)
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
        help=f"a parameter of the chapter: {', '.join(DEFAULTS)}",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
