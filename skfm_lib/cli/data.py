"""The commands of `skfm` that bring scans in and take skulls out."""

import argparse
from collections.abc import Callable
from pathlib import Path

Add = Callable[..., argparse.ArgumentParser]


def prepare(options: argparse.Namespace) -> int:
    """Turn a folder of scans or meshes into a data set.

    Scans: DICOM series, NIfTI, NRRD, MetaImage, InVesalius projects; meshes: STL, PLY,
    OBJ, OFF, VTP, GLB; also within zip and tar archives.
    """
    from skfm_lib.prepare.pipeline import prepare as prepare_folder
    from skfm_lib.prepare.pipeline import who_is_who
    from skfm_lib.presets import preset

    shape = preset(options.preset).vqvae.output_shape
    if options.names:
        for name, file in who_is_who(options.folder, options.out).items():
            print(f"{name}  {file}")
        return 0
    report = prepare_folder(
        options.folder,
        options.out,
        shape=shape,
        threshold=options.threshold,
        labels=options.labels,
        strict=options.strict,
        seed=options.seed,
        keep_names=options.keep_names,
        accept=options.accept,
        workers=options.workers,
        population=options.population,
    )
    print(report)
    if report.problems and not options.keep_names:
        print("Which is which: the same command with --names")
    return 1 if report.problems else 0


def export(options: argparse.Namespace) -> None:
    """Write a skull as a volume or mesh in mm, also in its patient's own frame."""
    from skfm_lib.data.io.sandbox import Sandbox
    from skfm_lib.prepare.export import export as export_skull

    with Sandbox() as sandbox:
        export_skull(options.skull, options.out, sandbox, options.like, options.record)


def sample(options: argparse.Namespace) -> None:
    """Fetch a public head CT to try things on: InVesalius' sample, 19 MB."""
    from skfm_lib.data.io.sample_scan import CACHE, fetch_sample

    path = fetch_sample(options.out or CACHE, options.file)
    print(f"{path}; next: skfm prepare {path} --out data/sample")


def add_data_commands(commands: argparse._SubParsersAction, add: Add) -> None:
    """Add these commands with `add`, the command line's own way to add one."""
    command = add(commands, "prepare", prepare)
    command.add_argument("folder", type=Path, help="scans or meshes; or one scan")
    command.add_argument("--out", type=Path, required=True, help="the data set")
    command.add_argument("--preset", default="quick", help="sets the grid")
    command.add_argument("--threshold", type=float, default=200.0, help="of bone, HU")
    command.add_argument("--labels", type=Path, help="CSV: name,quality")
    command.add_argument("--seed", type=int, default=0, help="of the split")
    command.add_argument(
        "--accept",
        action="store_true",
        help="take the proposed scores where none was given",
    )
    command.add_argument(
        "--population", type=int, default=0, help="add so many derived variations"
    )
    command.add_argument("--workers", type=int, default=2, help="scans at a time")
    command.add_argument("--strict", action="store_true", help="stop at a bad scan")
    command.add_argument(
        "--keep-names",
        action="store_true",
        help="call skulls by their files' names, not by codes: for public data",
    )
    command.add_argument(
        "--names", action="store_true", help="print which file each code stands for"
    )
    command = add(commands, "export", export)
    command.add_argument("skull", type=Path, help="a volume or mesh that skfm made")
    command.add_argument(
        "--out", type=Path, required=True, help=".nii.gz .nrrd .stl .ply .glb .obj …"
    )
    command.add_argument(
        "--like", type=Path, help="the patient's scan: back into its frame and grid"
    )
    command.add_argument(
        "--record",
        default="",
        help="DATASET/volumes/NAME.json of that scan (default: beside the skull)",
    )
    command = add(commands, "sample", sample)
    command.add_argument(
        "--out", type=Path, help="a folder (default: the cache, for chapters 11 and 15)"
    )
    command.add_argument("--file", type=Path, help="Cranium.inv3, if you have it")
