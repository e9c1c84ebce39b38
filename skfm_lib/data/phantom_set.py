"""The phantom population as a data set on disk, in the paper's numbers."""

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import SPLITS, Skull, claim, proportional, write_manifest
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import skull_grid
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.utils.progress import track

PAPER_TRAIN = {2: 167, 3: 212, 4: 154, 5: 155, 6: 38}  # 726 skulls, paper Table 1
PAPER_TOTAL = 908  # paper §4.1
PAPER_TEST = proportional(PAPER_TRAIN, PAPER_TOTAL - sum(PAPER_TRAIN.values()))

SOURCE = "phantom seed "  # and the seed: a phantom's source in the manifest

Job = tuple[Path, int, int, Shape]


def phantom_skulls(
    folder: Path,
    shape: Shape,
    counts_train: dict[int, int],
    counts_test: dict[int, int],
    counts_validation: dict[int, int] | None = None,
    *,
    seed: int,
    workers: int = 2,
) -> list[Skull]:
    """Write a population of phantom skulls as a data set.

    An interrupted run resumes: volumes that exist are not computed again.  A skull's
    own seed depends on (seed, split, quality, index), not on the numbers of skulls.

    Args:
        folder: gets ``volumes/NAME.nii.gz``, ``manifest.csv`` and ``settings.json``.
        shape: of every volume, on ``skull_grid(shape)``.
        counts_train: number of training skulls of each quality score 2–6.
        counts_test: number of test skulls, likewise.
        counts_validation: number of validation skulls, likewise; None for none.
        seed: of the population.
        workers: processes; 1 computes in this one.

    Returns:
        The rows of the manifest.

    Raises:
        SkfmError: if `folder` holds another data set or cannot be written.
    """
    claim(folder, {"made from": "phantoms", "shape": list(shape), "seed": seed})
    spacing = round(skull_grid(shape).spacing, 6)
    skulls, jobs = [], []
    counts = counts_train, counts_test, counts_validation or {}
    for split, wanted in zip(SPLITS, counts):
        for quality, count in sorted(wanted.items()):
            for index in range(count):
                own = phantom_seed(seed, split, quality, index)
                name = f"phantom-{split}-qs{quality}-{index:04d}"
                file, source = f"volumes/{name}.nii.gz", f"{SOURCE}{own}"
                skulls.append(Skull(name, split, quality, file, source, spacing))
                if not (folder / file).exists():
                    jobs.append((folder / file, own, quality, shape))
    for _ in track(_results(jobs, workers), "Phantom skulls", len(jobs)):
        pass
    write_manifest(folder, skulls)
    return skulls


def phantom_seed(seed: int, split: str, quality: int, index: int) -> int:
    """The own seed of a skull of `phantom_skulls`, whether it was drawn or not."""
    parts = np.random.SeedSequence((seed, SPLITS.index(split), quality, index))
    return int(parts.generate_state(1)[0])


def seed_in(source: str) -> int | None:
    """The seed of a phantom by the column ``source`` of its manifest; None of a scan.

    >>> seed_in("phantom seed 7"), seed_in("ward7/scan.nii.gz")
    (7, None)
    """
    return int(source.removeprefix(SOURCE)) if source.startswith(SOURCE) else None


def make_skull(job: Job) -> None:
    """Compute and write one phantom; at module level, for spawned processes."""
    path, seed, quality, shape = job
    write_volume(path, phantom_skull(seed, quality, shape), skull_grid(shape))


def _results(jobs: list[Job], workers: int) -> Iterator[None]:
    """Run the jobs in any order; an error cancels those that have not started."""
    if workers <= 1 or len(jobs) <= 1:
        yield from map(make_skull, jobs)
        return
    # Spawned, not forked: the caller may hold threads of torch or VTK.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context)
    try:
        with _one_thread():
            futures = [pool.submit(make_skull, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that start meanwhile use one thread of OpenMP and BLAS each.

    Threads of several processes that wait for each other would double the time.
    """
    name, own = "OMP_NUM_THREADS", dict(os.environ)
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name)
        if name in own:
            os.environ[name] = own[name]
