"""The commands of `skfm` that apply trained networks to a scan of the user's."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skfm_lib.study import Study, existing_study
from skfm_lib.utils.errors import SkfmError

if TYPE_CHECKING:
    from skfm_lib.tasks.apply_to_scan import Tool
    from skfm_lib.tasks.task import Task

Add = Callable[..., argparse.ArgumentParser]
NETWORK, SHAPE_MODEL = "network", "shape-model"


def align(options: argparse.Namespace) -> None:
    """Bring a skull into its canonical pose, by the aligner that comes with skfm.

    Or with --run by that of a run's chapter 8.  Writes aligned.ply, aligned.nii.gz,
    matrix.txt (4×4) and aligned.json, with how sure that is.  No medical device.
    """
    from skfm_lib.tasks import apply_to_scan
    from skfm_lib.tasks.alignment import ALIGNMENT

    by = _source(options.run, ALIGNMENT)
    scan = apply_to_scan.read_one(options.scan, options.threshold, options.label)
    print(apply_to_scan.align_scan(scan, options.out, by))


def complete(options: argparse.Namespace) -> None:
    """Fill in what a skull lacks on one side, by the completer that comes with skfm.

    Or with --run by that of a run's chapter 9, or with --by shape-model without a
    network.  Writes completed.ply (points), implant.ply (a closed mesh) and
    implant.json; all in the canonical pose, into which the skull is brought first, as
    by skfm prepare.  No medical device.
    """
    from skfm_lib.tasks import apply_to_scan
    from skfm_lib.tasks.completion import COMPLETION

    if options.by == SHAPE_MODEL and options.run:
        found = f"--by {SHAPE_MODEL} with --run {options.run}"
        raise SkfmError(found, "a run is of a network: one of the two")
    by = None if options.by == SHAPE_MODEL else _source(options.run, COMPLETION)
    scan = apply_to_scan.read_one(options.scan, options.threshold, options.label)
    given = scan, options.out, by, options.aligned, options.near
    print(apply_to_scan.complete_scan(*given))


def _source(run: str | None, task: "Task[Any]") -> "Study | Tool[Any]":
    """The packed network of a task, or the run that is asked for.

    Where neither a run is named nor the network is packed, it is the run ``quick``.
    """
    from skfm_lib.reference_model import find_package, load_tool

    package = None if run else find_package()
    if package and task.name in package.index["tools"]:
        return load_tool(package, task)
    return existing_study(run or "quick")


def add_tool_commands(commands: argparse._SubParsersAction, add: Add) -> None:
    """Add these commands with `add`, the command line's own way to add one."""
    _options(add(commands, "align", align))
    command = _options(add(commands, "complete", complete))
    command.add_argument(
        "--aligned",
        action="store_true",
        help="the skull is in its canonical pose, as skfm align or prepare wrote it",
    )
    command.add_argument(
        "--by",
        choices=(NETWORK, SHAPE_MODEL),
        default=NETWORK,
        help="what makes the skull complete: the completer (default), or the linear "
        "shape model of phantoms that prepare fits, which for phantoms has closer "
        "implants (chapter 19)",
    )
    command.add_argument(
        "--near",
        nargs=3,
        type=float,
        metavar=("X", "Y", "Z"),
        help="a place in the defect, RAS mm of the scan: bone is missing within 50 mm "
        "of it, on whatever side",
    )


def _options(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("scan", type=Path, help="a scan or mesh, as `prepare` reads")
    command.add_argument("--out", type=Path, required=True, help="a folder")
    command.add_argument("--run", help="of whose network (default: that of skfm)")
    command.add_argument("--threshold", type=float, default=200.0, help="of bone, HU")
    command.add_argument(
        "--label", default="", help="the skull's in a segmentation: name or value"
    )
    return command
