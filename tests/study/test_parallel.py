"""Commands run side by side: at the same time, to their ends, none left behind."""

import os
import signal
import sys
import threading
import time

import pytest
import torch

from skfm_lib.study import parallel
from skfm_lib.study.parallel import cores_for
from skfm_lib.utils import device, subprocesses
from skfm_lib.utils.errors import Interrupted, SkfmError

# Waits for a friend where one is given; then says something and ends with a status.
SCRIPT = """
import os, sys, time
from pathlib import Path
here, friend, text, status = sys.argv[1:]
Path(os.environ["SKFM_PROGRESS"]).write_text(f"step of {here}")
Path(here).write_text(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']}")
end = time.monotonic() + 60
while friend and not Path(friend).exists() and time.monotonic() < end:
    time.sleep(0.01)
print(text, file=sys.stderr if text.startswith("skfm: ") else sys.stdout)
sys.exit(int(status) if not friend or Path(friend).exists() else 9)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocesses, "COMMAND", [sys.executable, "script.py"])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    return tmp_path


def test_they_run_at_the_same_time_and_share_the_threads(project, capsys):
    commands = {"one": ["a", "b", "made a", "0"], "two": ["b", "a", "made b", "0"]}
    assert parallel.side_by_side(commands) == {}
    assert capsys.readouterr().out.splitlines() == ["made a", "made b"]
    assert [(project / n).read_text().split()[1] for n in "ab"] == ["3", "3"]


def test_one_that_fails_stops_no_other(project, capsys):
    commands = {
        "bad": ["a", "", "skfm: no scan; next: skfm run 01", "1"],
        "saved": ["b", "", "skfm: told to stop", "75"],
        "mute": ["c", "", "lost", "3"],
        "good": ["d", "a", "made d", "0"],
    }
    found = parallel.side_by_side(commands)
    assert set(found) == {"bad", "saved", "mute"}
    assert str(found["bad"]) == "no scan; next: skfm run 01"
    assert isinstance(found["saved"], Interrupted)
    assert type(found["mute"]) is type(found["bad"]) is SkfmError
    assert "status 3" in str(found["mute"]) and "lost" in str(found["mute"])
    printed = capsys.readouterr().out
    assert "made d" in printed and "no scan" not in printed  # the caller says that


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_leaves_none_behind(project, kind):
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    commands = {"one": ["a", "never", "", "0"], "two": ["b", "never", "", "0"]}

    def stop():
        while not ((project / "a").exists() and (project / "b").exists()):
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(os.getpid(), kind)

    threading.Thread(target=stop).start()
    error = Interrupted if kind == signal.SIGTERM else KeyboardInterrupt
    try:
        with pytest.raises(error):
            parallel.side_by_side(commands)
    finally:
        signal.signal(signal.SIGINT, former)  # ignored in a shell's background
    for name in "ab":
        process = int((project / name).read_text().split()[0])
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_one_line_shows_all_within_the_terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    files = {"03_train_otfm": tmp_path / "a", "04_train_ddpm": tmp_path / "b"}
    files["03_train_otfm"].write_text("OTFM  12/700 · 3 min 12 s · loss 0.25")
    assert "loss 0.25 │" in parallel._Lines(files).line()  # a log holds all
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = parallel._Lines(files).line()
    first, second = line.split(" │ ")
    assert first.startswith("03_train_otfm · OTFM  12/700")
    assert second == "04_train_ddpm · starting" and len(line) < 70


def test_only_cores_are_shared(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for kind, expected in ("cpu", True), ("cuda", False):
        here = device.Device(torch.device(kind), torch.float32)
        monkeypatch.setattr(parallel, "pick_device", lambda here=here: here)
        assert cores_for(2) is expected and not cores_for(3)
