"""The batch scripts, with stand-ins for Slurm's commands."""

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from skfm_lib.cli.main import _parser

BOOK = Path(__file__).parents[1] / "book"
SCRIPTS = sorted((BOOK / "slurm").glob("*.sbatch"))
TRAINING = [path for path in SCRIPTS if path.stem.startswith("train")]
SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then printf 'node7\\nnode8\\n'; else echo "$@" >> requeued; fi
"""
SRUN = """#!/bin/bash
echo "$@" > started
echo "$MASTER_ADDR $MASTER_PORT" > met
exit $STATUS
"""
SKFM = """#!/bin/bash
sleep ${SECONDS_LEFT:-0} &
echo "$@" > started
wait $! || exit 1
exit $STATUS
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A project's folder with stand-ins for srun, scontrol and skfm."""
    for name, text in (
        ("bin/srun", SRUN),
        ("bin/scontrol", SCONTROL),
        (".venv/bin/skfm", SKFM),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for name, value in (
        ("SLURM_JOB_ID", "4243"),
        ("SLURM_JOB_NODELIST", "node[7-8]"),
        ("SLURM_CPUS_PER_TASK", "8"),
    ):
        monkeypatch.setenv(name, value)
    return tmp_path


def requeued(folder):
    path = folder / "requeued"
    return path.read_text().splitlines() if path.is_file() else []


def head(path):
    """The options in a script's head: name → value."""
    found = re.findall(r"^#SBATCH --([\w-]+)(?:=(.+))?$", path.read_text(), re.M)
    return dict(found)


def test_there_are_scripts_for_a_node_for_nodes_and_for_a_study():
    assert [p.stem for p in SCRIPTS] == ["study", "train_node", "train_nodes"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_scripts_are_shell_and_ask_for_a_warning(path):
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    options = head(path)
    assert "requeue" in options and options["open-mode"] == "append"
    assert options["signal"] in ("USR1@300", "B:USR1@300")


def test_the_training_scripts_differ_in_their_number_of_nodes_only():
    node, nodes = (path.read_text() for path in TRAINING)
    bodies = [text.partition("#SBATCH")[2] for text in (node, nodes)]
    assert bodies[0].replace("--nodes=1", "--nodes=4") == bodies[1]
    assert head(TRAINING[0])["ntasks-per-node"] == head(TRAINING[0])["gpus-per-node"]


@pytest.mark.parametrize("path", TRAINING, ids=lambda p: p.stem)
@pytest.mark.parametrize(
    ("status", "again"), [(0, []), (1, []), (75, ["requeue 4243"])]
)
def test_training_is_requeued_on_status_75_only(
    cluster, monkeypatch, path, status, again
):
    monkeypatch.setenv("STATUS", str(status))
    words = ["bash", path, "02", "--preset", "paper", "--run", "a b"]
    assert subprocess.run(words, check=False).returncode == status
    assert requeued(cluster) == again
    started = (cluster / "started").read_text().strip()
    assert started.endswith(".venv/bin/skfm train 02 --preset paper --run a b")
    assert (cluster / "met").read_text().split() == ["node7", "24243"]


@pytest.mark.parametrize(
    ("status", "again"), [(0, []), (1, []), (75, ["requeue 4243"])]
)
def test_a_study_is_requeued_on_status_75_only(cluster, monkeypatch, status, again):
    monkeypatch.setenv("STATUS", str(status))
    words = ["bash", BOOK / "slurm" / "study.sbatch", "study", "--preset", "small"]
    assert subprocess.run(words, check=False).returncode == status
    assert requeued(cluster) == again
    assert (cluster / "started").read_text() == "study --preset small\n"


def test_a_warned_study_warns_the_kernel_and_is_requeued(cluster, monkeypatch):
    monkeypatch.setenv("STATUS", "0")
    monkeypatch.setenv("SECONDS_LEFT", "600")
    words = ["bash", BOOK / "slurm" / "study.sbatch", "study"]
    with subprocess.Popen(words) as script:
        while not (cluster / "started").is_file():
            time.sleep(0.05)
        script.send_signal(signal.SIGUSR1)
        assert script.wait(60) == 75
    assert requeued(cluster) == ["requeue 4243"]


def test_the_commands_of_the_page_are_there():
    text = (BOOK / "cluster.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("sbatch book/")]
    assert len(lines) > 10
    for line in lines:
        _, script, *words = shlex.split(line)
        assert BOOK.parent / script in SCRIPTS
        _parser().parse_args(words if "study" in script else ["train", *words])
    (line,) = [line for line in text.splitlines() if line.startswith("torchrun")]
    _parser().parse_args(shlex.split(line.partition("skfm_lib ")[2]))
