"""The checks one after the other, and their results as one page."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skfm_lib.benchmarks.device_check import agreement, system, training
from skfm_lib.utils.device import Device
from skfm_lib.utils.progress import Progress

Check = Callable[[Device], dict[str, Any]]

CHECKS: dict[str, Check] = {
    "hardware": system.hardware,
    "networks agree with the CPU's": agreement.networks,
    "operations agree with the CPU's": agreement.operations,
    "large bf16 convolutions": agreement.large_convolutions,
    "samplers": training.all_samplers,
    "resuming": training.resumes,
    "steps of the paper's size": training.paper_steps,
    "rendering": system.rendering,
    "chapters 1 and 2": system.chapters,
    "two processes": system.processes,
}


@dataclass(frozen=True)
class Finding:
    """What a check found, or why it failed."""

    name: str
    seconds: float
    values: Mapping[str, Any]
    failure: str = ""


def check(device: Device, names: Sequence[str] = tuple(CHECKS)) -> list[Finding]:
    """Run the checks called `names`; a failure does not stop the others."""
    findings = []
    with Progress("Checking", len(names)) as bar:
        for name in names:
            started, values, failure = time.monotonic(), {}, ""
            try:
                values = CHECKS[name](device)
            except Exception as error:  # of any kind: it is the result
                lines = str(error).strip().splitlines() or [type(error).__name__]
                failure = lines[0]
            seconds = time.monotonic() - started
            findings.append(Finding(name, seconds, values, failure))
            bar.advance(note=name)
    return findings


def as_page(findings: Sequence[Finding]) -> str:
    """One line a check, with its values below."""
    lines = []
    for one in findings:
        state = "FAILED" if one.failure else "ok"
        if "skipped" in one.values:
            state = "skipped"
        lines.append(f"{state:8}{one.name} ({one.seconds:.0f} s)")
        if one.failure:
            lines.append(f"        {one.failure}")
        for name, value in one.values.items():
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            lines.append(f"        {name}: {text}")
    failed = sum(bool(one.failure) for one in findings)
    lines.append(f"{len(findings) - failed} of {len(findings)} checks passed")
    return "\n".join(lines)
