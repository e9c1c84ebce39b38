"""The commands of `skfm` that put trained networks to a scan of the user's."""

import argparse
from collections.abc import Callable
from pathlib import Path

from skfm_lib.study import existing_study

Add = Callable[..., argparse.ArgumentParser]


def align(options: argparse.Namespace) -> None:
    """Bring a skull into its canonical pose, by the network of a run's chapter 8.

    Writes aligned.ply, aligned.nii.gz, matrix.txt (4×4) and aligned.json, with how
    sure that is.  No medical device.
    """
    from skfm_lib.tasks import apply_to_scan

    study = existing_study(options.run)
    scan = apply_to_scan.read_one(options.scan, options.threshold, options.label)
    print(apply_to_scan.align_scan(scan, options.out, study))


def complete(options: argparse.Namespace) -> None:
    """Fill in what a skull lacks on one side, by the network of a run's chapter 9.

    Writes completed.ply (points), implant.ply (a closed mesh) and implant.json; all in
    the canonical pose, into which the skull is brought first, as by skfm prepare.  No
    medical device.
    """
    from skfm_lib.tasks import apply_to_scan

    study = existing_study(options.run)
    scan = apply_to_scan.read_one(options.scan, options.threshold, options.label)
    given = scan, options.out, study, options.aligned, options.near
    print(apply_to_scan.complete_scan(*given))


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
        "--near",
        nargs=3,
        type=float,
        metavar=("X", "Y", "Z"),
        help="a place in the defect, RAS mm of the scan, on whatever side the bone is",
    )


def _options(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("scan", type=Path, help="a scan or mesh, as `prepare` reads")
    command.add_argument("--out", type=Path, required=True, help="a folder")
    command.add_argument("--run", default="quick", help="whose weights (quick)")
    command.add_argument("--threshold", type=float, default=200.0, help="of bone, HU")
    command.add_argument(
        "--label", default="", help="the skull's in a segmentation: name or value"
    )
    return command
