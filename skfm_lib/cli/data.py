"""The commands of `skfm` that bring scans in and take skulls out."""

import argparse
from collections.abc import Callable
from pathlib import Path

Add = Callable[..., argparse.ArgumentParser]
SAMPLES = ("cranium", "plastic", "craniotomy")  # of `sample_scan.HEADS`


def prepare(options: argparse.Namespace) -> int:
    """Turn a folder of scans or meshes into a data set.

    Scans: DICOM series, NIfTI, NRRD, MetaImage, InVesalius projects; meshes: STL, PLY,
    OBJ, OFF, VTP, GLB, glTF; also within zip and tar archives.
    """
    from skfm_lib.prepare.pipeline import prepare as prepare_folder
    from skfm_lib.prepare.pipeline import who_is_who
    from skfm_lib.prepare.source import one_line
    from skfm_lib.presets import preset

    shape = preset(options.preset).vqvae.output_shape
    if options.names:
        made = who_is_who(options.folder, options.out, options.keep_names)
        for name, file in made.items():
            print(f"{name}  {one_line(file) or '(no longer in the folder)'}")
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
        label=options.label,
        validation=options.validation,
    )
    print(report)
    if report.problems and not options.keep_names:
        print("Which is which: the same command with --names")
    return 1 if report.problems else 0


def export(options: argparse.Namespace) -> None:
    """Write a skull as a volume or mesh in mm, also in its patient's own frame.

    FILE.dcm becomes a DICOM segmentation of the series --like: it carries that series'
    identifiers.
    """
    from skfm_lib.data.io.sandbox import Sandbox
    from skfm_lib.prepare.export import export as export_skull

    with Sandbox() as sandbox:
        skull, out, like = options.skull, options.out, options.like
        if note := export_skull(skull, out, sandbox, like, options.record):
            print(note)


def sample(options: argparse.Namespace) -> None:
    """Fetch a public head to try things on; without a name, list them.

    Each is verified by SHA-256: the files of cranium and craniotomy, and the voxels of
    plastic, for whose files no checksum is known.
    """
    from skfm_lib.data.io.sample_scan import CACHE, HEADS, fetch_sample

    named = options.name or ("cranium" if options.file or options.out else None)
    for head in HEADS:
        if head.name == named:
            path = fetch_sample(head, options.out or CACHE, options.file)
            print(f"{path} ({head.licence})")
            print(f"next: skfm prepare {path} --out data/{head.name}")
        if not named:
            print(f"{head.name}: {head.about}")
            print(f"  {head.role}; licence {head.licence}; {head.size:g} MB")
            here = CACHE / head.target
            print(f"  {here if here.exists() else f'skfm sample {head.name}'}")


def add_data_commands(commands: argparse._SubParsersAction, add: Add) -> None:
    """Add these commands with `add`, the command line's own way to add one."""
    command = add(commands, "prepare", prepare)
    command.add_argument("folder", type=Path, help="scans or meshes; or one scan")
    command.add_argument("--out", type=Path, required=True, help="the data set")
    command.add_argument("--preset", default="quick", help="sets the grid")
    command.add_argument("--threshold", type=float, default=200.0, help="of bone, HU")
    command.add_argument(
        "--label", default="", help="the skull's in segmentations: name or value"
    )
    command.add_argument("--labels", type=Path, help="CSV: name,quality")
    command.add_argument("--seed", type=int, default=0, help="of the split")
    command.add_argument(
        "--validation",
        type=float,
        help="share of the patients to make choices on, beside a fifth for the test "
        "(default: 0.1, if that is at least 12 of them, otherwise 0)",
    )
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
        "--out", type=Path, required=True, help=".nii.gz .nrrd .stl .ply .glb .dcm …"
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
    names, text = SAMPLES, "without it, they are listed (--out, --file: cranium)"
    command.add_argument("name", nargs="?", choices=names, help=text)
    command.add_argument(
        "--out", type=Path, help="a folder (default: the cache, for chapters 11 and 15)"
    )
    command.add_argument("--file", type=Path, help="its file or folder, if you have it")
