"""The runs of this project, by name."""

from pathlib import Path

from skfm_lib.presets import preset
from skfm_lib.study.store import Study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json
from skfm_lib.utils.paths import project_root


def open_study(
    run: str | None = None, preset_name: str = "quick", seed: int = 0
) -> Study:
    """The study ``runs/<run>`` of this project; a new one begins with its first stage.

    `run` defaults to the preset's name (with the seed, unless that is 0).  Raises
    SkfmError when the run exists with another preset or seed.
    """
    settings = preset(preset_name)
    name = run or (preset_name if seed == 0 else f"{preset_name}-seed{seed}")
    if Path(name).name != name or name == "..":
        raise SkfmError(f"run {name!r}", "a name without slashes", "choose another")
    folder = project_root() / "runs" / name
    if (folder / "run.json").is_file():
        found = read_json(folder / "run.json", "preset", "seed")
        if (found["preset"], found["seed"]) != (preset_name, seed):
            raise SkfmError(
                f"run {name!r} has preset {found['preset']} and seed {found['seed']}, "
                f"not {preset_name} and {seed}",
                remedy="choose another run name (-p run NAME)",
            )
    return Study(name, settings, seed, folder)


def existing_study(name: str) -> Study:
    """The run called `name`.

    Raises:
        SkfmError: where there is none, listing those that there are.
    """
    folder = project_root() / "runs"
    if not (folder / name / "run.json").is_file():
        runs = sorted(path.parent.name for path in folder.glob("*/run.json"))
        raise SkfmError(
            f"there is no run {name!r}",
            " or ".join(runs) or "a finished study",
            "name one of these by --run" if runs else "skfm study",
        )
    about = read_json(folder / name / "run.json", "preset", "seed")
    return Study(name, preset(about["preset"]), about["seed"], folder / name)
