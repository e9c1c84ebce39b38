"""What the index of a packed model says of it, in rows for cards and pages."""

from collections.abc import Mapping
from typing import Any

from skfm_lib.metrics import Interval, share

KINDS = {"generated": "generated skulls", "held out": "held-out skulls (false alarms)"}

SETS = {"generated": "generated skulls", "training": "training skulls"}


def model_rows(index: Mapping[str, Any]) -> dict[str, str]:
    """Quantity → value: what was trained on what, when, how large it is."""
    origin, files = index["origin"], index["files"]
    scores = origin.get("scores", {})
    counts = ", ".join(f"{n} of QS {q}" for q, n in scores.items())
    steps = ", ".join(f"{n:,} of {name}" for name, n in origin["steps"].items())
    size = sum(one["bytes"] for one in files.values()) / 1e6
    grid = "×".join(map(str, index["settings"]["vqvae"]["output_shape"]))
    sampling = index["settings"]["sampling"]
    rows = {
        "preset": f"{index['preset']}, skulls of {grid} voxels",
        "trained on": f"{origin['skulls']} {origin['kind']}"
        + (f" ({counts})" if counts else ""),
        "training steps": steps,
        "sampling": f"{sampling['ours_steps']} Euler steps, symmetric at t = "
        f"{sampling['symmetric']:g}",
        "packed": f"{origin['time'][:10]}, run `{origin.get('run', '?')}`, commit "
        f"`{origin['commit']}`",
        "size": f"{size:.1f} MB in {len(files)} files",
    }
    for name, tool in index["tools"].items():
        mean, most = (tool["errors"][key] for key in ("mean", "95 % below"))
        rows[name] = f"mean error {mean:.1f} mm on test skulls, 95 % below {most:.1f}"
    return rows


def screening_rows(index: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Screened set → failed, of another score, with Wilson's 95 % intervals."""
    rows = {}
    for key, found in index["screening"].items():
        n, reasons = found["skulls"], found["reasons"].items()
        rows[f"{n} {KINDS[key]}"] = {
            "failed": str(share(found["failed"], n)),
            "of another score": str(share(found["of another score"], n)),
            "mostly by": ", ".join(f"{m} {k}" for m, k in list(reasons)[:3]) or "–",
        }
    return rows


def distance_rows(index: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Compared set → its distances to the held-out skulls, with 95 % intervals.

    Empty where none were measured.
    """
    found = index["distances"]
    return {
        f"{found['skulls']} {SETS[name]}": {
            column: str(Interval(**value)) for column, value in row.items()
        }
        for name, row in found.get("rows", {}).items()
    }


def markdown_table(rows: Mapping[str, Mapping[str, str]]) -> str:
    """Rows by label → column → value, as a table in Markdown."""
    columns = list(dict.fromkeys(c for row in rows.values() for c in row))
    lines = [["", *columns], ["---"] * (1 + len(columns))]
    lines += [
        [label, *(row.get(c, "") for c in columns)] for label, row in rows.items()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
