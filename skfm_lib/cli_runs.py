"""The commands of `skfm` that run the study, whole or in part."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from skfm_lib.errors import Interrupted, SkfmError
from skfm_lib.presets import NAMES
from skfm_lib.study import open_study

Add = Callable[..., argparse.ArgumentParser]

MAKING = ("01", "02", "03", "04", "05")  # each needs the one before
JUDGING = ("06", "07", "08", "09")
LONGER = ("14", "10", "13", "12")
GRIDS = ("08", "09")  # of experiments, of which the core study runs one each
WHOLE = [("sets", "all"), ("seeds", "[0, 1, 2]")]
REAL_SCAN = ("11", "15")


def study(options: argparse.Namespace) -> int:
    """Run the core notebooks in order; finished stages are kept.

    Chapters that judge do without each other: where one cannot be made of this
    data, the others are, and the status is 1.
    """
    from skfm_lib.book import show_run
    from skfm_lib.material import real_scans

    made = open_study(options.run, options.preset, options.seed)
    scans = real_scans()
    if not scans.is_dir():
        numbers = " and ".join(REAL_SCAN)
        print(f"chapters {numbers} are skipped: no folder {scans} with a head CT")
    chapters = [*MAKING, *JUDGING, *(LONGER if options.all else ())]
    status = 0
    for number in chapters + list(REAL_SCAN) * scans.is_dir():
        options.notebook = number
        options.parameters = WHOLE if options.all and number in GRIDS else []
        if options.data and number == MAKING[0]:
            options.parameters = [("data", str(options.data.resolve()))]
        try:
            run(options)
        except Interrupted:
            raise
        except SkfmError as error:
            if number in MAKING:
                raise
            print(f"skfm: {error}", file=sys.stderr)
            status = 1
        show_run(made.name)
    return status


def run(options: argparse.Namespace) -> None:
    """Run one notebook into the run's folder."""
    from skfm_lib.notebooks import find_notebook, run_notebook

    made = open_study(options.run, options.preset, options.seed)
    source = find_notebook(options.notebook)
    given = {name: value(text) for name, text in options.parameters}
    common = {"preset": options.preset, "run": made.name, "seed": options.seed}
    target = made.folder / "notebooks" / source.name
    run_notebook(source, target, {**common, **given})


def train(options: argparse.Namespace) -> None:
    """Train stage 02, 03 or 04 without its notebook, on one device or several."""
    from skfm_lib.train import train as train_stage

    given = {name: value(text) for name, text in options.parameters}
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


def value(text: str) -> object:
    """What a parameter's words mean: JSON, in which 1e-4 is a number, or YAML."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)
