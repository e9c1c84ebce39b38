"""Damage to files, drawn from a generator: for the tests of bad input."""

from pathlib import Path

import numpy as np

NUMBERS = (b"0", b"-1", b"1", b"99999999999", b"nan", b"1e308", b"-0.0001", b"inf")


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """`content` with one kind of damage."""
    data, length = bytearray(content), max(1, len(content))
    spot, run = int(rng.integers(length)), int(rng.integers(1, 2 + length // 20))
    head = int(rng.integers(min(length, 1000)))
    match int(rng.integers(9)):
        case 0:  # cut short
            del data[spot:]
        case 1:  # bits flipped, anywhere
            for at in rng.integers(length, size=int(rng.integers(1, 64))):
                data[at] ^= 1 << int(rng.integers(8))
        case 2:  # a byte of the header
            data[head] = int(rng.integers(256))
        case 3:  # numbers of the header out of range
            data[head : head + 4] = rng.choice([0, -1, 2**31 - 1, 7]).tobytes()[:4]
        case 4:  # a run of zeros, or of noise
            data[spot : spot + run] = (
                rng.bytes(run) if rng.random() < 0.5 else bytes(run)
            )
        case 5:  # a run lost
            del data[spot : spot + run]
        case 6:  # a run twice
            data[spot:spot] = data[spot : spot + run]
        case 7:  # a word of the header replaced
            words = bytes(data[:1000]).split(b" ")
            words[int(rng.integers(len(words)))] = NUMBERS[int(rng.integers(8))]
            data[:1000] = b" ".join(words)
        case _:  # floats of the header out of range
            number = np.float32(rng.choice([np.nan, np.inf, -1, 0, 1e30, 1e-30]))
            data[head & ~3 : (head & ~3) + 4] = number.tobytes()
    return bytes(data)


def damage(good: Path, folder: Path, rng: np.random.Generator) -> None:
    """A copy of the good scan's files with one of them mutated, at times lost."""
    files = sorted(good.iterdir())
    chosen = files[int(rng.integers(len(files)))]
    for path in files:
        content = path.read_bytes()
        if path == chosen:
            if len(files) > 2 and rng.random() < 0.1:
                continue
            content = mutated(content, rng)
        (folder / path.name).write_bytes(content)
