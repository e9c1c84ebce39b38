"""Draw, screen and write the skulls of a set one by one, so that it can resume."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skfm_lib.data.bone_fractions import skull_surface, stored
from skfm_lib.data.field_of_view import Asked, FieldOfView
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import Skull
from skfm_lib.generation.generator import SkullGenerator
from skfm_lib.samplers import Sampler
from skfm_lib.utils.files import read_json, write_json
from skfm_lib.utils.seeding import seed_of

VOLUME = "volumes/{}.nii.gz"  # by the name of a skull
RECORD = "screening.json"  # of a set: what was found of every skull drawn, by name
PASSED, FAILED, NOT_SCREENED = "passed", "failed", "not screened"


class Outcome(NamedTuple):
    """The result of screening a skull: why it fails, if it does."""

    reasons: tuple[str, ...] = ()


class Screening(NamedTuple):
    """How the skulls of a set are screened.

    Attributes:
        screen: the outcome of a stored volume (D, H, W) of a requested score.
        redraw: whether a skull that fails is replaced by another one.
    """

    screen: Callable[[np.ndarray, int], Outcome]
    redraw: bool = False


def sample_seed(seed: int, index: int, attempt: int = 0) -> int:
    """The seed of the i-th skull of a set, or of one that replaces it."""
    return seed_of(seed, "sample", index, *([attempt] if attempt else []))


@dataclass(frozen=True)
class SetWriter:
    """Writes the skulls of a set; arguments as for `generate_skulls`.

    A skull that fails is drawn again with another seed, if the screening says so: each
    attempt has a seed of its own, and the last one is the skull of the set.
    """

    generator: SkullGenerator
    folder: Path
    names: Sequence[str]
    qualities: Sequence[int]
    seed: int
    sampler: Sampler
    mesh: str | None
    field_of_view: Asked | None
    screening: Screening | None

    @cached_property
    def record(self) -> dict[str, list[list[str]]]:
        """The reasons of every attempt at a skull, by its name; empty if unscreened."""
        path = self.folder / RECORD
        known = read_json(path) if path.is_file() and self.screening else {}
        return {name: known.get(name, []) for name in self.names}

    def draw(self, part: Sequence[int], attempt: int) -> None:
        """Draw the skulls `part` as one batch, unless all of them are there."""
        if all(self._is_done(index, attempt) for index in part):
            return
        qualities = [self.qualities[index] for index in part]
        seeds = [sample_seed(self.seed, index, attempt) for index in part]
        given = qualities, seeds, self.sampler, self.field_of_view
        for index, latent in zip(part, self.generator.latents(*given)):
            v = self.generator.decode(latent[None])[0, 0].numpy()
            self._keep(index, attempt, v)

    def refused(self, index: int, attempt: int) -> bool:
        """Whether an attempt at a skull failed and another one is to be made."""
        redraw = self.screening is not None and self.screening.redraw
        return redraw and bool(self.record[self.names[index]][attempt])

    def drawn(self, attempts: int) -> int:
        """How many skulls were drawn and screened in the first `attempts` at each."""
        return sum(min(len(found), attempts) for found in self.record.values())

    def attempts(self, index: int) -> int:
        """How often a skull was drawn."""
        return max(1, len(self.record[self.names[index]]))

    def final_seed(self, index: int) -> int:
        """The seed of a skull of the set."""
        return sample_seed(self.seed, index, self.attempts(index) - 1)

    def result(self, index: int) -> str:
        """The result of screening a skull of the set."""
        if self.screening is None:
            return NOT_SCREENED
        return FAILED if self.record[self.names[index]][-1] else PASSED

    def row(self, index: int) -> Skull:
        """The row of a skull in the manifest; what is unusual are its reasons."""
        name, quality, seed = (
            self.names[index],
            self.qualities[index],
            self.final_seed(index),
        )
        model, sampler = self.generator.objective, self.sampler
        source = f"{model}, {sampler.steps} {sampler.method} steps, seed {seed}"
        given = [quality], [seed], self.field_of_view
        fields = self.generator.fields_of_view(*given)
        if fields is not None:
            source += f", field of view {FieldOfView(*fields[0].tolist())}"
        spacing = round(self.generator.grid.spacing, 6)
        reasons = self.record[name][-1] if self.record[name] else []
        checks = "; ".join(reasons) or "ok"
        return Skull(
            name, "train", quality, VOLUME.format(name), source, spacing, checks
        )

    def _files(self, index: int) -> list[Path]:
        """The volume of a skull, and its mesh if one is asked for."""
        name = self.names[index]
        files = [VOLUME.format(name)]
        files += [f"meshes/{name}.{self.mesh}"] if self.mesh else []
        return [self.folder / file for file in files]

    def _is_done(self, index: int, attempt: int) -> bool:
        found = self.record[self.names[index]]
        if self.screening and len(found) <= attempt:
            return False
        if self.screening and self.refused(index, attempt):
            return True
        return all(path.is_file() for path in self._files(index))

    def _keep(self, index: int, attempt: int, v: np.ndarray) -> None:
        """Screen a volume v, write it unless it is refused, and record the result."""
        grid, name = self.generator.grid, self.names[index]
        volume, (path, *meshes) = stored(v, grid), self._files(index)
        if self.screening:
            found = self.screening.screen(volume, self.qualities[index])
            self.record[name][attempt:] = [list(found.reasons)]
        if not self.refused(index, attempt):
            for mesh in meshes if v.max() > 0 else ():  # an empty one has no surface
                write_mesh(mesh, skull_surface(v, grid))
            write_volume(path, volume, grid)
        if self.screening:
            write_json(self.folder / RECORD, self.record)
