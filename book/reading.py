"""Sentences that read the numbers of the results, whichever run is shown."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from paper_beside import TABLES, Read
from shown import listed, number_of, parts

from skfm_lib.presets import paper_tables as paper
from skfm_lib.study.record_contents import Contents

TASKS = ("08", "09")  # the chapters that test claims
WORDS = {  # of the claims about a table
    **dict.fromkeys((2, 5), "DDPM"),
    **dict.fromkeys((3, 6), "helps"),
    **dict.fromkeys((4, 11), "balanced|OTFM-b|oversampled|mirrored"),
}
# Words of conclusions, the ones to read first in front; other words come last.
ORDER = ("refuted", "not confirmed", "confirmed", "equivalent", "undecided")


def better_model(record: Contents) -> str:
    """Which of OTFM and DDPM chapter 6 finds better by the metrics of Table 1."""
    metrics = paper.TABLE_1["ref"]
    found = {
        who: {m[:-2]: record.entry("tab-better-model", m, who) for m in metrics}
        for who in ("this run", "paper")
    }
    ours, theirs = found["this run"], found["paper"]
    if not any(ours.values()):
        return "The record does not test which model is better."
    here = "; ".join(f"{k} by {listed(v)}" for k, v in by_outcome(ours).items())
    same = [m for m, better in ours.items() if better == theirs[m]]
    other = [m for m, b in ours.items() if b != theirs[m] and b in ("OTFM", "DDPM")]
    text = "Better in this run (one training each, intervals over the skulls alone): "
    text += f"{here}. As in the paper by {listed(same)}"
    return f"{text}, not as in the paper by {listed(other)}."


def by_outcome(found: dict[str, str]) -> dict[str, list[str]]:
    """Outcome → what has it: OTFM and DDPM first."""
    sides: dict[str, list[str]] = {"OTFM": [], "DDPM": []}
    for name, outcome in found.items():
        sides.setdefault(outcome, []).append(name)
    return sides


class Claim(NamedTuple):
    """A claim of the paper as a sentence, and what chapter 8 or 9 finds of it."""

    text: str
    chapter: str
    better_by: str
    in_the_paper: str
    conclusion: str


def claims(record: Contents, chapter: str) -> list[Claim]:
    """The claims in the tables of chapter 8 or 9, each as a sentence of its own."""
    found = []
    for rows in record.tables.values():
        before = ""
        for text, row in rows.items():
            conclusion = row.get("conclusion") or row.get("verdict")
            if not conclusion:
                continue
            whole = f"{before}, {text}" if text.startswith("and ") else text
            before = before if text.startswith("and ") else text
            here, theirs = row.get("better by, mm", ""), row.get("in the paper", "")
            found.append(Claim(whole, chapter, here, theirs, conclusion))
    return found


def outcome(conclusion: str) -> str:
    """The word of a conclusion without its reason: "undecided: one seed"."""
    return conclusion.partition(":")[0]


def in_order(claims: Iterable[Claim]) -> list[Claim]:
    """Refuted claims first, then those of the other outcomes in `ORDER`."""
    place = {word: i for i, word in enumerate(ORDER)}
    last = len(ORDER)
    return sorted(claims, key=lambda c: place.get(outcome(c.conclusion), last))


def tally(claims: Iterable[Claim]) -> str:
    """How many claims have each outcome: "1 refuted, 2 confirmed and 6 undecided"."""
    ordered = in_order(claims)
    counts = Counter(outcome(claim.conclusion) for claim in ordered)
    return listed([f"{count} {word}" for word, count in counts.items()])


def about(record: Contents, chapter: str, number: int) -> str:
    """The conclusions of the claims that are about one of the paper's tables."""
    words = WORDS[number]
    chosen = [c for c in claims(record, chapter) if re.search(words, c.text)]
    if not chosen:
        return "The record does not test the paper's claims on this table."
    outcomes = {claim.conclusion for claim in chosen}
    if len(outcomes) == 1:
        return f"The {len(chosen)} claims on this table: all {outcomes.pop()}."
    said = [f"*{claim.text}*: {claim.conclusion}" for claim in in_order(chosen)]
    return f"Claims on this table: {'; '.join(said)}."


def order(number: int, read: Read, halves: Iterable[slice]) -> str:
    """Whether the rows of Table 8 have the paper's order in each of its halves."""
    numbers = list(TABLES[number](read))
    said = []
    for half in halves:
        rows = [n for n in numbers[half] if number_of(n.here) is not None]
        here = sorted(rows, key=lambda n: number_of(n.here) or 0.0)
        theirs = sorted(rows, key=lambda n: float(str(n.paper)))
        same = "the paper's order, too" if here == theirs else "in the paper: "
        names = [n.row.partition(";")[0] for n in here]
        if here != theirs:
            same += ", ".join(n.row.partition(";")[0] for n in theirs)
        said.append(f"from the smallest error, {', '.join(names)} ({same})")
    return f"In the left half, {'; in the right one, '.join(said)}."


def failures(record: Contents) -> str:
    """Table 9: whether OTFM fails less often than DDPM, beside the false alarms."""
    said = []
    for kind in ("failed generations", "conditioning errors"):
        first, second, chance = (
            record.entry("tab-failures", name, kind)
            for name in ("OTFM", "DDPM", "held out")
        )
        if not (first and second):
            return "The record has no such table."
        a, b = number_of(first) or 0.0, number_of(second) or 0.0
        word = "fewer" if a < b else "more" if a > b else "as many"
        text = f"{kind} of OTFM are {word} {'as' if a == b else 'than'} those of DDPM"
        alarms = parts(chance)[0]
        said.append(f"{text} ({parts(first)[0]} and {parts(second)[0]}")
        said[-1] += f"; false alarms {alarms})" if alarms else ")"
    return f"As measured here, {' and '.join(said)}. The paper has fewer in both."


def settings(number: int, read: Read) -> str:
    """Tables 7 and 10: how many of the paper's values preset paper has."""
    numbers = [n for n in TABLES[number](read) if n.paper != ""]
    same = sum(n.paper == n.here for n in numbers)
    return (
        f"Preset `paper` has {same} of the paper's {len(numbers)} values. "
        "What a record was made with is in its parameters and its last line."
    )
