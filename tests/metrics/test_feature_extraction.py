"""The cache is hit when it may be, and only then."""

import numpy as np
import pytest
import torch
from torch import nn

from skfm_lib.metrics import extract
from skfm_lib.utils.errors import SkfmError


class Counting(nn.Module):
    """Bone fraction times a weight; counts the volumes it has seen."""

    description, dimensions = "bone", 3

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.seen = 0

    def features(self, v):
        assert not self.training and v.dtype == torch.float32
        self.seen += len(v)
        return v.mean(dim=(2, 3, 4)) * self.weight


class Stopping(Counting):
    """Stops, as by Ctrl-C, at the third batch of two."""

    def features(self, v):
        if self.seen == 4:
            raise KeyboardInterrupt
        return super().features(v)


@pytest.fixture
def volumes():
    torch.manual_seed(0)
    return torch.rand(5, 1, 4, 5, 6) * 2 - 1


def test_features_do_not_depend_on_the_batch(volumes):
    expected = volumes.mean(dim=(2, 3, 4)).expand(5, 3)
    for batch in (1, 2, 8):
        found = extract(Counting(), volumes, batch=batch)
        assert torch.allclose(found, expected) and not found.requires_grad


def test_occupancies_are_mapped_to_the_networks_scale(volumes):
    bone = volumes > 0
    expected = extract(Counting(), torch.where(bone, 1.0, -1.0))
    assert torch.equal(extract(Counting(), bone), expected)
    fractions = np.uint8(255) * bone.numpy()
    assert torch.equal(extract(Counting(), fractions), expected)


def test_the_second_time_comes_from_the_cache(volumes, tmp_path):
    network = Counting()
    first = extract(network, volumes, cache=tmp_path / "new")
    again = extract(network, volumes.numpy(), cache=tmp_path / "new")
    assert network.seen == 5
    assert torch.equal(first, again)
    assert torch.allclose(first, extract(Counting(), volumes))


def test_sets_share_volumes_and_repeated_ones_are_seen_once(volumes, tmp_path):
    network = Counting()
    extract(network, volumes[:3], cache=tmp_path)
    order = [4, 1, 1, 4, 0]
    found = extract(network, [volumes[i] for i in order], cache=tmp_path)
    assert network.seen == 4
    assert torch.equal(found, extract(network, volumes, cache=tmp_path)[order])


def test_an_interrupted_extraction_goes_on(volumes, tmp_path):
    network = Stopping()
    with pytest.raises(KeyboardInterrupt):
        extract(network, volumes, batch=2, cache=tmp_path)
    again = Counting()
    found = extract(again, volumes, cache=tmp_path)
    assert again.seen == 1 and len(found) == 5


def test_a_change_of_weights_or_volumes_is_seen(volumes, tmp_path):
    network = Counting()
    first = extract(network, volumes, cache=tmp_path)
    with torch.no_grad():
        network.weight[2] = 1.5
    second = extract(network, volumes, cache=tmp_path)
    assert torch.equal(second[:, 2], first[:, 2] * 1.5)
    assert network.seen == 10
    volumes[4, 0, 3, 4, 5] += 1
    third = extract(network, volumes, cache=tmp_path)
    assert network.seen == 11 and not torch.equal(third[4], second[4])
    network.description = "bone, read otherwise"
    extract(network, volumes, cache=tmp_path)
    assert network.seen == 16


def test_a_damaged_cache_file_and_a_wrong_shape_are_named(volumes, tmp_path):
    extract(Counting(), volumes, cache=tmp_path)
    kept = sorted(tmp_path.glob("*/*.npy"))[2]
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(SkfmError, match=f"rm .*{kept.name}"):
        extract(Counting(), volumes, cache=tmp_path)
    with pytest.raises(SkfmError, match=r"5 volumes of shape \(4, 5, 6\)"):
        extract(Counting(), volumes[:, 0])
    with pytest.raises(SkfmError, match="0 volumes"):
        extract(Counting(), volumes[:0])
