"""Synthetic data sets: skulls of a generator, written as volumes and meshes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from skfm_lib.data.bone_fractions import skull_surface, stored
from skfm_lib.data.field_of_view import Asked, FieldOfView
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import (
    Skull,
    claim,
    proportional,
    read_manifest,
    write_manifest,
)
from skfm_lib.generation.generator import SkullGenerator
from skfm_lib.samplers import Sampler
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import Progress
from skfm_lib.utils.seeding import seed_of

VOLUME = "volumes/{}.nii.gz"  # by the name of a skull


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
        mesh: "ply" or "stl" to write also ``meshes/NAME.ply``, in RAS mm.
        field_of_view: of all skulls; see `SkullGenerator.fields_of_view`.
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
    seeds = [seed_of(seed, "sample", index) for index in range(len(qualities))]
    fields = generator.fields_of_view(qualities, seeds, field_of_view)
    claim(folder, {**model, **what})
    skulls = _rows(generator, qualities, seeds, sampler, fields)
    _check_kept(folder, skulls)
    kinds = [VOLUME, f"meshes/{{}}.{mesh}"] if mesh else [VOLUME]
    with Progress(f"Generating by {generator.objective}", len(skulls)) as bar:
        for start in range(0, len(skulls), batch):
            part = slice(start, start + batch)
            files = [[folder / k.format(s.name) for k in kinds] for s in skulls[part]]
            if not all(path.is_file() for paths in files for path in paths):
                given = qualities[part], seeds[part], sampler, field_of_view
                z = generator.latents(*given)
                for latent, paths in zip(z, files):
                    _write(generator, latent, *paths)
            bar.advance(len(files))
    write_manifest(folder, skulls)
    return skulls


def _rows(
    generator: SkullGenerator,
    qualities: Sequence[int],
    seeds: Sequence[int],
    sampler: Sampler,
    fields: Tensor | None,
) -> list[Skull]:
    """The manifest of a synthetic set; skulls are numbered within their score."""
    model, spacing = generator.objective, round(generator.grid.spacing, 6)
    counted: Counter[int] = Counter()
    skulls = []
    for index, (quality, seed) in enumerate(zip(qualities, seeds)):
        counted[quality] += 1
        name = f"{model}-qs{quality}-{counted[quality]:04d}"
        source = f"{model}, {sampler.steps} {sampler.method} steps, seed {seed}"
        if fields is not None:
            source += f", field of view {FieldOfView(*fields[index].tolist())}"
        file = VOLUME.format(name)
        skulls.append(Skull(name, "train", quality, file, source, spacing))
    return skulls


def _check_kept(folder: Path, skulls: list[Skull]) -> None:
    """SkfmError if `folder` has skulls that a set of `skulls` would not list."""
    former = read_manifest(folder) if (folder / "manifest.csv").is_file() else []
    if lost := {skull.name for skull in former} - {skull.name for skull in skulls}:
        raise SkfmError(
            f"{folder} holds {len(lost)} other skulls, such as {min(lost)}",
            "a new folder, or a larger set of the same scores",
            "name another folder",
        )


def _write(
    generator: SkullGenerator, latent: Tensor, volume: Path, *meshes: Path
) -> None:
    """Decode one latent and write its volume and meshes."""
    v = generator.decode(latent[None])[0, 0].numpy()
    for path in meshes if v.max() > 0 else ():  # an empty volume has no surface
        write_mesh(path, skull_surface(v, generator.grid))
    write_volume(volume, stored(v, generator.grid), generator.grid)
