"""Measure what the packed model discloses of the skulls that it was trained on.

    python -m skfm_lib.reference_model.privacy --run NAME

NAME is a run of the same skulls, such as the one that was packed; only its first
chapter is read.  The findings are kept beside the index, for the model card.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from skfm_lib import presets
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.phantom_set import PAPER_TRAIN
from skfm_lib.evaluation.privacy.attribute_excess import jaws_of_members
from skfm_lib.evaluation.privacy.planted_copies import as_decoded
from skfm_lib.evaluation.privacy.spaces import (
    CopySearch,
    latent_reader,
    latent_space,
    voxel_space,
)
from skfm_lib.evaluation.privacy.weight_attacks import (
    Row,
    autoencoder_attack,
    denoiser_attacks,
    matched_sides,
    with_power,
)
from skfm_lib.evaluation.screening.anatomy import COARSE, downsample
from skfm_lib.evaluation.screening.reference_ranges import distance_to_nearest
from skfm_lib.generation import SkullGenerator, generate_skulls, mix_of, usual_sampler
from skfm_lib.reference_model.command import run_measurement
from skfm_lib.reference_model.findings import FINDINGS, checksums
from skfm_lib.reference_model.loading import (
    MODEL,
    load_generator,
    load_screener,
    settings_of,
)
from skfm_lib.reference_model.package import Package
from skfm_lib.study import Stage, Study, existing_study, stage_names
from skfm_lib.study.data_stage import examples, skulls
from skfm_lib.study.provenance import provenance
from skfm_lib.training.latents import LatentSet
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import write_json

STAGE = "reference_privacy"
TIMES = 5  # of losses, from 0.1 to 0.9 of the path
ROUNDING = 0.5 / 255 + 1e-6  # of the fractions that the screening stores
DECODED = "as decoded"
Read = Callable[[SkullSet, str], LatentSet]


def measure_privacy(package: Package, study: Study) -> dict[str, Any]:
    """Copies, membership and attribute inference of a packed model; kept beside it.

    `study` holds the skulls that the model was trained on, and those of its test and
    validation.

    Raises:
        SkfmError: where its training skulls are others.
    """
    members, strangers = skulls(study, "train"), skulls(study, "test")
    screening = _screening_attack(package, members, strangers, study.seed)
    chosen = {"packed": checksums(package.index)}
    stage = study.stage(STAGE, chosen, (stage_names.DATA,))
    made = load_generator(package)
    kept = stage.folder / "latents"
    read = latent_reader(made.vqvae, made.device, kept / "train", kept)
    sampling = settings_of(package, presets.SamplingConfig, "sampling")
    batch, steps = sampling.batch, sampling.ours_steps
    sides = matched_sides(members, strangers, study.seed)
    times = np.linspace(0.1, 0.9, TIMES).tolist()
    membership = denoiser_attacks(made, sides, read, times, batch, study.seed)
    membership["autoencoder"] = autoencoder_attack(
        made.vqvae, sides, made.device, study.seed
    )
    found = {
        "files": checksums(package.index),
        "run": study.name,
        "skulls": {"members": len(members), "strangers": len(strangers)},
        "attacked": len(sides["train"]),
        "copies": _copies(stage, package, made, read),
        "membership": membership | {"screening.npz": screening},
        "jaws": jaws_of_members(made, members, strangers, steps, batch, study.seed),
        **provenance(),
    }
    stage.finish(**found)
    write_json(package.folder / FINDINGS, found)
    return found


def _screening_attack(
    package: Package, members: SkullSet, strangers: SkullSet, seed: int
) -> Row:
    """The attack by the coarse copies of training skulls that the screening stores."""
    known = load_screener(package).ranges.training
    inside, outside = _blocks(members), _blocks(strangers)
    same = inside.shape == known.shape and np.abs(inside - known).max() <= ROUNDING
    if not same:
        origin = package.index["origin"].get("run", "?")
        found = f"{members.folder} holds other skulls than the packed model's"
        raise SkfmError(found, f"those of run {origin!r}", "name a run of these")
    each = [distance_to_nearest(side, known) for side in (inside, outside)]
    return with_power(each, seed)


def _blocks(some: SkullSet) -> np.ndarray:
    items = range(len(some))
    each = [downsample(some.volume(i), some.grid, COARSE).ravel() for i in items]
    return np.stack(each)


def _copies(
    stage: Stage, package: Package, made: SkullGenerator, read: Read
) -> dict[str, Any]:
    """Copies among skulls of the model, and among test skulls, in two spaces."""
    study, folder = stage.study, stage.folder / "skulls"
    sampling = settings_of(package, presets.SamplingConfig, "sampling")
    scores = mix_of(PAPER_TRAIN, sampling.count)
    sampler = usual_sampler(MODEL, sampling)
    generate_skulls(made, folder, scores, study.seed, sampler, sampling.batch)
    sets = {"generated": SkullSet(folder, "train"), "held out": skulls(study, "test")}
    train, found = skulls(study, "train"), {}
    decoded = {DECODED: as_decoded(made.vqvae, made.device, train.grid)}
    for space in (latent_space(read), voxel_space()):
        search = CopySearch(space, train, skulls(study, "validation"))
        compare = partial(search.compare, seed=study.seed)
        rows = {name: compare(one, name).summary() for name, one in sets.items()}
        row: dict[str, Any] = {name: one["copies"] for name, one in rows.items()}
        row["expected"] = rows["generated"]["expected"]
        row["planted"] = search.planted(examples(train, 2), decoded)[DECODED]
        found[space.name] = {**row, "skulls": sampling.count}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the packed model and return the exit status, as that of `skfm`."""
    module = "skfm_lib.reference_model.privacy"
    parser = argparse.ArgumentParser(f"python -m {module}", description=__doc__)
    parser.add_argument("--run", required=True, help="a run of the same skulls")
    options = parser.parse_args(arguments)
    return run_measurement(
        lambda one: measure_privacy(one, existing_study(options.run)), FINDINGS
    )


if __name__ == "__main__":
    sys.exit(main())
