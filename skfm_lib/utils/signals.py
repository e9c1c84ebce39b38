"""A warning that time is up: the step under way ends, and what there is is saved.

A batch system sends a signal some minutes before it ends a job; a person may send
one too (``kill PROCESS``).
"""

import contextlib
import signal
import threading
from collections.abc import Iterator

from skfm_lib.utils import distributed

WARNINGS = {signal.SIGTERM, getattr(signal, "SIGUSR1", signal.SIGTERM)}


class Notes(list):
    """A signal handler that only remembers the names of what came."""

    def __call__(self, number: int, frame: object) -> None:
        self.append(signal.Signals(number).name)


@contextlib.contextmanager
def noting_warnings() -> Iterator[Notes]:
    """Note SIGUSR1 and SIGTERM while the block runs; the former handlers come back.

    Blocks within each other share their notes.  With several processes SIGINT is
    noted too: a terminal sends it to all of them, and none must leave alone.
    Python gives signals to the main thread; in any other the notes stay empty.
    """
    current = signal.getsignal(signal.SIGTERM)
    if isinstance(current, Notes):
        yield current
        return
    notes, alone = Notes(), distributed.devices() == 1
    if threading.current_thread() is not threading.main_thread():
        yield notes
        return
    numbers = WARNINGS if alone else {*WARNINGS, signal.SIGINT}
    former = {number: signal.signal(number, notes) for number in numbers}
    try:
        yield notes
    finally:
        for number, handler in former.items():
            if signal.getsignal(number) is notes:
                signal.signal(number, handler or signal.SIG_DFL)
