"""The commands of `skfm` that generate skulls, and those of the packed model."""

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from skfm_lib.presets import NAMES, QUALITY_SCORES, SamplingConfig
from skfm_lib.study import Study, existing_study, open_study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import write_json

if TYPE_CHECKING:  # slow to import; a command that fails early does not wait for them
    from skfm_lib.evaluation.screening.screener import Screener
    from skfm_lib.generation import SkullGenerator

Add = Callable[..., argparse.ArgumentParser]
MODELS = ("ours", "otfm", "ddpm", "ddpm-v", "shortcut")
MESHES = ("ply", "stl", "glb", "none")


class Source(NamedTuple):
    """A generator, how it is sampled, the screening if there is one, in words."""

    generator: "SkullGenerator"
    sampling: SamplingConfig
    screener: "Screener | None"
    summary: str


def generate(options: argparse.Namespace) -> None:
    """Generate skulls: volumes, meshes, a contact sheet and a page on which they turn.

    By the model that comes with skfm, or with --run by one that a study trained.  All
    skulls are screened; --screen replaces those that fail.
    """
    from skfm_lib import generation
    from skfm_lib.data.manifest import read_manifest
    from skfm_lib.data.phantom_set import PAPER_TRAIN
    from skfm_lib.reference_model.cards import MADE
    from skfm_lib.study.provenance import provenance
    from skfm_lib.view.gallery import write_pages

    if options.count < 1:
        raise SkfmError(f"--count {options.count}", "at least 1")
    source = _source(options)
    print(source.summary)
    names = ("steps", "method", "guidance", "shift", "symmetric")
    chosen = {name: getattr(options, name) for name in names}
    screening = None
    if source.screener:
        screening = generation.Screening(source.screener, options.screen)
    mixed = generation.mix_of(PAPER_TRAIN, options.count)
    lacking = None
    try:
        generation.generate_skulls(
            source.generator,
            options.out,
            mixed if options.mix else [options.qs] * options.count,
            options.seed,
            generation.usual_sampler(
                options.model or "ours", source.sampling, **chosen
            ),
            source.sampling.batch,
            None if options.mesh == "none" else options.mesh,
            tuple(options.field_of_view) if options.field_of_view else options.vault,
            screening,
        )
    except generation.IncompleteSet as error:
        lacking = error
    command = {"command": shlex.join(["skfm", *sys.argv[1:]])}
    write_json(options.out / MADE, {**command, **provenance()})
    if skulls := read_manifest(options.out):
        print(generation.summary(options.out, skulls))
        page = write_pages(options.out, source.summary)
        print(f"next: open {page} in a browser")
    if lacking:
        raise lacking


def _source(options: argparse.Namespace) -> Source:
    """The packed model, unless a run is asked for or there is none."""
    of_run = (options.run, options.preset, options.run_seed, options.model)
    if all(given is None for given in of_run):
        from skfm_lib import reference_model as packed

        if package := packed.find_package():
            sampling = packed.settings_of(package, SamplingConfig, "sampling")
            screener = packed.load_screener(package)
            generator = packed.load_generator(package)
            return Source(generator, sampling, screener, package.summary)
    return _study_source(options)


def _study_source(options: argparse.Namespace) -> Source:
    from skfm_lib import generation
    from skfm_lib.evaluation.screening.screener import study_screener
    from skfm_lib.study.stage_names import FAILURES

    made = _study(options)
    if options.screen:
        made.finished(FAILURES)  # or it raises
    model = options.model or "ours"
    generator = generation.load_generator(made, model)
    screener = study_screener(made)
    summary = f"Model {model} of run {made.name!r}, preset {made.settings.name}."
    if screener is None:
        summary += " Not screened: chapter 7 of this run is not finished."
    return Source(generator, made.settings.sampling, screener, summary)


def _study(options: argparse.Namespace) -> Study:
    if options.run and options.preset is None and options.run_seed is None:
        return existing_study(options.run)
    return open_study(options.run, options.preset or "quick", options.run_seed or 0)


def pack(options: argparse.Namespace) -> None:
    """Pack a run's trained model into the library, from where `generate` takes it.

    Requires chapters 1, 2 and 17; with 8 and 9, also for `align` and `complete`.
    """
    from skfm_lib.reference_model import package
    from skfm_lib.reference_model.packing import pack as pack_study

    folder = options.out or package.FOLDER
    print(pack_study(existing_study(options.run), folder, options.count))


def card(options: argparse.Namespace) -> None:
    """Write card.md of a generated set: what it holds, from measurements only.

    Scores, screening, distances to held-out skulls, recall, copies and origin; with
    --run by comparison with the skulls of that run.
    """
    from skfm_lib.reference_model.cards import write_card

    study = existing_study(options.run) if options.run else None
    print(write_card(options.folder, study))


def add_generate_commands(commands: argparse._SubParsersAction, add: Add) -> None:
    """Add these commands with `add`, the command line's own way to add one."""
    _generate_command(add(commands, "generate", generate))
    command = add(commands, "pack", pack)
    command.add_argument("--run", required=True, help="name of a run of phantoms")
    command.add_argument(
        "--out", type=Path, help="a folder, for SKFM_WEIGHTS (default: the library's)"
    )
    command.add_argument(
        "--count", type=int, default=726, help="skulls that are screened (726)"
    )
    command = add(commands, "card", card)
    command.add_argument("folder", type=Path, help="a set of skfm generate")
    command.add_argument("--run", help="with whose skulls it is compared")


def _generate_command(command: argparse.ArgumentParser) -> None:
    scores = command.add_mutually_exclusive_group(required=True)
    scores.add_argument("--qs", type=int, choices=QUALITY_SCORES, help="quality score")
    scores.add_argument("--mix", choices=("paper",), help="of scores, as in the paper")
    command.add_argument("--count", type=int, default=1)
    command.add_argument("--out", type=Path, required=True, help="a folder")
    command.add_argument(
        "--screen",
        action="store_true",
        help="replace skulls that fail the screening, at most 20 drawn for each",
    )
    command.add_argument("--mesh", default="ply", choices=MESHES, help="in mm (ply)")
    command.add_argument("--seed", type=int, default=0, help="of the skulls")
    seen = command.add_mutually_exclusive_group()
    seen.add_argument("--vault", choices=("whole", "cut"), help="what the scan shows")
    seen.add_argument(
        "--field-of-view",
        nargs=2,
        type=float,
        metavar=("BEGIN", "END"),
        help="of the scan, in mm above the ear openings",
    )
    _sampling_options(command.add_argument_group("sampling"))
    trained = command.add_argument_group("a model that a study trained")
    trained.add_argument("--run", help="name of the run (default: the preset's)")
    trained.add_argument("--model", choices=MODELS, help="of the run (ours)")
    trained.add_argument("--preset", help=f"of the run (quick): {', '.join(NAMES)}")
    trained.add_argument("--run-seed", type=int, help="the study's seed (0)")


def _sampling_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--method", help="euler, midpoint, heun; ancestral, ddim")
    group.add_argument("--steps", type=int, help="S (default: the preset's)")
    group.add_argument("--guidance", type=float, default=1.0)
    group.add_argument("--shift", type=float, default=1.0, help="of a flow's times")
    group.add_argument(
        "--symmetric",
        type=float,
        metavar="T",
        help="time at which ours makes its prediction symmetric; 0: never",
    )
