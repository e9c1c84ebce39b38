"""A judged sweep as tables and as panels of curves."""

from collections.abc import Sequence

from skfm_lib.evaluation.sampling_steps.grid import REFERENCES
from skfm_lib.evaluation.sampling_steps.randomisation_test import (
    DISTANCES,
    Point,
    fewest,
    lines,
)
from skfm_lib.view.curves import Panels


def summary(points: Sequence[Point]) -> dict[str, dict[str, str]]:
    """For a table: the fewest evaluations within the noise, and not told apart.

    For the latter a cell stands for itself: among many, chance tells some apart.
    """
    columns = {
        name: fewest(points, lambda point, name=name: point.within[name])
        for name in DISTANCES
    }
    columns["both"] = both = fewest(points, lambda p: all(p.within.values()))
    rows = {}
    for line, these in lines(points).items():
        rows[line] = {name: _count(found[line]) for name, found in columns.items()}
        alike = (point for point in these if all(point.alike.values()))
        rows[line]["not told apart"] = _count(next(alike, None))
        rows[line]["drawn up to"] = _count(these[-1])
        seconds = both[line].drawn.sampling if both[line] else None
        rows[line]["seconds a skull"] = f"{seconds:.3g}" if seconds else "–"
    return rows


def table(points: Sequence[Point], name: str) -> dict[str, dict[str, str]]:
    """For a table: method → evaluations → value; a distance within the noise has ✓."""
    counts = sorted({point.evaluations for point in points})
    rows = {}
    for line, these in lines(points).items():
        found = {p.evaluations: p for p in these}
        rows[line] = {
            str(n): _value(found[n], name) if n in found else "" for n in counts
        }
    return rows


def costs(points: Sequence[Point]) -> dict[str, dict[str, float]]:
    """For a table: what a skull takes by each method, measured on its longest cell."""
    rows = {}
    for line, these in lines(points).items():
        drawn, evaluations = these[-1].drawn, these[-1].evaluations
        rows[line] = {
            "evaluations": str(evaluations),
            "ms an evaluation": 1e3 * drawn.sampling / evaluations,
            "ms to decode": 1e3 * drawn.decoding,
            "GiB at most": drawn.memory / 2**30,
        }
    return rows


def results(points: Sequence[Point]) -> dict[str, dict[str, object]]:
    """For the record of a stage: every cell's values, as plain numbers."""
    return {
        point.drawn.cell.name: {
            **point.values,
            "worse": point.worse,
            "noise": point.noise,
            "within": point.within,
            "sampling seconds": point.drawn.sampling,
            "decoding seconds": point.drawn.decoding,
            "bytes at most": point.drawn.memory,
        }
        for point in points
    }


def panels(points: Sequence[Point], name: str, over: str = "evaluations") -> Panels:
    """For `view.curves.sweep_curves`: the distance over evaluations or "seconds"."""
    found: Panels = {}
    for line, these in lines(points).items():
        model, method = REFERENCES[these[0].drawn.cell.model]
        band = these[0].reference(name)
        _, panel = found.setdefault(f"beside {model.upper()}, {method}", (band, {}))
        panel[line] = [(getattr(point, over), point.reaching(name)) for point in these]
    return found


def _count(point: Point | None) -> str:
    return str(point.evaluations) if point else "–"


def _value(point: Point, name: str) -> str:
    mark = " ✓" if point.within.get(name) else ""
    return f"{point.values[name].value:.3g}{mark}"
