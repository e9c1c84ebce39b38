"""Progress that is readable in a terminal and clean in a saved notebook.

A terminal gets one line that rewrites itself.  A notebook gets one output that is
updated in place, so that the saved record holds only its final state (a widget or
a stream would keep a frozen bar or hundreds of lines).  A log file gets a line
every half minute.  When ``SKFM_PROGRESS`` names a file, the current line is kept
there too, for the process that started the notebook to show.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import TypeVar

from skfm_lib.utils.front_end import in_notebook

T = TypeVar("T")


def clock(seconds: float) -> str:
    """``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    minutes, rest = divmod(int(round(seconds)), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """A progress line; use as a context manager, ``advance`` it, and ``note`` on it."""

    def __init__(self, label: str, total: int | None = None, done: int = 0) -> None:
        self.label, self.total = label, total
        self.done = self.first = done
        self.note = ""
        self.started = self.shown = time.monotonic()
        self._handle = None

    def __enter__(self) -> "Progress":
        self._notebook, self._terminal = in_notebook(), sys.stderr.isatty()
        self._show()
        return self

    def __exit__(self, *failure: object) -> None:
        self._show(final=True)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count `steps` more as done; `note` is shown behind the count."""
        self.done += steps
        self.note = note or self.note
        patience = 0.5 if self._notebook or self._terminal else 30.0
        if time.monotonic() - self.shown >= patience:
            self._show()

    def line(self, final: bool = False) -> str:
        """The line as text, such as ``VQ-VAE  120/800 · 34 s, 3 min 10 s left``."""
        elapsed = self.elapsed
        count = f"{self.done}/{self.total}" if self.total else f"{self.done}"
        left = ""
        if not final and self.total and self.done > self.first:
            rate = elapsed / (self.done - self.first)
            left = f", {clock(rate * (self.total - self.done))} left"
        note = f" · {self.note}" if self.note else ""
        return f"{self.label}  {count} · {clock(elapsed)}{left}{note}"

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def _show(self, final: bool = False) -> None:
        self.shown = time.monotonic()
        line = self.line(final)
        if "SKFM_PROGRESS" in os.environ:
            Path(os.environ["SKFM_PROGRESS"]).write_text(line, encoding="utf-8")
        if self._notebook:
            self._update_output(line)
        elif self._terminal:
            end = "\n" if final else ""
            print(f"\r\033[K{line}", end=end, file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def _update_output(self, line: str) -> None:
        from IPython.display import display

        content = {"text/plain": line}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` with a progress line; `total` is taken from ``len`` if there."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(label, total) as bar:
        for item in items:
            yield item
            bar.advance()
