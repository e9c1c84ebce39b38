"""Set the limits of presets, given by name, on their phantoms: `frozen_limits`."""

import sys
import tempfile
from pathlib import Path

from skfm_lib.evaluation.screening.frozen_limits import (
    FOLDER,
    freeze_preset,
    write_limits,
)

if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            write_limits(FOLDER / f"{name}.json", freeze_preset(name, Path(folder)))
