"""Where the project stands on this machine."""

from pathlib import Path

import skfm_lib
from skfm_lib.utils.errors import SkfmError


def project_root() -> Path:
    """The folder with this project's pyproject.toml, above the working directory.

    Falls back on the place that the library was installed from.
    """
    source = Path(skfm_lib.__file__).parents[1]
    for folder in (Path.cwd(), *Path.cwd().parents, source):
        if (folder / "pyproject.toml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise SkfmError(
        f"no skfm project at or above {Path.cwd()}",
        "a clone with notebooks/ and pyproject.toml",
        "cd to the project's folder",
    )
