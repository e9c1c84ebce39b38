"""skfm: synthetic skulls by flow matching (MIDL 2026), as a study one can run."""

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Threads of an operation wait for each other in a loop; beside another program one of
# them has no core, and the others would spin for milliseconds at every operation.
# libgomp reads this when torch is loaded, which therefore comes after this package.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "1000"  # a few microseconds


def __getattr__(name: str) -> Any:
    """`generate`, on demand: its room imports torch, and others import this package."""
    if name == "generate":
        return import_module("skfm_lib.reference_model").generate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
