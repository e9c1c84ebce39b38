"""The command line of what is measured of a packed model after it was packed."""

import sys
from collections.abc import Callable

from skfm_lib.reference_model.package import Package, open_package
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.subprocesses import SAYS


def run_measurement(measure: Callable[[Package], object], name: str) -> int:
    """Measure the packed model, say where the findings are; the exit status.

    `name` is the file of the findings.  An SkfmError is printed in one line, as `skfm`
    does.
    """
    try:
        package = open_package()
        measure(package)
        print(f"findings: {package.folder / name}")
    except SkfmError as error:
        print(f"{SAYS}{error}", file=sys.stderr)
        return error.status
    return 0
