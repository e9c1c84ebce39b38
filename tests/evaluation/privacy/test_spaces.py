"""Spaces to compare skulls in, and copies planted in them, on phantoms."""

import numpy as np
import pytest
import torch

from skfm_lib.data.bone_fractions import stored
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.phantom_set import phantom_skulls
from skfm_lib.evaluation.privacy.planted_copies import Altered, as_decoded, disguises
from skfm_lib.evaluation.privacy.spaces import (
    CopySearch,
    Vectors,
    centred,
    distances,
    feature_space,
    latent_reader,
    latent_space,
    voxel_space,
)
from skfm_lib.models import VQVAE
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.presets import preset
from skfm_lib.training.latents import LatentSet, cache_latents
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.errors import SkfmError

SHAPE = preset("tiny").vqvae.output_shape


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Phantoms to train on and held out, of two quality scores."""
    folder = tmp_path_factory.mktemp("population")
    phantom_skulls(folder, SHAPE, {2: 8, 5: 8}, {2: 6, 5: 6}, seed=0, workers=1)
    return SkullSet(folder, "train").load(), SkullSet(folder, "test").load()


def vectors(rows):
    rows = torch.as_tensor(rows)
    return Vectors(np.full(len(rows), 2), rows.__getitem__)


def test_distances_do_not_depend_on_the_blocks():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 30)), rng.normal(size=(5, 30))
    expected = np.linalg.norm(a[:, None] - b[None], axis=2)
    for memory in (1, 2 * 8 * 30 * 3, 10**9):
        assert distances(vectors(a), vectors(b), memory) == pytest.approx(expected)
    same = distances(vectors(a), vectors(a))
    assert np.abs(same.diagonal()).max() < 1e-6


def test_vectors_of_two_spaces_cannot_be_compared():
    with pytest.raises(SkfmError, match="vectors of 3 and 4 numbers"):
        distances(vectors(np.ones((2, 3))), vectors(np.ones((2, 4))))


def test_a_centred_volume_gives_correlations(sides):
    train, _ = sides
    a, b = (centred(train.volume(i)) for i in (0, 1))
    # In double precision: of 2640 float32 terms, torch's own sum is off by 1e-6.
    assert float(a.double().norm()) == pytest.approx(1)
    assert abs(float(a.sum())) < 1e-3
    r = np.corrcoef(a, b)[0, 1]
    assert float((a - b).norm()) == pytest.approx(np.sqrt(2 - 2 * r), abs=1e-4)


def test_a_centred_volume_forgets_where_it_was(sides):
    bone = np.pad(sides[0].volume(0), 3)
    for shift in ((1, 0, 0), (0, -2, 1), (3, 3, -3)):
        moved = np.roll(bone, shift, (0, 1, 2))
        assert torch.allclose(centred(bone), centred(moved), atol=1e-5)
    empty = centred(np.zeros_like(bone))
    assert empty.shape == centred(bone).shape and not empty.any()


def test_an_altered_set_is_a_set_of_skulls(sides):
    train, _ = sides
    change = disguises(train.grid)["1 % of voxels flipped"]
    some = Altered(train, [3, 1], change).load()
    assert some.qualities == [train.qualities[3], train.qualities[1]]
    assert [s.name for s in some.skulls] == [train.skulls[i].name for i in (3, 1)]
    v, quality = some[1]
    assert quality == train.qualities[1] and v.shape == (1, *train.shape)
    assert (Altered(train, [3, 1]).volume(1) == train.volume(1)).all()
    changed = (some.volume(0) != train.volume(3)).mean()
    assert changed == pytest.approx(0.01, abs=0.002)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """Phantoms of another seed: drawn like the real ones, never trained on."""
    folder = tmp_path_factory.mktemp("strangers")
    phantom_skulls(folder, SHAPE, {2: 9, 5: 9}, {}, seed=1, workers=1)
    return SkullSet(folder, "train").load()


@pytest.fixture(params=["latents", "features", "voxels"])
def space(request, sides, tmp_path):
    """Each of the spaces; the networks are untrained, yet recognise a volume."""
    torch.manual_seed(0)
    if request.param == "latents":
        model, device = VQVAE(preset("tiny").vqvae).eval(), pick_device()
        places = tmp_path / "train", tmp_path / "others"
        return latent_space(latent_reader(device.to_device(model), device, *places))
    if request.param == "features":
        return feature_space(StudyFeatures(), tmp_path)
    return voxel_space()


def test_planted_copies_are_found_and_strangers_are_not(space, sides, strangers):
    train, test = sides
    here = CopySearch(space, train, test)
    found = here.planted([0, 5, 9, 14])
    assert found["as it is"] == found["mirrored"] == "4 of 4, 4 traced"
    if space.name == "voxels":
        assert set(found.values()) == {"4 of 4, 4 traced"}
    fresh = here.compare(strangers, "strangers")
    assert fresh.expected == pytest.approx(1 / 7)  # the nearest of six hold-outs
    assert fresh.copies.sum() <= 8  # 2.6 are expected, with a spread of 2.1
    assert fresh.summary()["copies"].low < 1 / 7


def test_a_decoded_copy_is_what_the_decoder_gives_for_its_latent(sides):
    train, test = sides
    model, device = VQVAE(preset("tiny").vqvae).eval(), pick_device()
    torch.nn.init.zeros_(model.decoder[-1].bias)
    change = as_decoded(device.to_device(model), device, train.grid)
    found = change(train.volume(3))
    assert found.dtype == train.volume(3).dtype and found.shape == train.shape
    v, _ = train[3]
    with torch.no_grad(), device.autocast():
        q, _ = model.quantize(model.encode(device.to_device(v[None])))
        expected = model.decode(q).cpu()[0, 0].numpy()
    assert (found == stored(expected, train.grid)).all()
    here = CopySearch(voxel_space(), train, test)
    row = here.planted([0, 9], {"as decoded": lambda volume: volume})
    assert list(row)[-1] == "as decoded" and row["as decoded"] == row["as it is"]


def test_suspicious_samples_stand_beside_what_they_copy(sides):
    train, test = sides
    copied = Altered(train, [9, 2], disguises(train.grid)["mirrored"])
    search = CopySearch(voxel_space(), train, test)
    found = search.compare(copied, "copies")
    samples, nearest = search.most_suspicious(found, copied, 2)
    for sample, own in zip(samples, nearest):
        assert (sample == own).all()  # the training skull is shown mirrored as well
    assert sorted(found.which[found.suspicious(2)]) == [2, 9]


def test_a_copy_moved_by_a_voxel_is_one_layer_higher(sides):
    train, _ = sides
    for change in disguises(train.grid).values():
        assert change(train.volume(0)).shape == train.shape
    bone, moved = train.volume(0), disguises(train.grid)["moved by a voxel"]
    assert (moved(bone)[..., 1:] == bone[..., :-1]).all()
    assert not moved(bone)[..., 0].any()


def test_latents_of_the_training_set_are_those_of_stage_two(sides, tmp_path):
    train, _ = sides
    model = VQVAE(preset("tiny").vqvae).eval()
    cpu = Device(torch.device("cpu"), torch.float32)
    cache_latents(model, train, tmp_path / "stage02", cpu)
    before = sorted((tmp_path / "stage02").iterdir())
    read = latent_reader(model, cpu, tmp_path / "stage02", tmp_path / "own")
    rows = latent_space(read).views(train, "train")[0]
    assert torch.equal(
        rows.row(3), LatentSet(tmp_path / "stage02", train)[3][0].flatten()
    )
    assert sorted((tmp_path / "stage02").iterdir()) == before
    assert [p.name for p in (tmp_path / "own").iterdir()] == ["train-mirrored"]


def test_skulls_of_other_scores_are_not_compared_voxel_by_voxel(sides, strangers):
    train, held_out = sides
    here = CopySearch(voxel_space(), train, held_out)
    which = here.compare(strangers, "strangers").which
    assert (np.array(train.qualities)[which] == strangers.qualities).all()
    across = here.real.train_quality != here.real.holdout_quality[:, None]
    assert np.isinf(here.real.holdout_train[:, across]).all()


def test_a_training_skull_among_the_held_out_ones_is_an_error(sides):
    train, _ = sides
    with pytest.raises(SkfmError, match="is also a training skull"):
        CopySearch(voxel_space(), train, Altered(train, [1, 2, 10, 11]))
