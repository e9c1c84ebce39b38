"""The feature network learns, repeats itself and sees what it is meant to see."""

import pytest
import torch

from skfm_lib.metrics import extract, frechet_distance
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.training.corruptions import damaged
from skfm_lib.training.feature_net import anatomy_targets, train_features
from skfm_lib.utils.errors import SkfmError


def shells(n, seed):
    """Hollow boxes (n, 1, 20, 16, 24) whose lower end tells the score 2–6."""
    rng = torch.Generator().manual_seed(seed)
    scores = torch.randint(2, 7, (n,), generator=rng)
    wobble = torch.randint(0, 3, (n, 4), generator=rng).tolist()
    v = torch.full((n, 1, 20, 16, 24), -1.0)
    for item, score, (a, b, c, d) in zip(v[:, 0], scores.tolist(), wobble):
        item[1 + a : 19 - b, 1 + c : 15 - d, 21 - 3 * score : 22] = 1
        item[3 + a : 17 - b, 3 + c : 13 - d, :19] = -1
    return v, scores


@pytest.fixture(scope="module")
def trained():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # many small products: threads only wait for each other
    volumes, scores = shells(200, seed=0)
    yield train_features(volumes, scores, steps=250, seed=1), volumes
    torch.set_num_threads(threads)


def test_it_reads_the_score_of_new_volumes(trained):
    network, _ = trained
    volumes, scores = shells(40, seed=2)
    with torch.no_grad():
        right = (network(volumes).argmax(dim=1) + 2 == scores).float().mean()
    assert right > 0.6  # chance: 0.2


def test_features_are_standardised_on_the_training_set(trained):
    network, volumes = trained
    found = extract(network, volumes)
    assert found.shape == (200, 224)
    assert torch.allclose(found.mean(dim=0), torch.zeros(224), atol=1e-3)
    assert torch.allclose(found.std(dim=0), torch.ones(224), atol=1e-3)


def test_channels_that_carry_nothing_are_left_out():
    network = StudyFeatures().eval()
    volumes, _ = shells(6, seed=9)
    with torch.no_grad():
        network.stages[0].shortcut.bias[3] = 1
        network.stages[0].norm2.weight[3] = 0
        network.stages[0].shortcut.weight[3] = 0  # channel 3 is constant
        pooled = network.pooled(volumes)
        network.standardise(pooled)
        features = network.features(volumes)
        assert network.dimensions == features.shape[1] == 223
        assert network.spread[3].isinf()
        assert torch.allclose(features.std(dim=0), torch.ones(223), atol=1e-3)
        strange = network.features(torch.rand(2, 1, 20, 16, 24))
        assert strange.isfinite().all()
    with pytest.raises(SkfmError, match="all alike"):
        network.standardise(pooled[:1].repeat(4, 1))


@pytest.mark.filterwarnings("ignore:200 samples")
def test_stronger_damage_is_further_away(trained):
    network, volumes = trained
    clean, distances = extract(network, volumes), []
    flips = torch.rand(volumes.shape, generator=torch.Generator().manual_seed(0))
    for share in (0.01, 0.04, 0.1):
        noisy = torch.where(flips < share, -volumes, volumes)
        distances.append(frechet_distance(clean, extract(network, noisy)))
    assert distances == sorted(distances)
    chance = frechet_distance(clean, extract(network, shells(200, seed=3)[0]))
    assert distances[-1] > chance


def test_the_same_seed_gives_the_same_weights():
    volumes, scores = shells(12, seed=4)
    first, again, other = (
        train_features(volumes, scores, steps=3, seed=s).state_dict() for s in (5, 5, 6)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


def test_training_leaves_the_random_state_alone():
    volumes, scores = shells(8, seed=7)
    torch.manual_seed(8)
    expected = torch.rand(3)
    torch.manual_seed(8)
    train_features(volumes, scores, steps=1)
    assert torch.equal(torch.rand(3), expected)


def test_anatomy_is_bone_fraction_and_faces():
    v = torch.full((1, 1, 8, 6, 8), -1.0)
    v[..., :2, :2, :2] = 1  # the first cell, whole: three faces of 4 towards outside
    found = anatomy_targets(v)[0]
    assert found[0] == 1 and found[1:48].sum() == 0
    assert found[48] == pytest.approx(12 / 8) and found[49:].sum() == 0


def test_damage_is_of_the_stated_kind_and_strength():
    volumes, _ = shells(40, seed=9)
    found, amounts = damaged(volumes, torch.Generator().manual_seed(0))
    assert found.abs().unique().tolist() == [1]
    changed = (found != volumes).flatten(1).float().mean(dim=1)
    whole, noise, smoothing, hole = changed.split(10)
    assert whole.max() == 0 and amounts[:10].max() == 0
    assert ((amounts > 0).sum(dim=1) == torch.tensor([0] * 10 + [1] * 30)).all()
    expected = 0.03 * amounts[10:20, 0] ** 2
    assert torch.allclose(noise, expected, atol=3e-3) and noise.max() > 0.005
    assert smoothing.max() > 0.001
    assert hole.min() > 0 and (found[30:] <= volumes[30:]).all()
    soft, _ = damaged(0.9 * volumes, torch.Generator().manual_seed(0))
    assert soft[20:30].unique().numel() > 10 and soft[20:30].abs().max() < 0.91


@pytest.mark.parametrize("scores", [[2, 3], [2, 3, 7], [0, 3, 4]])
def test_wrong_scores_are_named(scores):
    with pytest.raises(SkfmError, match="one score from 2 to 6"):
        train_features(shells(3, seed=0)[0], scores, steps=1)
