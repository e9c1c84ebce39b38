"""The phantom population on disk, in the paper's numbers."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import Skull, claim, proportional, write_manifest
from skfm_lib.data.voxels import skull_grid
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.utils.progress import track

PAPER_TRAIN = {2: 167, 3: 212, 4: 154, 5: 155, 6: 38}  # 726 skulls, paper Table 1
PAPER_TOTAL = 908  # paper §4.1
PAPER_TEST = proportional(PAPER_TRAIN, PAPER_TOTAL - sum(PAPER_TRAIN.values()))

Job = tuple[Path, int, int, Shape]


def phantom_skulls(
    folder: Path,
    shape: Shape,
    counts_train: dict[int, int],
    counts_test: dict[int, int],
    seed: int,
    workers: int = 2,
) -> list[Skull]:
    """Write a population of phantom skulls as a data set; return its manifest.

    folder        gets ``volumes/NAME.nii.gz``, ``manifest.csv``, ``settings.json``
    shape         (D, H, W) of every volume, on ``skull_grid(shape)``
    counts_train  skulls of each quality score 2–6; counts_test likewise
    seed          every skull's own seed comes from (seed, split, quality, index), so
                  that a skull is the same however many are made
    workers       processes; 1 works in this one

    Volumes already there are kept, so that an interrupted run goes on where it was.
    SkfmError where `folder` holds another data set or cannot be written.
    """
    folder = Path(folder)
    claim(folder, {"made from": "phantoms", "shape": list(shape), "seed": seed})
    skulls, jobs = [], []
    for number, (split, counts) in enumerate(
        (("train", counts_train), ("test", counts_test))
    ):
        for quality, count in sorted(counts.items()):
            for index in range(count):
                own = skull_seed(seed, number, quality, index)
                name = f"phantom-{split}-qs{quality}-{index:04d}"
                file, source = f"volumes/{name}.nii.gz", f"phantom seed {own}"
                spacing = round(skull_grid(shape).spacing, 6)
                skulls.append(Skull(name, split, quality, file, source, spacing))
                jobs.append((folder / file, own, quality, shape))
    missing = [job for job in jobs if not job[0].exists()]
    for _ in track(_results(missing, workers), "Phantom skulls", len(missing)):
        pass
    write_manifest(folder, skulls)
    return skulls


def skull_seed(seed: int, split: int, quality: int, index: int) -> int:
    """The seed of one skull: 32 bits mixed from its place in the population."""
    mixed = np.random.SeedSequence((seed, split, quality, index))
    return int(mixed.generate_state(1)[0])


def make_skull(job: Job) -> None:
    """Draw one phantom and write it; a function of the module so that it can spawn."""
    from skfm_lib.data.phantom import phantom_skull

    path, seed, quality, shape = job
    write_volume(path, phantom_skull(seed, quality, shape), skull_grid(shape))


def _results(jobs: list[Job], workers: int) -> Iterator[None]:
    """Do the jobs in any order; an error stops those that have not begun."""
    if workers <= 1 or len(jobs) <= 1:
        yield from map(make_skull, jobs)
        return
    # Spawned, not forked: the caller may hold threads of torch or VTK.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context)
    try:
        for future in as_completed([pool.submit(make_skull, job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
