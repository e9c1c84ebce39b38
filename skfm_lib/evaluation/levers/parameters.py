"""A plan from the parameters of a command line, which are those of the chapter."""

from collections.abc import Mapping
from typing import Any, Optional

from skfm_lib.evaluation.levers.plan import Plan
from skfm_lib.study import Study
from skfm_lib.study.parameters import TYPES
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.values import conform

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
    if unknown := [name for name in given if name not in DEFAULTS]:
        raise SkfmError(f"parameter {unknown[0]!r}", f"one of {', '.join(DEFAULTS)}")
    values = {}
    for name, (kind, default) in DEFAULTS.items():
        hint = Optional[TYPES[kind]] if default is None else TYPES[kind]  # noqa: UP045
        values[name] = conform(name, given.get(name, default), hint)
    return Plan(study, names=values.pop("levers"), **values)
