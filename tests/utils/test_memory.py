"""How much memory is free: of the machine, and of a job that has less."""

import pytest

from skfm_lib.utils import memory

GIB = 1 << 30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 100 GiB free, and a job in a group two below the root."""
    (tmp_path / "meminfo").write_text(f"MemAvailable: {100 * GIB >> 10} kB\n")
    (tmp_path / "own").write_text("0::/slurm/job_7/step_0\n")
    (tmp_path / "cgroup/slurm/job_7/step_0").mkdir(parents=True)
    for name, path in (("MEMINFO", "meminfo"), ("OWN_GROUP", "own")):
        monkeypatch.setattr(memory, name, tmp_path / path)
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "cgroup")
    return tmp_path / "cgroup"


def limit(group, most, used=0, cached=0):
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")


def test_without_a_limit_the_machine_counts(machine):
    limit(machine / "slurm/job_7/step_0", "max")
    assert memory.available() == 100 * GIB


def test_the_limit_of_a_job_counts_wherever_it_is_set(machine):
    limit(machine / "slurm/job_7", 64 * GIB, used=24 * GIB, cached=20 * GIB)
    limit(machine / "slurm/job_7/step_0", 80 * GIB)
    assert memory.available() == 60 * GIB  # cached files do not count as used
    limit(machine, 30 * GIB, used=31 * GIB)
    assert memory.available() == 0


def test_a_system_that_does_not_say(machine, monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", machine / "none")
    monkeypatch.setattr(memory, "OWN_GROUP", machine / "none")
    assert memory.available() == memory.UNKNOWN
