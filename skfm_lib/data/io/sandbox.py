"""Run functions on untrusted files in a child process, with limits.

The readers of images and meshes are native code: a damaged file can crash them, keep
them busy indefinitely or make them allocate all memory.  In a child process, that
fails one scan and not the run.
"""

import contextlib
import faulthandler
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from skfm_lib.utils.errors import SkfmError

T = TypeVar("T")
MEMORY = 7 << 29  # bytes, 3.5 GiB: a CT of 512×512×300 voxels takes 2
BASE_SECONDS, RATE = 8.0, 4e6  # to read any file, and additional bytes per second
IDLE = 10  # wall-clock time allowed, in multiples of the computing time
TIMED_OUT = (1, -27)  # exit status of a process ended by faulthandler or its timer


class UnexpectedError(SkfmError):
    """A bug of this library, reported in one line like a user's error."""


class Sandbox:
    """A child process that calls functions one after another; a context manager.

    ``sandbox(function, *arguments)`` returns what the function returns.  It raises
    SkfmError if the function does, crashes, allocates more than `memory` bytes (where
    the system can limit them) or exceeds a `time_limit`, and UnexpectedError for any
    other exception.  The function must be importable, and arguments and result
    picklable.  What the child prints is dropped: native readers quote file contents.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self.memory = memory
        self.child: subprocess.Popen | None = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *failure: object) -> None:
        self.end()

    def end(self) -> None:
        """End the child, whatever it is doing; the next call starts another."""
        child, self.child = self.child, None
        if child:
            child.kill()
            with contextlib.suppress(BrokenPipeError), child:
                pass  # closes the pipes and waits

    def __call__(self, function: Callable[..., T], *arguments: object) -> T:
        child = self.child = self.child or _start(self.memory)
        assert child.stdin and child.stdout  # both are pipes
        try:
            pickle.dump((function, arguments), child.stdin)
            child.stdin.flush()
            answer = pickle.load(child.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as reason:
            status = child.wait()
            self.end()
            raise _ended(status) from reason
        except BaseException:  # interrupted: no call will read this answer
            self.end()
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End this process (a sandbox's child) if the block takes longer than `seconds`.

    Computing time is measured where the system supports it, so that a busy machine
    ends nothing; a block that sleeps is ended after IDLE times as long.  Native code
    cannot block either clock: one is the system's, the other a thread of faulthandler.
    """
    set_timer = getattr(signal, "setitimer", lambda *_: None)  # Windows has none
    computing = getattr(signal, "ITIMER_PROF", 0)
    faulthandler.dump_traceback_later(IDLE * seconds, exit=True, file=2)
    set_timer(computing, seconds)
    try:
        yield
    finally:
        set_timer(computing, 0)
        faulthandler.cancel_dump_traceback_later()


def reading_time(size: int) -> float:
    """Seconds that reading `size` bytes may take on a slow machine."""
    return BASE_SECONDS + size / RATE


def _start(memory: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import serve; serve({memory})"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


def _ended(status: int) -> SkfmError:
    found = "reading takes too long" if status in TIMED_OUT else "its reader crashed"
    remedy = "it may be damaged: copy or export it again"
    return SkfmError(found, "a complete file of its type", remedy)


def serve(memory: int) -> None:
    """Run in the child: answer calls from standard input until it is closed."""
    calls, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit_memory(memory)
    while True:
        try:
            function, arguments = pickle.load(calls)
        except EOFError:
            return
        pickle.dump(_answer(function, arguments, memory), answers)
        answers.flush()


def _answer(function: Callable[..., T], arguments: tuple, memory: int) -> T | SkfmError:
    try:
        return function(*arguments)
    except SkfmError as error:
        return error
    except MemoryError:
        found = f"it needs more than {memory / 2**30:.1f} GiB of memory"
        remedy = "crop it to the head, or resample it to 0.5 mm"
        return SkfmError(found, "a scan of one head", remedy)
    except Exception as error:  # without its message, which may quote a patient's data
        frames = traceback.extract_tb(error.__traceback__)[1:]
        own = [f for f in frames if Path(__file__).parents[1] in Path(f[0]).parents]
        last = (own or frames)[-1]
        where = f"{Path(last.filename).name} line {last.lineno}"
        found = f"unexpected {type(error).__name__} in {where}"
        expected = "a scan that skfm can read, or an error that describes it"
        return UnexpectedError(found, expected, "report this, without the file")


def _limit_memory(memory: int) -> None:
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
