"""The one error a user is meant to read."""


class SkfmError(Exception):
    """Something the user can mend, said in one line.

    found     the file or value, and what is wrong with it
    expected  what would have been right
    remedy    the next thing to type or do
    """

    def __init__(self, found: str, expected: str = "", remedy: str = "") -> None:
        parts = [found]
        if expected:
            parts.append(f"expected {expected}")
        if remedy:
            parts.append(f"next: {remedy}")
        super().__init__("; ".join(parts))
