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

Group = tuple[str, ...]  # chapters that do not need each other

NEEDED = ("01", "02", "03", "04", "17", "05")  # the models, without which all ends
TASKS: Group = ("08", "09")  # in the short form trained on real skulls only
SHORT: list[Group] = [
    *(("01",), ("02", "08"), ("03", "04"), ("17", "09"), ("05",), ("06", "07"))
]
COMPLETE: list[Group] = [
    *(("01",), ("02",), ("03", "04"), ("17",), ("05",), ("06", "07"), TASKS)
]
LONGER: list[Group] = [("19",), ("14",), ("10",), ("13",), ("12",), ("16",), ("18",)]
REAL_SCAN: list[Group] = [("11",), ("15",)]
FULL_GRIDS = {number: [("plan", "all")] for number in TASKS}  # experiments.plan


def study(options: argparse.Namespace) -> int:
    """Run the core notebooks in order; finished stages are kept.

    On a CPU with several cores, chapters that do not need each other run side by side.
    Those after the models are run even if another of them fails; then the status is 1.
    """
    from skfm_lib.study.data_stage import real_heads

    made = open_study(options.run, options.preset, options.seed)
    real, status = True, 0
    try:
        real_heads()
    except SkfmError as reason:
        real = False
        print(f"chapters 11 and 15 are skipped: {reason}")
    for group in _groups(options.all, real):
        if options.all and group == TASKS:
            _sample_for_both(made)
        parameters = {number: _parameters(options, number) for number in group}
        for number, error in _run_group(options, parameters).items():
            if isinstance(error, Interrupted) or number in NEEDED:
                raise error
            print(f"skfm: {error}", file=sys.stderr)
            status = 1
    return status


def _groups(complete: bool, real: bool) -> list[Group]:
    """The chapters of a study, in order; groups of one where cores are lacking."""
    from skfm_lib.study.parallel import cores_for

    chapters = [*COMPLETE, *LONGER] if complete else SHORT
    return [
        part
        for group in [*chapters, *(REAL_SCAN if real else [])]
        for part in ([group] if cores_for(len(group)) else [(n,) for n in group])
    ]


def _sample_for_both(made: Study) -> None:
    """Generate the skulls and clouds of both grids, which share one folder."""
    from skfm_lib.evaluation.screening.screener import study_screener
    from skfm_lib.tasks import experiments

    with contextlib.suppress(SkfmError):  # the chapters report what is wrong
        for task in experiments.PLANS:
            grid = experiments.planned_grid(made, task, getattr(made.settings, task))
            names = list(grid.trainings)
            experiments.gather(made, names, grid.base, screening=study_screener)


def _parameters(options: argparse.Namespace, number: str) -> list[tuple[str, str]]:
    """The parameters of a chapter in a study."""
    if options.data and number == "01":
        return [("data", str(options.data.resolve()))]
    return FULL_GRIDS.get(number, []) if options.all else []


def _run_group(
    options: argparse.Namespace, parameters: dict[str, list[tuple[str, str]]]
) -> dict[str, SkfmError]:
    """Run chapters with their parameters; chapter → what went wrong."""
    from skfm_lib.study.notebooks import find_notebook
    from skfm_lib.study.parallel import side_by_side

    if len(parameters) > 1:
        words = {
            find_notebook(n).stem: _words(options, n, given)
            for n, given in parameters.items()
        }
        wrong = side_by_side(words)
        numbers = dict(zip(words, parameters))
        return {numbers[stem]: error for stem, error in wrong.items()}
    ((number, options.parameters),) = parameters.items()
    options.notebooks = [number]
    try:
        run(options)
    except SkfmError as error:
        return {number: error}
    return {}


def _words(
    options: argparse.Namespace, number: str, parameters: list[tuple[str, str]]
) -> list[str]:
    """A chapter as words of the command line."""
    words = ["run", number, "--preset", options.preset, "--seed", str(options.seed)]
    words += ["--run", options.run] if options.run else []
    return words + [word for name, value in parameters for word in ("-p", name, value)]


def run(options: argparse.Namespace) -> None:
    """Run notebooks, one after the other, into the run's folder."""
    from skfm_lib.study.notebooks import find_notebook, run_notebook

    made = open_study(options.run, options.preset, options.seed)
    sources = [find_notebook(number) for number in options.notebooks]
    if options.parameters and len(sources) > 1:
        names = " ".join(options.notebooks)
        raise SkfmError(f"-p for chapters {names}", "one chapter with its parameters")
    parameters = {name: parse(text) for name, text in options.parameters}
    common = {"preset": options.preset, "run": made.name, "seed": options.seed}
    for source in sources:
        target = made.folder / "notebooks" / source.name
        run_notebook(source, target, {**common, **parameters})


def train(options: argparse.Namespace) -> None:
    """Train stage 02, 03, 04 or 17 without its notebook, on one device or several."""
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
    command.add_argument(
        "notebooks", nargs="+", metavar="NOTEBOOK", help="its number, such as 03"
    )
    add_run_options(command)
    _add_parameters(command, "a parameter of the notebook")


def _train_command(commands: argparse._SubParsersAction, add: Add) -> None:
    command = add(commands, "train", train)
    command.add_argument("stage", choices=("02", "03", "04", "17"))
    command.add_argument("--devices", type=int, help="GPUs, or processes on a CPU")
    add_run_options(command)
    _add_parameters(command, "a setting of the stage; none turns one off")


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
