"""Random generators seeded by their purpose, so that no state has to be restored.

Every random number of the study comes from a generator that is seeded by words and
numbers: the study's seed, the purpose, the step or the sample.  A resumed run
therefore gets the same numbers as an uninterrupted one, and a sample is the same skull
in a batch of any size, up to the rounding of the networks.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def seed_of(*parts: object) -> int:
    """A 63-bit seed from any words and numbers, the same on every machine."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*parts: object) -> torch.Generator:
    """A CPU generator seeded by `seed_of(*parts)`."""
    return torch.Generator().manual_seed(seed_of(*parts))


def batch_indices(seed: int, step: int, items: int, batch: int) -> list[int]:
    """The `batch` items of training step `step` (from 0).

    Each epoch is a new permutation of all items; a batch may span two epochs.

    >>> batches = [batch_indices(0, step, items=6, batch=2) for step in range(3)]
    >>> sorted(sum(batches, []))
    [0, 1, 2, 3, 4, 5]
    """
    positions = range(step * batch, (step + 1) * batch)
    return [_order(seed, i // items, items)[i % items] for i in positions]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, items: int) -> list[int]:
    return torch.randperm(items, generator=generator(seed, "epoch", epoch)).tolist()


def noise(shape: tuple[int, ...], *parts: object, samples: Sequence[int]) -> Tensor:
    """Standard normal ``(len(samples), *shape)``; row i depends on ``samples[i]``."""
    rows = [torch.randn(shape, generator=generator(*parts, s)) for s in samples]
    return torch.stack(rows)
