"""What several tests need: a project of their own, and a few phantoms."""

import shutil
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.phantom_set import phantom_skulls
from skfm_lib.presets import preset
from skfm_lib.utils import device

collect_ignore_glob = ["helpers/*"]  # no doctests there


# These take minutes.  First, so that both workers end at about the same time.
LONG = ("test_notebooks.py", "test_book.py", "test_multi_device.py", "test_pipeline.py")


def pytest_collection_modifyitems(items):
    """The longest files first, in the order of LONG; the others as they are."""
    order = {name: index for index, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONG)))


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers in every run: a test fails always or never."""
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(autouse=True)
def figures_closed():
    """No test leaves its figures to the next ones."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project as the working directory; its runs/ is the test's own."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    """Six phantoms at preset tiny, as a set; two are for the test, one to choose by."""
    folder, shape = (
        tmp_path_factory.mktemp("phantoms"),
        preset("tiny").vqvae.output_shape,
    )
    counts = {2: 2, 4: 2, 5: 1, 6: 1}, {4: 1, 5: 1}, {4: 1}
    phantom_skulls(folder, shape, *counts, seed=0, workers=1)
    return SkullSet(folder, "train").load()


@pytest.fixture(scope="session")
def sandbox():
    """One for all tests, which imports the readers and makes the reference once."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def other_sandbox():
    """One more, for the second of two workers."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def warm(sandbox, other_sandbox):
    """Scans are read in the sandboxes of all tests, by at most two workers."""
    with pytest.MonkeyPatch.context() as patch:
        for module, used in (
            ("prepare.pipeline", sandbox),
            ("prepare.job_pool", other_sandbox),
            ("tasks.apply_to_scan", sandbox),
        ):
            path = f"skfm_lib.{module}.Sandbox"
            patch.setattr(path, partial(nullcontext, used))
        yield


@pytest.fixture
def resize(monkeypatch):
    """Change the sizes at which a CPU saves maps and cuts them (`device.Sizes`)."""

    def change(**sizes):
        monkeypatch.setattr(device, "CPU", replace(device.CPU, **sizes))

    return change


@pytest.fixture(scope="session")
def packed_once(phantoms, tmp_path_factory):
    """A packed model of untrained networks, for tests that do not change it."""
    from packed_model import write_packed

    return write_packed(tmp_path_factory.mktemp("packed") / "weights", phantoms)


@pytest.fixture
def packed(packed_once, tmp_path, monkeypatch):
    """A copy of that model, which the library takes for its own."""
    folder = tmp_path / "weights"
    shutil.copytree(packed_once, folder)
    monkeypatch.setenv("SKFM_WEIGHTS", str(folder))
    return folder
