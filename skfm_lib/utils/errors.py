"""Errors that are addressed to the user."""

SAVED = 75  # exit status EX_TEMPFAIL of sysexits.h: not done yet, try again


class SkfmError(Exception):
    """An error that the user can fix, reported in one line.

    Args:
        found: the file or value, and what is wrong with it.
        expected: what would have been right.
        remedy: the next thing to type or do.

    A file is named by its absolute path and nothing else, so that `redact` can replace
    the path without touching the sentence; ``parts`` are the three texts.
    """

    status = 1  # of the command that it ends

    def __init__(self, found: str, expected: str = "", remedy: str = "") -> None:
        self.parts = found, expected, remedy
        parts = [found]
        if expected:
            parts.append(f"expected {expected}")
        if remedy:
            parts.append(f"next: {remedy}")
        super().__init__("; ".join(parts))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback: the user's error, in one line."""
        return [f"skfm: {self}"]


class Interrupted(SkfmError):
    """Training was stopped early, and everything is saved."""

    status = SAVED
