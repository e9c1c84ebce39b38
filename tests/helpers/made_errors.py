"""Made-up errors of training sets."""

import numpy as np
import pandas as pd


def table(values, seeds=(0, 1, 2), skulls=40, turns=1):
    """Errors of sets: name → a number, or (seeds, skulls) numbers."""
    rows = []
    for name, errors in values.items():
        errors = np.broadcast_to(errors, (len(seeds), skulls))
        for s, seed in enumerate(seeds):
            for i in range(skulls):
                about = name, seed, seed % turns, f"skull-{i:03d}", 2 + i % 5
                rows.append((*about, errors[s, i]))
    columns = ["set", "seed", "generator", "name", "quality", "raw"]
    return pd.DataFrame(rows, columns=columns)


def noisy(seed, level, spread=1.0, seeds=3, skulls=40):
    return level + spread * np.random.default_rng(seed).standard_normal((seeds, skulls))
