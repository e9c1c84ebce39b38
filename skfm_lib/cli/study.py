"""The commands of `skfm` that run the study, whole or in part."""

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

from skfm_lib.presets import NAMES
from skfm_lib.study import Study, open_study
from skfm_lib.utils.errors import Interrupted, SkfmError
from skfm_lib.utils.values import parse

Add = Callable[..., argparse.ArgumentParser]

Group = tuple[str, ...]  # chapters that do without each other

MAKING: list[Group] = [("01",), ("02",), ("03", "04"), ("05",)]  # each needs the former
GRIDS: Group = ("08", "09")  # of experiments, of which the core study runs one each
JUDGING: list[Group] = [("06", "07"), GRIDS]
LONGER: list[Group] = [("14",), ("10",), ("13",), ("12",)]
GRID = [("sets", "all"), ("seeds", "[0, 1, 2]")]
WHOLE = {"08": [*GRID, ("more_seeds", "[3, 4, 5]")], "09": GRID}
REAL_SCAN: list[Group] = [("11",), ("15",)]


def study(options: argparse.Namespace) -> int:
    """Run the core notebooks in order; finished stages are kept.

    On a CPU with several cores, chapters that do without each other run side by side.
    Those that judge are made even if another cannot be made of this data; then the
    status is 1.
    """
    from skfm_lib.study.book import show_run
    from skfm_lib.study.data_stage import real_scans

    made = open_study(options.run, options.preset, options.seed)
    making = {number for group in MAKING for number in group}
    scans, status = real_scans(), 0
    if not scans.is_dir():
        numbers = " and ".join(number for (number,) in REAL_SCAN)
        print(f"chapters {numbers} are skipped: no folder {scans} with a head CT")
    for group in _groups(options.all, scans.is_dir()):
        if options.all and group == GRIDS:
            _draw_for_both(made)
        given = {number: _given(options, number) for number in group}
        for error in _run_group(options, given).values():
            if isinstance(error, Interrupted) or making.intersection(group):
                raise error
            print(f"skfm: {error}", file=sys.stderr)
            status = 1
        show_run(made.name)
    return status


def _groups(whole: bool, real: bool) -> list[Group]:
    """The chapters of a study, in order; groups of one where cores are lacking."""
    from skfm_lib.study.parallel import cores_for

    groups = [
        *MAKING,
        *JUDGING,
        *(LONGER if whole else []),
        *(REAL_SCAN if real else []),
    ]
    return [
        part
        for group in groups
        for part in ([group] if cores_for(len(group)) else [(n,) for n in group])
    ]


def _draw_for_both(made: Study) -> None:
    """Make the skulls and clouds of both grids, which share one folder for them."""
    from skfm_lib.tasks.experiments import MIXES, gather

    with contextlib.suppress(SkfmError):  # what is wrong, the chapters say
        gather(made, list(MIXES))


def _given(options: argparse.Namespace, number: str) -> list[tuple[str, str]]:
    """The parameters of a chapter in a study."""
    if options.data and number == "01":
        return [("data", str(options.data.resolve()))]
    return WHOLE.get(number, []) if options.all else []


def _run_group(
    options: argparse.Namespace, given: dict[str, list[tuple[str, str]]]
) -> dict[str, SkfmError]:
    """Run chapters with the parameters `given`; chapter → what went wrong."""
    from skfm_lib.study.notebooks import find_notebook
    from skfm_lib.study.parallel import side_by_side

    if len(given) > 1:
        words = {n: _words(options, n, parameters) for n, parameters in given.items()}
        return side_by_side({find_notebook(n).stem: w for n, w in words.items()})
    ((options.notebook, options.parameters),) = given.items()
    try:
        run(options)
    except SkfmError as error:
        return {options.notebook: error}
    return {}


def _words(
    options: argparse.Namespace, number: str, given: list[tuple[str, str]]
) -> list[str]:
    """A chapter as words of the command line."""
    words = ["run", number, "--preset", options.preset, "--seed", str(options.seed)]
    words += ["--run", options.run] if options.run else []
    return words + [word for name, value in given for word in ("-p", name, value)]


def run(options: argparse.Namespace) -> None:
    """Run one notebook into the run's folder."""
    from skfm_lib.study.notebooks import find_notebook, run_notebook

    made = open_study(options.run, options.preset, options.seed)
    source = find_notebook(options.notebook)
    given = {name: parse(text) for name, text in options.parameters}
    common = {"preset": options.preset, "run": made.name, "seed": options.seed}
    target = made.folder / "notebooks" / source.name
    run_notebook(source, target, {**common, **given})


def train(options: argparse.Namespace) -> None:
    """Train stage 02, 03 or 04 without its notebook, on one device or several."""
    from skfm_lib.training.run_stage import train as train_stage

    given = {name: parse(text) for name, text in options.parameters}
    study = (options.run, options.preset, options.seed)
    train_stage(options.stage, options.devices, given, *study)


def add_run_commands(commands: argparse._SubParsersAction, add: Add) -> None:
    """`study`, `run` and `train`."""
    _study_command(commands, add)
    _run_command(commands, add)
    _train_command(commands, add)


def add_run_options(command: argparse.ArgumentParser, seed: str = "--seed") -> None:
    """Which run is meant: its preset, its name, its seed."""
    command.add_argument("--preset", default="quick", help=f"{', '.join(NAMES)}")
    command.add_argument("--run", help="name of the run (default: the preset's)")
    command.add_argument(seed, type=int, default=0, help="the study's seed")


def _study_command(commands: argparse._SubParsersAction, add: Add) -> None:
    command = add(commands, "study", study)
    add_run_options(command)
    command.add_argument(
        "--data", type=Path, help="a data set of `skfm prepare`; else phantoms"
    )
    command.add_argument(
        "--all", action="store_true", help="longer chapters, too: hours"
    )


def _run_command(commands: argparse._SubParsersAction, add: Add) -> None:
    command = add(commands, "run", run)
    command.add_argument("notebook", help="its number, such as 03")
    add_run_options(command)
    _add_parameters(command, "a parameter of the notebook")


def _train_command(commands: argparse._SubParsersAction, add: Add) -> None:
    command = add(commands, "train", train)
    command.add_argument("stage", choices=("02", "03", "04"))
    command.add_argument("--devices", type=int, help="GPUs, or processes on a CPU")
    add_run_options(command)
    _add_parameters(command, "a setting of the stage's network or training")


def _add_parameters(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help=what,
    )
