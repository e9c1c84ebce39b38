"""What several tests need: a project of their own, and a few phantoms."""

import pytest

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.phantom_set import phantom_skulls
from skfm_lib.presets import preset

collect_ignore_glob = ["helpers/*"]  # no doctests there


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project as the working directory; its runs/ is the test's own."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    """Six phantoms at preset tiny, as a set of skulls; two more are for the test."""
    folder, shape = (
        tmp_path_factory.mktemp("phantoms"),
        preset("tiny").vqvae.output_shape,
    )
    train, test = {2: 2, 4: 2, 5: 1, 6: 1}, {4: 1, 5: 1}
    phantom_skulls(folder, shape, train, test, seed=0, workers=1)
    return SkullSet(folder, "train").load()
