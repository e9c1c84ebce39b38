"""Scans prepared several at a time: nothing is left running."""

import threading
import time
from dataclasses import replace
from pathlib import Path

from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.prepare import job_pool
from skfm_lib.prepare.extraction import Job
from skfm_lib.prepare.source import Source
from skfm_lib.utils.errors import SkfmError

CUT = SkfmError("cut short", "a whole file", "copy it again")


class Child(Sandbox):
    """Stands for a `Sandbox`: slow with good scans, and counts what it begins."""

    begun: list[str]
    ended: threading.Event

    def __exit__(self, *failure: object) -> None:
        self.begun.append("left")

    def end(self) -> None:
        self.ended.set()

    def __call__(self, function: object, asked: Job | Path) -> object:
        time.sleep(0.1)
        if isinstance(asked, Path):
            self.begun.append("thumbnail")
            return None
        if asked.name == "bad":
            raise CUT
        assert self.ended.wait(10)
        time.sleep(0.2)  # ended just too late: the thumbnail is still drawn
        return {}


def test_nothing_runs_on_after_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(Child, "begun", [], raising=False)
    monkeypatch.setattr(Child, "ended", threading.Event(), raising=False)
    monkeypatch.setattr(job_pool, "Sandbox", Child)
    job = Job(Source("a", (), ""), tmp_path / "bad.nii.gz", (1, 1, 1), 200.0, "")
    others = [replace(job, volume=tmp_path / f"{n}.nii.gz") for n in range(2)]
    jobs, threads = [job, *others], threading.active_count()
    records, problems, new = job_pool.run_jobs(jobs, 2, True, Child())
    assert (records, problems, new) == ({}, {"bad": str(CUT)}, set())
    assert threading.active_count() == threads
    assert Child.begun[0] == "thumbnail" and Child.begun[-1] == "left"
