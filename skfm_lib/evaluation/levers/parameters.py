"""A plan from the parameters of a command line, which are those of the chapter."""

from collections.abc import Mapping
from typing import Any

from skfm_lib.evaluation.levers.plan import Plan
from skfm_lib.evaluation.share_command import values_of
from skfm_lib.study import Study

DEFAULTS: dict[str, tuple[str, Any]] = {  # type, and the chapter's default
    "steps": ("int", None),
    "full_steps": ("int", None),
    "seeds": ("list[int]", [0, 1, 2]),
    "best": ("list[str]", ["linear start", "symmetry", "copied"]),
    "count": ("int", 91),
    "levers": ("list[str]", None),
}


def plan_of(study: Study, given: Mapping[str, object]) -> Plan:
    """The chapter's plan with the parameters `given`.

    Raises:
        SkfmError: for an unknown parameter, a value of another type, and as `Plan`.
    """
    values = values_of(given, DEFAULTS)
    return Plan(study, names=values.pop("levers"), **values)
