"""The `skfm` command: a thin layer over the library's functions."""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from skfm_lib.cli.data import add_data_commands
from skfm_lib.cli.generate import add_generate_commands
from skfm_lib.cli.scan import add_tool_commands
from skfm_lib.cli.study import add_run_commands
from skfm_lib.presets import NAMES
from skfm_lib.study import Study, existing_study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.paths import project_root

EPILOG = """examples:
  skfm study                                 the whole study at preset quick
  skfm run 03 -p steps 200000 --preset small one notebook, with its parameters
  skfm train 03 --devices 4                  one stage on four GPUs, no notebook
  skfm prepare SCANS --out data/ward7        scans or meshes to a data set
  skfm sample                                public heads to try that on
  skfm study --run ward7 --data data/ward7   the study on them
  skfm plan --preset paper --memory 24       memory and time of every stage
  skfm generate --qs 5 --count 8 --out skulls by the model that comes with skfm
  skfm generate --mix paper --count 726 --screen --out set
  skfm card set                              the data card of that set
  skfm export SKULL --out a.stl --like SCAN  back into the patient's own frame
  skfm align SCAN --out placed               into the canonical pose, by a network
  skfm complete SCAN --out filled            what is missing, as points and implant
"""

SET_ASIDE = re.compile(r"\.[0-9a-f]{16}$")  # of a folder of other settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    0 on success, 1 after an error, which is printed in one line, and 75 when training
    was stopped and is saved: the same command resumes.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.do(options) or 0
    except SkfmError as error:
        print(f"skfm: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("\nskfm: interrupted; the same command resumes", file=sys.stderr)
        return 130


def status(options: argparse.Namespace) -> None:
    """Print every run and the state of its stages."""
    folders = sorted(p.parent for p in (project_root() / "runs").glob("*/run.json"))
    if not folders:
        print("no runs yet; next: skfm study")
    for folder in folders:
        try:
            made = existing_study(folder.name)
        except SkfmError as error:
            print(f"{folder.name}: {error}")
            continue
        print(f"{folder.name}: preset {made.settings.name}, seed {made.seed}")
        for stage in sorted(folder.glob("[0-9][0-9]_*/stage.json")):
            if SET_ASIDE.search(stage.parent.name):
                continue
            print(f"  {stage.parent.name:32} {_state(made, stage.parent.name)}")


def _state(made: Study, name: str) -> str:
    """``open``, ``stale`` or the seconds that the finished stage took."""
    if not (made.folder / name / "done.json").is_file():
        return "open"
    try:
        return f"{made.finished(name).made['seconds']:.0f} s"
    except SkfmError:
        return "stale"


def book(options: argparse.Namespace) -> int:
    """Build the book; it shows the latest run."""
    if options.publish:
        from skfm_lib.study.book import publish, shown
        from skfm_lib.study.runs import existing_study
        from skfm_lib.tasks.experiments.archive import archive

        publish()
        archive(existing_study(shown().run), project_root() / "book/experiments.zip")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", "book"]
    command += ["--all"] if options.fresh else []
    return subprocess.run(command, cwd=project_root(), check=False).returncode


def plan(options: argparse.Namespace) -> int:
    """Forecast the memory and time of a study, on this machine or on another GPU."""
    from skfm_lib.benchmarks.forecast import GIB, as_text, forecast, forecast_gpu
    from skfm_lib.presets import preset

    settings, limit = preset(options.preset), options.memory or options.gpu
    if options.tflops and not options.gpu:
        raise SkfmError("--tflops without --gpu", remedy="add --gpu GIB")
    if options.gpu:
        found = forecast_gpu(settings, int(options.gpu * GIB), options.tflops)
    else:
        found = forecast(settings)
    print(as_text(found, limit))
    return 1 if limit and any(one.memory > limit * GIB for one in found) else 0


def check_device(options: argparse.Namespace) -> int:
    """Check that this machine's device computes what it should, in ten minutes."""
    from skfm_lib.benchmarks.device_check import CHECKS, as_page, check
    from skfm_lib.utils.device import pick_device
    from skfm_lib.utils.files import write_json

    names = [name for name in CHECKS if not options.only or options.only in name]
    if not names:
        raise SkfmError(f"--only {options.only!r}", "; ".join(CHECKS))
    findings = check(pick_device(), names)
    print(as_page(findings))
    if options.json:
        write_json(options.json, {one.name: vars(one) for one in findings})
    return 1 if any(one.failure for one in findings) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "skfm",
        description="Synthetic skulls by flow matching.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_run_commands(commands, _add)
    add_data_commands(commands, _add)
    add_generate_commands(commands, _add)
    add_tool_commands(commands, _add)
    command = _add(commands, "plan", plan)
    command.add_argument("--preset", default="quick", help=f"{', '.join(NAMES)}")
    command.add_argument("--memory", type=float, help="GiB available")
    command.add_argument("--gpu", type=float, help="plan for a GPU of so many GiB")
    command.add_argument(
        "--tflops", type=float, help="its speed in TFLOP/s, for the time"
    )
    command = _add(commands, "check-device", check_device)
    command.add_argument("--only", help="the checks whose names hold these words")
    command.add_argument("--json", type=Path, help="also write the results here")
    command = _add(commands, "status", status)
    command = _add(commands, "book", book)
    command.add_argument("--fresh", action="store_true", help="rebuild every page")
    command.add_argument(
        "--publish",
        action="store_true",
        help="commit the shown run's records to the book",
    )
    return parser


def _add(
    commands: argparse._SubParsersAction, name: str, do: Callable
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=do.__doc__, description=do.__doc__)
    command.set_defaults(do=do)
    return command
