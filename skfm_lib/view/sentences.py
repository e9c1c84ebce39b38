"""Words for results: what the takeaways of chapters are made of."""

from collections import Counter
from collections.abc import Iterable, Mapping

from skfm_lib.metrics import Interval


def listed(parts: Iterable[object]) -> str:
    """Parts as an English list, "none" if there are none.

    >>> listed(["DDPM", "OTFM", "ours"])
    'DDPM, OTFM and ours'
    """
    *first, last = list(map(str, parts)) or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def valued(values: Mapping[str, object]) -> str:
    """Names with their values; real numbers with three digits.

    >>> valued({"OTFM": 81.04, "DDPM": "no result"})
    'OTFM 81 and DDPM no result'
    """
    return listed(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def counted(outcomes: Iterable[str]) -> str:
    """How often each outcome occurs, in the order of the first.

    >>> counted(["confirmed", "undecided", "confirmed"])
    '2 confirmed and 1 undecided'
    """
    found = Counter(outcomes)
    return listed(f"{n} {name}" for name, n in found.items())


def compared(difference: Interval, higher: bool = False) -> str:
    """Whether a difference is better, worse or undecided, by its interval.

    `higher`: values are better if they are higher.

    >>> compared(Interval(-2.0, -3.0, -1.0)), compared(Interval(1.0, -1.0, 3.0))
    ('better', 'undecided')
    """
    low, high = difference.low, difference.high
    if low <= 0 <= high:
        return "undecided"
    return "better" if (low > 0) == higher else "worse"
