"""What was measured of a packed model since it was packed, kept beside its index.

These are the findings on its privacy and on fewer steps of the sampler.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from skfm_lib.metrics import Interval, Share, share
from skfm_lib.reference_model.package import Package
from skfm_lib.utils.files import read_json

FINDINGS, FEW_STEPS = "privacy.json", "few_steps.json"
MISSING = "not measured"
KEYS = ("files", "run", "skulls", "attacked", "copies", "membership", "jaws")
QUESTIONS = ("copies", "membership", "attribute inference")


def checksums(index: Mapping[str, Any]) -> dict[str, str]:
    """File → SHA-256, of a packed model's index."""
    return {name: one["sha256"] for name, one in sorted(index["files"].items())}


def read_findings(package: Package) -> dict[str, Any] | None:
    """The findings on its privacy; None where there are none, or of other weights.

    Raises:
        SkfmError: for damaged findings.
    """
    return _read(package, FINDINGS, KEYS)


def privacy_rows(package: Package) -> dict[str, dict[str, str]]:
    """Question → what was found, with 95 % intervals, and what could have been."""
    found = read_findings(package)
    if found is None:
        return {name: {"found": MISSING} for name in QUESTIONS}
    return {**_copies(found), **_membership(found), **_jaws(found)}


def steps_rows(package: Package) -> dict[str, dict[str, str]]:
    """Steps of the sampler → failed skulls and distances, with 95 % intervals.

    Empty where they were not measured, or of other weights.
    """
    found, rows = _read(package, FEW_STEPS, ("files", "steps")), {}
    for steps, one in (found or {"steps": {}})["steps"].items():
        n, values = one["skulls"], one.get("distances", {}).items()
        rows[f"{steps} steps, {one['evaluations']} evaluations"] = {
            "skulls": str(n),
            "failed": str(share(one["failed"], n)),
            "of another score": str(share(one["of another score"], n)),
            **{column: str(Interval(**value)) for column, value in values},
        }
    return rows


def _read(package: Package, name: str, keys: Sequence[str]) -> dict[str, Any] | None:
    path = package.folder / name
    found = read_json(path, *keys) if path.is_file() else None
    return found if found and found["files"] == checksums(package.index) else None


def _copies(found: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    rows = {}
    for space, one in found["copies"].items():
        shares = {key: Share(**one[key]) for key in ("generated", "held out")}
        rows[f"copies by {space}"] = {
            "found": f"{shares['generated']} of {one['skulls']} generated skulls",
            "without disclosure": f"{shares['held out']} of the test skulls, "
            f"{one['expected']:.1%} expected",
            "power": f"planted, as decoded: {one['planted']}",
        }
    return rows


def _membership(found: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    rows = {}
    for name, one in found["membership"].items():
        auc, tpr = (Interval(**one[key]) for key in ("AUC", "TPR at 1 % FPR"))
        rows[f"membership by {name}"] = {
            "found": f"AUC {auc}, TPR {Share(*tpr)} at 1 % FPR",
            "without disclosure": "AUC 0.5, TPR 1 %",
            "power": f"AUC {one['detectable AUC']:.3f} in 80 % of cases",
        }
    return rows


def _jaws(found: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    rows = {}
    for name, one in found["jaws"].items():
        rows[f"jaw by {name}"] = {
            "found": f"Dice {one['members']:.3f} of members, {one['strangers']:.3f} of "
            f"strangers: {Interval(**one['excess'])} more ({one['skulls']} skulls)",
            "without disclosure": "0 more",
            "power": f"{one['detectable']:.3f} more in 80 % of cases",
        }
    return rows
