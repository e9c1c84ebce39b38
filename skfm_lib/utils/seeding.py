"""Randomness as a function of what it is for, so that nothing has to be replayed.

Every random draw of the study comes from a generator that is seeded by words and
numbers: the study's seed, the purpose, the step or the sample.  A resumed run
therefore draws what an uninterrupted one draws, and a sample is the same skull in
whatever batch it is drawn, up to the rounding of the networks.
"""

import hashlib
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

    All items pass in a new random order before any comes again; a batch may reach
    over the end of such an epoch.
    """
    positions = range(step * batch, (step + 1) * batch)
    return [_order(seed, i // items, items)[i % items] for i in positions]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, items: int) -> list[int]:
    return torch.randperm(items, generator=generator(seed, "epoch", epoch)).tolist()


def noise(shape: tuple[int, ...], *parts: object, samples: list[int]) -> Tensor:
    """Standard normal (len(samples), *shape); row i depends on `samples[i]` only."""
    rows = [torch.randn(shape, generator=generator(*parts, s)) for s in samples]
    return torch.stack(rows)
