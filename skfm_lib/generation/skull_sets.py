"""Synthetic data sets: skulls of a generator, written as volumes and meshes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from skfm_lib.data.field_of_view import Asked
from skfm_lib.data.manifest import (
    Skull,
    claim,
    proportional,
    read_manifest,
    write_manifest,
)
from skfm_lib.generation.generator import SkullGenerator
from skfm_lib.generation.set_writer import RECORD, Screening, SetWriter, sample_seed
from skfm_lib.samplers import Sampler
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json
from skfm_lib.utils.progress import Progress

SEED, RESULT = "seed", "screening"  # further columns of the manifest
MOST = 20  # skulls drawn for each one that is asked for, if those that fail are redrawn


class IncompleteSet(SkfmError):
    """Too few skulls passed the screening; the manifest holds those that did."""


def mix_of(counts: dict[int, int], total: int) -> list[int]:
    """`total` quality scores in the proportions of `counts`, in ascending order.

    >>> mix_of({3: 20, 5: 10}, 3)
    [3, 3, 5]
    """
    shares = proportional(counts, total)
    return [quality for quality, n in shares.items() for _ in range(n)]


def generate_skulls(
    generator: SkullGenerator,
    folder: Path,
    qualities: Sequence[int],
    seed: int,
    sampler: Sampler,
    batch: int,
    mesh: str | None = None,
    field_of_view: Asked | None = None,
    screening: Screening | None = None,
) -> list[Skull]:
    """Write a synthetic data set: one skull for each quality score, at least one.

    Existing skulls are kept.  Batches do not depend on them, so that a resumed set
    equals an uninterrupted one.

    Args:
        generator: the trained model.
        folder: for ``volumes/NAME.nii.gz`` and a manifest.
        qualities: the scores of the skulls.
        seed: the i-th skull depends on (seed, i); all models start from the same noise.
        sampler: checked before anything is written.
        batch: latents sampled at a time.
        mesh: "ply", "stl" or "glb" to write also ``meshes/NAME.ply``, in RAS mm.
        field_of_view: of all skulls; see `SkullGenerator.fields_of_view`.
        screening: of every skull; the manifest holds its results.

    Raises:
        SkfmError: for settings that the model does not have, a folder that holds other
            skulls.
        IncompleteSet: where MOST skulls were drawn for each one that is asked for.
    """
    generator.check(sampler)
    if not len(qualities):
        raise SkfmError("0 skulls", "at least one quality score", "--count 1")
    settings = generator.vqvae.settings
    what = {"seed": seed, "shape": list(settings.output_shape), **sampler.as_dict()}
    model = {"made from": generator.objective, "trained": generator.trained}
    if field_of_view:
        plain = isinstance(field_of_view, str)
        what["field of view"] = field_of_view if plain else list(field_of_view)
    if screening and screening.redraw:
        what["screened"] = True
    seeds = [sample_seed(seed, index) for index in range(len(qualities))]
    generator.fields_of_view(qualities, seeds, field_of_view)  # checks what is asked
    claim(folder, {**model, **what})
    names = _names(generator.objective, qualities)
    _check_kept(folder, names)
    given = generator, folder, names, qualities, seed, sampler, mesh, field_of_view
    writer = SetWriter(*given, screening)
    waiting, attempt, most = list(range(len(names))), 0, MOST * len(names)
    with Progress(f"Generating by {generator.objective}", len(names)) as bar:
        while waiting and writer.drawn(attempt) + len(waiting) <= most:
            for start in range(0, len(waiting), batch):
                part = waiting[start : start + batch]
                writer.draw(part, attempt)
                bar.advance(sum(not writer.refused(i, attempt) for i in part))
            waiting = [i for i in waiting if writer.refused(i, attempt)]
            attempt += 1
    kept = [index for index in range(len(names)) if index not in waiting]
    skulls = [writer.row(index) for index in kept]
    more: dict[str, Sequence[object]] = {
        SEED: [writer.final_seed(i) for i in kept],
        RESULT: [writer.result(i) for i in kept],
    }
    write_manifest(folder, skulls, more)
    if waiting:
        raise IncompleteSet(
            f"{writer.drawn(attempt)} skulls drawn, of which {len(kept)} passed the "
            f"screening: {len(waiting)} are missing in {folder}",
            f"one of {MOST} to pass",
            "leave out --screen, or train the model for longer",
        )
    return skulls


def summary(folder: Path, skulls: Sequence[Skull]) -> str:
    """A set in words: where it is, and how many of all skulls drawn failed."""
    text = f"{len(skulls)} skulls in {folder}"
    if (folder / RECORD).is_file():
        names = {skull.name for skull in skulls}
        record = read_json(folder / RECORD)
        drawn = [found for name in names for found in record.get(name, [])]
        failed = sum(map(bool, drawn))
        text += f"; of {len(drawn)} drawn, {failed} failed the screening"
        kept = sum(skull.checks == "ok" for skull in skulls)
        text += f", {kept} of those kept passed"
    return text


def _names(model: str, qualities: Sequence[int]) -> list[str]:
    """The names of the skulls of a set; they are numbered within their score."""
    counted: Counter[int] = Counter()
    names = []
    for quality in qualities:
        counted[quality] += 1
        names.append(f"{model}-qs{quality}-{counted[quality]:04d}")
    return names


def _check_kept(folder: Path, names: list[str]) -> None:
    """SkfmError if `folder` has skulls that a set of these names would not list."""
    former = read_manifest(folder) if (folder / "manifest.csv").is_file() else []
    if lost := {skull.name for skull in former} - set(names):
        raise SkfmError(
            f"{folder} holds {len(lost)} other skulls, such as {min(lost)}",
            "a new folder, or a larger set of the same scores",
            "name another folder",
        )
