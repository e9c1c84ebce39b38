"""skfm: synthetic skulls by flow matching (MIDL 2026), as a study one can run."""

import os

__version__ = "0.1.0"

# Threads of an operation wait for each other in a loop; beside another program one of
# them has no core, and the others would spin for milliseconds at every operation.
# libgomp reads this when torch is loaded, which therefore comes after this package.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "1000"  # a few microseconds
