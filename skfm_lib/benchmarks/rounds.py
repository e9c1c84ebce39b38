"""Cases measured fairly: in turn, round after round.

A machine's speed drifts; so cases that are to be compared run A, B, A, B, …, and
are compared within a round.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from skfm_lib.benchmarks.isolated_process import SECONDS, Case, Run, run_apart
from skfm_lib.utils.files import read_json, write_json
from skfm_lib.utils.progress import Progress

Round = dict[str, Run]


def measure(
    cases: Sequence[Case], rounds: int, record: Path, seconds: float = SECONDS
) -> list[Round]:
    """`rounds` times, every case once: what each reported, by name.

    Each goes to a fresh process and is repeated there for `seconds` (`run_apart`,
    which says what is raised).  Whole rounds are kept in the JSON file `record` and
    not measured again.
    """
    kept = read_json(record)["rounds"] if record.is_file() else []
    done = [{name: Run(**run) for name, run in one.items()} for one in kept]
    with Progress(record.stem, rounds * len(cases), len(done) * len(cases)) as bar:
        while len(done) < rounds:
            this = {}
            for case in cases:
                this[case.name] = run = run_apart(case, seconds)
                told = run.failure or f"{run.time:.3g} s"
                bar.advance(note=f"{case.name}: {told}")
            done.append(this)
            plain = [{n: asdict(run) for n, run in one.items()} for one in done]
            write_json(record, {"rounds": plain})
    return done
