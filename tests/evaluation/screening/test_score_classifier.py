"""The classifier predicts scores of new volumes, also corrupted ones, and resumes."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation import screening
from skfm_lib.evaluation.screening import score_classifier
from skfm_lib.study import open_study
from skfm_lib.utils.errors import SkfmError

SHAPE = (20, 16, 24)


@dataclass
class Boxes:
    """Hollow boxes whose lower end gives the score, as fields of view do."""

    volumes: np.ndarray
    qualities: list
    grid: Grid = Grid(SHAPE, 4.0, (0.0, 0.0, 0.0))

    def __len__(self):
        return len(self.volumes)

    def volume(self, index):
        return self.volumes[index]


def boxes(n, seed, scores=(2, 4, 6)):
    rng = np.random.default_rng(seed)
    found, qualities = np.zeros((n, *SHAPE), bool), rng.choice(scores, n).tolist()
    for bone, score in zip(found, qualities):
        a, b = rng.integers(0, 3, 2)
        bone[1 + a : 19 - b, 1 + b : 15 - a, 21 - 3 * score : 22] = True
        bone[3 + a : 17 - b, 3 + b : 13 - a, : 19 - a] = False
    return Boxes(found, qualities)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").touch()
    (folder / "notebooks").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def trained(run, skulls, steps=120):
    stage = open_study(run, "tiny").stage("07_failures", {"steps": steps})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # many small products: threads only wait for each other
    network = screening.train_score_classifier(stage, skulls, steps)
    torch.set_num_threads(threads)
    return network, stage


@pytest.fixture(scope="module")
def network(project):
    return trained("one", boxes(90, seed=0))[0]


def test_it_reads_the_score_of_new_volumes(network):
    fresh = boxes(60, seed=1)
    predicted = screening.predict_scores(network, fresh)
    assert (predicted == fresh.qualities).mean() > 0.95  # chance: 0.33
    assert set(predicted.tolist()) <= {2, 4, 6}


def test_it_does_not_depend_on_the_surface(network):
    fresh = boxes(60, seed=2)
    flips = np.random.default_rng(0).random(fresh.volumes.shape) < 0.01
    noisy = Boxes(fresh.volumes ^ flips, fresh.qualities)
    mirrored = Boxes(fresh.volumes[:, :, ::-1], fresh.qualities)
    moved = Boxes(np.roll(fresh.volumes, 1, axis=1), fresh.qualities)
    for other in (noisy, mirrored, moved):
        assert (
            screening.predict_scores(network, other) == fresh.qualities
        ).mean() > 0.9


def test_a_swapped_label_is_found(network):
    fresh = boxes(60, seed=3)
    requested = [{2: 4, 4: 6, 6: 2}[q] for q in fresh.qualities]
    predicted = screening.predict_scores(network, fresh)
    assert (predicted != requested).mean() > 0.95


def test_batches_do_not_matter(network):
    fresh = boxes(7, seed=4)
    one, all_ = (screening.predict_scores(network, fresh, batch=b) for b in (2, 7))
    assert (one == all_).all()


def test_it_is_trained_once_and_the_same_again(project, monkeypatch):
    skulls = boxes(20, seed=0)
    first, stage = trained("two", skulls, steps=3)
    again, _ = trained("three", skulls, steps=3)
    same = zip(first.parameters(), again.parameters())
    assert all(torch.equal(a, b) for a, b in same)
    # A second training would fail.
    monkeypatch.setattr(score_classifier, "_train", None)
    kept = screening.train_score_classifier(stage, skulls, 3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), kept.parameters()))


def test_one_score_is_refused(project):
    with pytest.raises(SkfmError, match="at least two scores"):
        trained("four", boxes(4, seed=0, scores=(5,)))
