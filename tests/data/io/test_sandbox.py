"""A child process that may crash, hang or swallow memory without harm."""

import sys
import time

import pytest
import sandbox_tasks

from skfm_lib.data.io.sandbox import Sandbox, UnexpectedError, reading_time
from skfm_lib.utils.errors import SkfmError


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(memory=1 << 30) as sandbox:
        yield sandbox


def test_answers_and_errors_come_back(sandbox, capfd):
    assert sandbox(sandbox_tasks.talk) == "done"
    child = sandbox.child.pid
    with pytest.raises(SkfmError, match="^found; expected expected; next: remedy$"):
        sandbox(sandbox_tasks.refuse)
    with pytest.raises(UnexpectedError) as error:
        sandbox(sandbox_tasks.stumble)
    assert "unexpected KeyError in sandbox_tasks.py line" in str(error.value)
    assert sandbox.child.pid == child
    printed = capfd.readouterr()
    assert "Doe" not in printed.out + printed.err + str(error.value)


def test_a_crash_ends_the_task_only(sandbox):
    with pytest.raises(SkfmError, match="its reader crashed"):
        sandbox(sandbox_tasks.crash)
    assert sandbox(sandbox_tasks.talk) == "done"


def test_a_child_that_was_killed_between_calls_is_replaced(sandbox):
    sandbox(sandbox_tasks.talk)
    sandbox.child.kill()
    sandbox.child.wait()
    with pytest.raises(SkfmError, match="its reader crashed"):
        sandbox(sandbox_tasks.talk)
    assert sandbox(sandbox_tasks.talk) == "done"


def test_a_reader_that_hangs_is_ended(sandbox):
    sandbox(sandbox_tasks.talk)
    start = time.monotonic()
    for task in (sandbox_tasks.spin, sandbox_tasks.hang):
        with pytest.raises(SkfmError, match="reading takes too long"):
            sandbox(task)
    assert time.monotonic() - start < 60
    assert reading_time(0) <= 10 and reading_time(10**8) > 20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems set no limit")
def test_memory_is_bounded(sandbox):
    assert sandbox(sandbox_tasks.swallow, 1 << 24) == 1 << 24
    with pytest.raises(SkfmError, match="needs more than 1.0 GiB of memory"):
        sandbox(sandbox_tasks.swallow, 1 << 31)


def test_the_child_ends_with_the_block():
    with Sandbox() as sandbox:
        sandbox(sandbox_tasks.talk)
        child = sandbox.child
    assert child.poll() is not None
