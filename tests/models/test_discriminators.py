"""The discriminators: their receptive field, shapes and independence."""

import pytest
import torch
from torch import nn

from skfm_lib.models.discriminators import (
    PATCHES,
    Discriminators,
    PatchDiscriminator,
    halvings,
)
from skfm_lib.presets import preset


def receptive_field(network, shape):
    """Sides of the box of voxels that the middle score depends on, by gradient."""
    for block in network.blocks:
        block.norm = nn.Identity()  # its averages reach over the complete volume
    v = torch.randn(1, 1, *shape, requires_grad=True)
    scores = network(v)[-1][0, 0]
    scores[tuple(n // 2 for n in scores.shape)].backward()
    box = v.grad[0, 0].abs().nonzero()
    return tuple((box.amax(0) - box.amin(0) + 1).tolist())


@pytest.mark.parametrize("count", [1, 2])
def test_receptive_field_of_volumes(count):
    torch.manual_seed(0)
    network, side = PatchDiscriminator(count, width=2), PATCHES[count]
    assert receptive_field(network, [side + 20] * 3) == (side, side, side)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_receptive_field_of_slices(count):
    torch.manual_seed(0)
    network, side = PatchDiscriminator(count, width=2, flat=True), PATCHES[count]
    shape = (3, side + 30, side + 30)
    assert receptive_field(network, shape) == (1, side, side)


def test_patches_keep_their_millimetres_where_they_can():
    found = {p: halvings(preset(p).vqvae.output_shape) for p in ("small", "paper")}
    assert found == {"small": 1, "paper": 3}
    assert halvings((228, 176, 256)) == 2 and halvings((29, 22, 32)) == 1
    assert halvings((912, 704, 1024)) == 3  # no more than were published


def test_shapes_and_channels_of_every_layer():
    network = PatchDiscriminator(3, width=64)
    channels = [block.conv.out_channels for block in network.blocks]
    assert channels == [64, 128, 256, 512]
    assert PatchDiscriminator(3, width=128).blocks[-1].conv.out_channels == 512
    maps = PatchDiscriminator(1, width=4)(torch.randn(2, 1, 20, 16, 24))
    # ⌊(n + 4 − 4) / 2⌋ + 1 with stride 2, then n + 1 and n + 1.
    assert [tuple(x.shape) for x in maps] == [
        (2, 4, 11, 9, 13),
        (2, 8, 12, 10, 14),
        (2, 1, 13, 11, 15),
    ]


def test_slices_of_a_batch_do_not_know_each_other():
    torch.manual_seed(0)
    network = Discriminators((20, 16, 24), width=4)
    v, slices = torch.randn(2, 1, 20, 16, 24), torch.randn(2, 1, 1, 16, 24)
    together = network(v, slices)
    for one, both in zip(network(v[1:], slices[1:]), together):
        assert all(torch.allclose(a, b[1:], atol=1e-5) for a, b in zip(one, both))


def test_a_slice_is_scored_as_by_convolutions_of_images():
    torch.manual_seed(0)
    network = PatchDiscriminator(2, width=4, flat=True)
    image = torch.randn(1, 1, 30, 40)
    x, strides = image, (2, 2, 1)
    for number, (block, stride) in enumerate(zip(network.blocks, strides)):
        weight = block.conv.weight.squeeze(2)
        x = nn.functional.conv2d(x, weight, block.conv.bias, stride, 2)
        x = nn.functional.instance_norm(x) if number else x
        x = nn.functional.leaky_relu(x, 0.2)
    last = network.score
    x = nn.functional.conv2d(x, last.weight.squeeze(2), last.bias, 1, 2)
    assert torch.allclose(network(image[:, :, None])[-1][:, :, 0], x, atol=1e-5)
