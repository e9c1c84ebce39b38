"""The `skfm` command: thin words over the library's functions."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from skfm_lib.cli_data import add_data_commands
from skfm_lib.cli_tools import add_tool_commands
from skfm_lib.errors import Interrupted, SkfmError
from skfm_lib.presets import NAMES, QUALITY_SCORES
from skfm_lib.study import open_study, project_root, read_json

MAKING = ("01", "02", "03", "04", "05")  # each needs the one before
JUDGING = ("06", "07")
LONGER = ("14", "10", "13", "08", "09", "12")
GRIDS = ("08", "09")  # whose experiments are a grid: whole, three seeds
WHOLE = [("sets", "all"), ("seeds", "[0, 1, 2]")]
REAL_SCAN = "11"
MODELS = ("otfm", "ddpm", "shortcut")
EPILOG = """examples:
  skfm study                                 the whole study at preset quick
  skfm run 03 -p steps 200000 --preset small one notebook, with its parameters
  skfm train 03 --devices 4                  one stage on four GPUs, no notebook
  skfm prepare SCANS --out data/ward7        scans or meshes to a data set
  skfm sample                                a public head CT to try that on
  skfm study --run ward7 --data data/ward7   the study on them
  skfm plan --preset paper --memory 24       memory and time of every stage
  skfm generate --qs 5 --count 8 --out skulls
  skfm export SKULL --out a.stl --like SCAN  back into the patient's own frame
  skfm align SCAN --out placed               into the canonical pose, by a network
  skfm complete SCAN --out filled            what is missing, as points and implant
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if all went well, 1 after an error said in one line.

    75 when training was told to stop, and is saved: the same command goes on.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.do(options) or 0
    except SkfmError as error:
        print(f"skfm: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("\nskfm: interrupted; the same command goes on", file=sys.stderr)
        return 130


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
        print(f"chapter {REAL_SCAN} is skipped: no folder {scans} with a head CT")
    chapters = [*MAKING, *JUDGING, *(LONGER if options.all else ())]
    status = 0
    for number in chapters + [REAL_SCAN] * scans.is_dir():
        options.notebook = number
        options.parameters = WHOLE if number in GRIDS else []
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
    given = {name: _value(text) for name, text in options.parameters}
    common = {"preset": options.preset, "run": made.name, "seed": options.seed}
    target = made.folder / "notebooks" / source.name
    run_notebook(source, target, {**common, **given})


def train(options: argparse.Namespace) -> None:
    """Train stage 02, 03 or 04 without its notebook, on one device or several."""
    from skfm_lib.train import train as train_stage

    given = {name: _value(text) for name, text in options.parameters}
    study = (options.run, options.preset, options.seed)
    train_stage(options.stage, options.devices, given, *study)


def status(options: argparse.Namespace) -> None:
    """Print every run and how far its stages are."""
    folders = sorted(p.parent for p in (project_root() / "runs").glob("*/run.json"))
    if not folders:
        print("no runs yet; next: skfm study")
    for folder in folders:
        about = read_json(folder / "run.json")
        print(f"{folder.name}: preset {about['preset']}, seed {about['seed']}")
        for stage in sorted(folder.glob("[0-9][0-9]_*/stage.json")):
            done = stage.with_name("done.json")
            state = f"{read_json(done)['seconds']:.0f} s" if done.is_file() else "open"
            print(f"  {stage.parent.name:32} {state}")


def generate(options: argparse.Namespace) -> None:
    """Draw skulls of one quality score as volumes and meshes."""
    from skfm_lib import generation

    made = open_study(options.run, options.preset, options.run_seed)
    sampling, few = made.settings.sampling, options.model == "shortcut"
    method = options.method or generation.SAMPLERS[options.model][0]
    steps = options.steps or (generation.FEW_STEPS if few else sampling.steps)
    generation.generate_skulls(
        generation.load_generator(made, options.model),
        options.out,
        [options.qs] * options.count,
        options.seed,
        generation.Sampler(method, steps, options.guidance, options.shift),
        sampling.batch,
        options.mesh,
    )


def book(options: argparse.Namespace) -> int:
    """Build the book; it shows the latest run."""
    if options.publish:
        from skfm_lib.book import publish

        publish()
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", "book"]
    command += ["--all"] if options.fresh else []
    return subprocess.run(command, cwd=project_root(), check=False).returncode


def plan(options: argparse.Namespace) -> int:
    """Say what memory and time a study would take on this machine."""
    from skfm_lib.plan import GIB, as_text, forecast
    from skfm_lib.presets import preset

    found = forecast(preset(options.preset))
    print(as_text(found, options.memory))
    limit = options.memory or float("inf")
    return 1 if any(one.memory > limit * GIB for one in found) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "skfm",
        description="Synthetic skulls by flow matching.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _study_command(commands)
    _run_command(commands)
    _train_command(commands)
    add_data_commands(commands, _add)
    _generate_command(commands)
    add_tool_commands(commands, _add)
    command = _add(commands, "plan", plan)
    command.add_argument("--preset", default="quick", help=f"{', '.join(NAMES)}")
    command.add_argument("--memory", type=float, help="GiB that there are")
    command = _add(commands, "status", status)
    command = _add(commands, "book", book)
    command.add_argument("--fresh", action="store_true", help="build every page anew")
    command.add_argument(
        "--publish",
        action="store_true",
        help="make the shown run's records those that come with the book",
    )
    return parser


def _add(
    commands: argparse._SubParsersAction, name: str, do
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=do.__doc__, description=do.__doc__)
    command.set_defaults(do=do)
    return command


def _add_run(command: argparse.ArgumentParser, seed: str = "--seed") -> None:
    command.add_argument("--preset", default="quick", help=f"{', '.join(NAMES)}")
    command.add_argument("--run", help="name of the run (default: the preset's)")
    command.add_argument(seed, type=int, default=0, help="the study's seed")


def _study_command(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "study", study)
    _add_run(command)
    command.add_argument(
        "--data", type=Path, help="a data set of `skfm prepare`; else phantoms"
    )
    command.add_argument("--all", action="store_true", help="longer chapters, too")


def _run_command(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "run", run)
    command.add_argument("notebook", help="its number, such as 03")
    _add_run(command)
    _add_parameters(command, "a parameter of the notebook")


def _train_command(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "train", train)
    command.add_argument("stage", choices=("02", "03", "04"))
    command.add_argument("--devices", type=int, help="GPUs, or processes on a CPU")
    _add_run(command)
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


def _value(text: str) -> object:
    """What a parameter's words mean: JSON, in which 1e-4 is a number, or YAML."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


def _generate_command(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "generate", generate)
    command.add_argument("--qs", type=int, choices=QUALITY_SCORES, required=True)
    command.add_argument("--count", type=int, default=1)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--model", default="otfm", choices=MODELS)
    command.add_argument("--method", help="euler, midpoint, heun; ancestral, ddim")
    command.add_argument("--steps", type=int, help="S (default: the preset's)")
    command.add_argument("--guidance", type=float, default=1.0)
    command.add_argument("--shift", type=float, default=1.0, help="of OTFM's times")
    command.add_argument("--mesh", default="ply", choices=("ply", "stl"))
    command.add_argument("--seed", type=int, default=0, help="of the skulls")
    _add_run(command, "--run-seed")
