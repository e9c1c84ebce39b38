"""A child process that may crash, hang or swallow memory without harm."""

import sys
import time

import guard_tasks
import pytest

from skfm_lib.data.io.sandbox import Guard, Unexpected, patience
from skfm_lib.utils.errors import SkfmError


@pytest.fixture(scope="module")
def guard():
    with Guard(memory=1 << 30) as guard:
        yield guard


def test_answers_and_errors_come_back(guard, capfd):
    assert guard(guard_tasks.talk) == "done"
    child = guard.child.pid
    with pytest.raises(SkfmError, match="^found; expected expected; next: remedy$"):
        guard(guard_tasks.refuse)
    with pytest.raises(Unexpected) as error:
        guard(guard_tasks.stumble)
    assert "unexpected KeyError in guard_tasks.py line" in str(error.value)
    assert guard.child.pid == child
    said = capfd.readouterr()
    assert "Doe" not in said.out + said.err + str(error.value)


def test_a_crash_ends_the_task_only(guard):
    with pytest.raises(SkfmError, match="its reader crashed"):
        guard(guard_tasks.crash)
    assert guard(guard_tasks.talk) == "done"


def test_a_reader_that_hangs_is_ended(guard):
    guard(guard_tasks.talk)
    start = time.monotonic()
    for task in (guard_tasks.spin, guard_tasks.hang):
        with pytest.raises(SkfmError, match="reading takes too long"):
            guard(task)
    assert time.monotonic() - start < 60
    assert patience(0) <= 10 and patience(10**8) > 20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems set no limit")
def test_memory_is_bounded(guard):
    assert guard(guard_tasks.swallow, 1 << 24) == 1 << 24
    with pytest.raises(SkfmError, match="needs more than 1.0 GiB of memory"):
        guard(guard_tasks.swallow, 1 << 31)


def test_the_child_ends_with_the_block():
    with Guard() as guard:
        guard(guard_tasks.talk)
        child = guard.child
    assert child.poll() is not None
