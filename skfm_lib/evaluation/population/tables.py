"""Tables of how real the phantoms are."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields

import numpy as np

from skfm_lib.data.phantom.craniometry import Craniometry, craniometry
from skfm_lib.evaluation.population.cited import (
    PUBLISHED,
    SAMPLED,
    SHAPE_MODELS,
    Cited,
)
from skfm_lib.evaluation.population.measures import UNITS
from skfm_lib.evaluation.population.region import Measures, Population, Position
from skfm_lib.evaluation.population.shape_modes import ShapeModes

Rows = dict[str, dict[str, object]]
Row = Mapping[str, float]
MEAN, DEVIATION = 0.10, 0.25  # how far from a citation is agreement, relative


def sampled_measures(seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """The measures of individuals, by name, one value a seed; 0 and 1 for booleans."""
    table = np.array([astuple(craniometry(seed)) for seed in seeds], float)
    names = [field.name for field in fields(Craniometry)]
    return dict(zip(names, table.T))


def agrees(values: np.ndarray, cited: Cited) -> bool:
    """Whether a mean is within MEAN, and a deviation within DEVIATION, of a citation.

    A measure whose cited mean is 0 is compared in units of its deviation.
    """
    unit = abs(cited.mean) or cited.deviation
    near = abs(values.mean() - cited.mean) <= MEAN * unit
    return bool(
        near
        and abs(values.std(ddof=1) - cited.deviation) <= DEVIATION * cited.deviation
    )


def citations(sampled: Mapping[str, np.ndarray]) -> Rows:
    """Each sampled measure beside its citation; absent sinuses do not count."""
    rows: Rows = {}
    for name, cited in SAMPLED.items():
        values = sampled[name][sampled[name] != 0]
        rows[name.replace("_", " ")] = {
            "phantoms": _spread(values.mean(), values.std(ddof=1)),
            "published": _spread(cited.mean, cited.deviation),
            "agrees": "yes" if agrees(values, cited) else "no",
            "source": _cite(cited.source),
            "note": cited.note,
        }
    return rows


def models(of_phantoms: Mapping[str, ShapeModes]) -> Rows:
    """Modes that hold shares of the variance of shape; published models below."""
    rows: Rows = {}
    for name, modes in of_phantoms.items():
        rows[name] = {"n": modes.people}
        rows[name] |= {f"{s:.0%}": modes.needed(s) for s in (0.9, 0.95, 0.99)}
        rows[name] |= {"participation ratio": round(modes.participation, 1)}
        rows[name] |= {f"in {k} modes": f"{modes.held(k):.0%}" for k in (3, 9, 10, 16)}
    for model in SHAPE_MODELS:
        name = f"{model.about} {_cite(model.source)}"
        rows.setdefault(name, {"n": model.people})
        rows[name] |= {f"in {model.modes} modes": f"{model.share:.0%}"}
    return rows


def measured(population: Population, heads: Mapping[str, Measures]) -> Rows:
    """Each measure: of the phantoms, of heads, and published where it is."""
    rows: Rows = {}
    for name, values in population.values.items():
        low, high = population.central(name)
        rows[f"{name}, {UNITS[name]}"] = {
            "phantoms": _spread(values.mean(), values.std(ddof=1)),
            "95 % of them": f"{low:.3g} to {high:.3g}",
            **{label: f"{head[name]:.3g}" for label, head in heads.items()},
            "published": "; ".join(map(_published, PUBLISHED.get(name, ()))),
        }
    return rows


def positions(located: Mapping[str, Position]) -> Rows:
    """Where heads lie in the population: standard deviations, and all together."""
    rows: Rows = {}
    for label, position in located.items():
        scores = {f"{name}, SD": f"{s:+.1f}" for name, s in position.scores.items()}
        rows[label] = {
            "distance, limit": f"{position.distance:.1f}, {position.limit:.1f}",
            "within 95 %": "yes" if position.inside else "no",
            "measures outside": ", ".join(position.outside) or "none",
            **scores,
        }
    return _transposed(rows)


def thin_bone(found: Mapping[str, Mapping[str, Mapping[str, Row]]]) -> Rows:
    """`thin_bone.comparison` as rows: a candidate for a skull on a grid."""
    return {
        f"{skull}, {shape}, {candidate}": {k: f"{v:.2f}" for k, v in row.items()}
        for skull, shapes in found.items()
        for shape, candidates in shapes.items()
        for candidate, row in candidates.items()
    }


def _transposed(rows: Rows) -> Rows:
    names = dict.fromkeys(name for row in rows.values() for name in row)
    return {name: {label: row[name] for label, row in rows.items()} for name in names}


def _published(cited: Cited) -> str:
    note = f"{cited.note}, " if cited.note else ""
    return f"{_spread(cited.mean, cited.deviation)} ({note}{_cite(cited.source)})"


def _spread(mean: float, deviation: float) -> str:
    return f"{mean:.3g} ± {deviation:.2g}"


def _cite(keys: str) -> str:
    return f"{{cite:t}}`{keys}`"
