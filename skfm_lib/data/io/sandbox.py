"""Work on files from outside in a process of its own, with limits.

The readers of images and meshes are native code: a damaged file can crash them, keep
them busy for ever or make them ask for all memory.  In a child process that costs
one scan, not the run.
"""

import faulthandler
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from skfm_lib.utils.errors import SkfmError

T = TypeVar("T")
MEMORY = 7 << 29  # bytes, 3.5 GiB: a CT of 512×512×300 voxels takes 2
PATIENCE, RATE = 8.0, 4e6  # seconds to read any file, and bytes a second beside them
IDLE = 10  # times the computing time that may pass on the clock
TOO_LONG = (1, -27)  # status of a process that faulthandler or its timer has ended


class Unexpected(SkfmError):
    """A mistake of this library, said like an error of the user's."""


class Sandbox:
    """A child process that calls functions, one after another; a context manager.

    ``guard(function, *arguments)`` returns what the function returns and raises the
    SkfmError that it raises.  SkfmError too if it crashes, asks for more than `memory`
    bytes (where the system can limit them) or outlasts `time_limit`; Unexpected for
    any other exception.  The function belongs to a module, and everything can be
    pickled.  What the child prints is dropped: native readers quote file contents.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self.memory = memory
        self.child: subprocess.Popen | None = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *failure: object) -> None:
        if self.child:
            self.child.kill()
            self.child.wait()
            self.child.stdin.close()
            self.child.stdout.close()
            self.child = None

    def __call__(self, function: Callable[..., T], *arguments: object) -> T:
        if self.child is None:
            self.child = _start(self.memory)
        try:
            pickle.dump((function, arguments), self.child.stdin)
            self.child.stdin.flush()
            answer = pickle.load(self.child.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as reason:
            status = self.child.wait()
            self.__exit__()
            raise _ended(status) from reason
        except BaseException:  # interrupted: the answer to come is nobody's
            self.__exit__()
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End this process (a Guard's child) if the block takes longer than `seconds`.

    Computing time counts where the system can tell it, so that a busy machine ends
    nothing; sleeping ends after IDLE times as long.  Native code cannot hold up either
    clock: one is the system's, the other a thread of faulthandler.
    """
    busy = getattr(signal, "setitimer", lambda *_: None)
    faulthandler.dump_traceback_later(IDLE * seconds, exit=True, file=sys.__stderr__)
    busy(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        busy(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()


def patience(size: int) -> float:
    """Seconds that reading `size` bytes may take on a slow machine."""
    return PATIENCE + size / RATE


def _start(memory: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import serve; serve({memory})"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


def _ended(status: int) -> SkfmError:
    if status in TOO_LONG:
        found, remedy = "reading takes too long", "copy or export it again"
    else:
        found, remedy = "its reader crashed", "it is damaged: copy or export it again"
    return SkfmError(found, "a whole file of its type", remedy)


def serve(memory: int) -> None:
    """The child's life: answer calls from standard input until it is closed."""
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
        return SkfmError(
            f"it needs more than {memory / 2**30:.1f} GiB of memory",
            "a scan of one head",
            "crop it to the head, or resample it to 0.5 mm",
        )
    except Exception as error:  # the message may quote a patient's data: left out
        frames = traceback.extract_tb(error.__traceback__)[1:]
        own = [f for f in frames if Path(__file__).parents[1] in Path(f[0]).parents]
        last = (own or frames)[-1]
        return Unexpected(
            f"unexpected {type(error).__name__} in {Path(last.filename).name} line "
            f"{last.lineno}",
            "a scan that skfm can read, or else its refusal",
            "report it, without the file",
        )


def _limit_memory(memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
