"""Importing skfm_lib tells libgomp how long threads may spin, before torch loads it."""

import os
import re
import subprocess
import sys

import pytest

VARIABLES = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"


def spin_count(code: str = "import skfm_lib, torch", **variables: str) -> str:
    """What libgomp itself says that it has read, when `code` runs in a new process."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    environment |= {"OMP_DISPLAY_ENV": "verbose", "OMP_NUM_THREADS": "2", **variables}
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    if not (found := re.search(r"GOMP_SPINCOUNT = '(\w+)'", shown.stderr)):
        pytest.skip("this build of torch does not use libgomp")
    return found[1]


def test_threads_spin_briefly():
    assert spin_count() == "1000"
    assert spin_count("import torch, skfm_lib") != "1000"  # too late


def test_the_users_choice_stands():
    assert spin_count(GOMP_SPINCOUNT="77") == "77"
    assert spin_count(OMP_WAIT_POLICY="PASSIVE") == "0"
