"""Measure the packed model with fewer steps of the sampler.

    python -m skfm_lib.reference_model.few_steps --out FOLDER

For each number of steps, skulls are generated from the same noise, screened, and
compared with the held-out skulls.  Those that FOLDER holds from a run that was
interrupted are kept.  The findings are kept beside the index, for the model card.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from skfm_lib import presets
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.phantom_set import PAPER_TRAIN
from skfm_lib.evaluation.screening.measures import measure_skulls
from skfm_lib.generation import generate_skulls, mix_of, usual_sampler
from skfm_lib.reference_model.command import run_measurement
from skfm_lib.reference_model.comparison_set import FEWEST
from skfm_lib.reference_model.findings import FEW_STEPS, checksums
from skfm_lib.reference_model.loading import (
    MODEL,
    load_generator,
    load_reference,
    load_screener,
    settings_of,
)
from skfm_lib.reference_model.measuring import counts_of
from skfm_lib.reference_model.package import Package
from skfm_lib.study.provenance import provenance
from skfm_lib.utils.files import write_json

SHARES = (8, 4, 2, 1)  # parts of the usual number of steps
FEWEST_STEPS = 2  # with the symmetry, one before it and one after


def measure_steps(package: Package, out: Path) -> dict[str, Any]:
    """Failed skulls and distances of a packed model by steps; kept beside it.

    As many skulls as the preset compares, in the paper's mix.  Without distances where
    these are too few to compare.

    Raises:
        SkfmError: where `out` holds skulls of another model.
    """
    sampling = settings_of(package, presets.SamplingConfig, "sampling")
    made, screener = load_generator(package), load_screener(package)
    held_out, usual = load_reference(package), usual_sampler(MODEL, sampling)
    scores, rows = mix_of(PAPER_TRAIN, sampling.count), {}
    for steps in sorted({max(usual.steps // n, FEWEST_STEPS) for n in SHARES}):
        sampler, name = replace(usual, steps=steps), f"{steps}-steps"
        generate_skulls(made, out / name, scores, 0, sampler, sampling.batch)
        skulls = SkullSet(out / name, "train")
        measured = measure_skulls(skulls, name, out / f"{name}.npz")
        row = counts_of(screener.compare(skulls, measured))
        row["evaluations"] = sampler.evaluations
        if min(len(skulls), len(held_out)) >= FEWEST:
            row["distances"] = held_out.compare(skulls, measured)
        rows[str(steps)] = row
    found = {"files": checksums(package.index), "steps": rows, **provenance()}
    write_json(package.folder / FEW_STEPS, found)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the packed model and return the exit status, as that of `skfm`."""
    module = "skfm_lib.reference_model.few_steps"
    parser = argparse.ArgumentParser(f"python -m {module}", description=__doc__)
    parser.add_argument("--out", required=True, type=Path, help="a folder, for skulls")
    options = parser.parse_args(arguments)
    return run_measurement(lambda one: measure_steps(one, options.out), FEW_STEPS)


if __name__ == "__main__":
    sys.exit(main())
