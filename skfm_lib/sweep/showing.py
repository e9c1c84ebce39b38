"""A judged sweep as tables and as panels of curves."""

from collections.abc import Sequence

from skfm_lib.sweep.cells import REFERENCES
from skfm_lib.sweep.judging import DISTANCES, Point, fewest, lines
from skfm_lib.view.curves import Panels


def summary(points: Sequence[Point]) -> dict[str, dict[str, str]]:
    """For a table: the fewest evaluations by FID, by KID, by both; their cost."""
    by_name = {name: fewest(points, [name]) for name in DISTANCES}
    rows = {}
    for line, best in fewest(points).items():
        row = {k: _count(v[line]) for k, v in by_name.items()} | {"both": _count(best)}
        most = lines(points)[line][-1]
        row["drawn up to"] = str(most.evaluations)
        if best:
            row["seconds a skull"] = f"{best.drawn.sampling:.3g}"
        rows[line] = row
    return rows


def table(points: Sequence[Point], name: str) -> dict[str, dict[str, str]]:
    """For a table: method → evaluations → the distance, ✓ where within the noise."""
    counts = sorted({point.evaluations for point in points})
    rows = {}
    for line, these in lines(points).items():
        found = {p.evaluations: p for p in these}
        rows[line] = {
            str(n): _value(found[n], name) if n in found else "" for n in counts
        }
    return rows


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
    return f"{point.values[name].value:.3g}{' ✓' if point.within[name] else ''}"
