"""A warning ends the step under way, saves, and leaves nothing behind."""

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import nbformat
import pytest
import torch
from torch import nn

from skfm_lib.cli import main
from skfm_lib.presets import TrainingConfig
from skfm_lib.study import notebooks
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import Interrupted
from skfm_lib.utils.seeding import generator
from skfm_lib.utils.signals import noting_warnings

CPU = Device(torch.device("cpu"), torch.float32)
SETTINGS = TrainingConfig(8, 4, 0.05, 0.1, (0.9, 0.99), 3)
WARNINGS = (signal.SIGUSR1, signal.SIGTERM)


def handlers():
    return [signal.getsignal(n) for n in (*WARNINGS, signal.SIGINT)]


def trainer(folder):
    torch.manual_seed(0)
    return Trainer(nn.Linear(3, 1), SETTINGS, CPU, folder, "abc", 0.9, 1e9)


def train(made, at=None, number=None, moment="before"):
    """Train; a signal comes in step `at`, before or after its descent."""
    for step in made.steps("Small"):
        if (step, moment) == (at, "before"):
            os.kill(os.getpid(), number)
        x = torch.randn(4, 3, generator=generator(step))
        made.descend((made.model(x) - x.sum(1, keepdim=True)).square().mean())
        if (step, moment) == (at, "after"):
            os.kill(os.getpid(), number)
    return made


@pytest.mark.parametrize("number", WARNINGS)
def test_warnings_are_noted_and_the_former_handlers_come_back(number):
    before = handlers()
    with noting_warnings() as notes:
        assert notes == []
        os.kill(os.getpid(), number)
        with noting_warnings() as inner:
            os.kill(os.getpid(), number)
            assert inner is notes
        assert handlers()[:2] == [notes, notes] and handlers()[2] == before[2]
    assert notes == [signal.Signals(number).name] * 2
    assert handlers() == before


def test_handlers_come_back_after_an_error():
    before = handlers()
    with pytest.raises(ZeroDivisionError), noting_warnings():
        raise ZeroDivisionError
    assert handlers() == before


def test_a_thread_trains_without_signals(tmp_path):
    before, made = handlers(), []
    thread = threading.Thread(target=lambda: made.append(train(trainer(tmp_path))))
    thread.start()
    thread.join()
    assert made[0].step == SETTINGS.steps and handlers() == before


@pytest.mark.parametrize("number", WARNINGS)
@pytest.mark.parametrize(("moment", "saved"), [("before", 4), ("after", 5)])
def test_a_warned_training_saves_and_goes_on(tmp_path, number, moment, saved):
    # After its descent a step has agreed already: the next one is the last.
    whole, before = train(trainer(tmp_path / "whole")), handlers()
    with pytest.raises(Interrupted) as told:
        train(trainer(tmp_path / "parts"), 3, number, moment)
    assert handlers() == before
    assert str(told.value) == (
        f"Small was stopped by a signal and saved after step {saved} of 8; "
        "next: the same command resumes"
    )
    resumed = trainer(tmp_path / "parts")
    assert resumed.step == saved
    train(resumed)
    assert resumed.history == whole.history
    pairs = zip(resumed.model.parameters(), whole.model.parameters())
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_warning_in_the_last_step_interrupts_nothing(tmp_path):
    made = train(trainer(tmp_path), 7, signal.SIGTERM)
    assert made.step == 8 and len(made.history["loss"]) == 8


def test_the_command_ends_with_status_75_and_one_line(project, capsys, monkeypatch):
    def warned(*given):
        raise Interrupted("VQ-VAE was told to stop", remedy="go on")

    monkeypatch.setattr("skfm_lib.training.run_stage.train", warned)
    assert main.main(["train", "02"]) == 75
    assert capsys.readouterr().err == "skfm: VQ-VAE was told to stop; next: go on\n"


def chapter(project, code):
    """A notebook 99 of the project."""
    given = "preset = None\nrun = None\nseed = None"
    cells = [nbformat.v4.new_code_cell(text) for text in (given, code)]
    cells[0].metadata["tags"] = ["parameters"]
    made = nbformat.v4.new_notebook(cells=cells)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.metadata["kernelspec"] = kernel
    path = project / "notebooks" / "99_waiting.ipynb"
    nbformat.write(made, path)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="other signals there")
def test_ctrl_c_in_a_chapter_is_answered_by_one_line(project):
    wait = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(90)"
    chapter(project, wait)
    words = [sys.executable, "-m", "skfm_lib", "run", "99", "--preset", "tiny"]
    # In a shell's background SIGINT is ignored, and so it would be here.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    running = subprocess.Popen(words, cwd=project, preexec_fn=heard, **pipes)
    deadline = time.monotonic() + 120
    while not (project / "begun").exists() and time.monotonic() < deadline:
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert told.splitlines()[-1].startswith("skfm: interrupted; the same command ")
    assert "Traceback" not in told and "retrieved" not in told


def test_a_cell_that_is_left_behind_says_nothing(project, monkeypatch, caplog):
    async def cell():
        raise ValueError("a trace of hundreds of lines")

    def stopped(*given, **more):
        loop = asyncio.new_event_loop()
        left.append(loop.create_task(cell()))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        raise KeyboardInterrupt

    left, path = [], chapter(project, "")
    monkeypatch.setattr("papermill.execute_notebook", stopped)
    try:
        with pytest.raises(KeyboardInterrupt):
            notebooks.run_notebook(path, project / "out.ipynb", {})
        left.clear()
        gc.collect()
    finally:
        logging.getLogger("asyncio").setLevel(logging.NOTSET)
    assert "retrieved" not in caplog.text
