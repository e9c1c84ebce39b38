"""Train a share of chapter 14 without its notebook: `shares.train_share`.

    python -m skfm_lib.evaluation.privacy 1/2 --preset quick
    python -m skfm_lib.evaluation.privacy 2/2 --preset quick

in two shells at the same time; once both have ended, the chapter finds all of it
trained.  ``-p NAME VALUE`` gives a parameter of the chapter, the same to both.
"""

import sys
from collections.abc import Sequence

from skfm_lib.evaluation.privacy.plan import DEFAULTS, plan_of
from skfm_lib.evaluation.privacy.shares import MODULE, train_share
from skfm_lib.evaluation.share_command import run_share
from skfm_lib.study import Study


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a share and return the exit status, as that of `skfm`."""
    return run_share(arguments, MODULE, __doc__, DEFAULTS, _train)


def _train(study: Study, given: dict[str, object], index: int, count: int) -> None:
    train_share(plan_of(study, given), index, count)


if __name__ == "__main__":
    sys.exit(main())
