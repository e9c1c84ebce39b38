"""Overlap, surface distance and reconstruction error on shapes with known answers."""

import numpy as np
import pytest
import torch

from skfm_lib.metrics import dice, reconstruction_error, surface_distances
from skfm_lib.utils.errors import SkfmError


def ball(radius, size=41):
    axes = np.indices((size,) * 3) - size // 2
    return np.sqrt((axes**2).sum(axis=0)) <= radius


def test_dice_of_counted_voxels():
    a, b = np.zeros((2, 4, 4, 4), bool)
    a[:2], b[1:] = True, True
    assert dice(a, b) == pytest.approx(2 * 16 / (32 + 48))
    assert dice(a, torch.from_numpy(a) * 2.0 - 1) == 1
    assert dice(a, ~a) == 0
    assert dice(a & False, b & False) == 1
    assert dice(a, b & False) == 0
    with pytest.raises(SkfmError, match="holds NaN"):
        dice(a, np.full(a.shape, np.nan))
    with pytest.raises(SkfmError, match="one shape"):
        dice(a, b[:2])


def test_surface_distance_of_parallel_plates_is_their_gap():
    a, b = np.zeros((2, 12, 8, 9), bool)
    a[2], b[7] = True, True
    assert surface_distances(a, b, spacing=0.5) == pytest.approx((2.5, 2.5))
    assert surface_distances(a, a, spacing=0.5) == (0, 0)


def test_surface_distance_of_concentric_balls_is_the_radius_difference():
    mean, percentile = surface_distances(ball(16), ball(12), spacing=2.0)
    assert mean == pytest.approx(8, rel=0.06)
    assert mean <= percentile <= 8 + 2
    swapped = surface_distances(ball(12), ball(16), spacing=2.0)
    assert swapped == pytest.approx((mean, percentile))


def test_the_percentile_is_of_the_worse_direction():
    a = np.zeros((40, 20, 20), bool)
    a[:2] = True
    b = a.copy()
    b[30:32, :10] = True  # a floating piece: far from a, while a is near to b
    mean, percentile = surface_distances(a, b, spacing=1.0)
    assert percentile >= 28
    assert 0 < mean < percentile


def test_surface_distance_needs_bone_in_both():
    with pytest.raises(SkfmError, match="no bone"):
        surface_distances(ball(5), ball(5) & False, spacing=1.0)
    with pytest.raises(SkfmError, match="holds NaN"):
        surface_distances(ball(5), np.full(ball(5).shape, np.nan), spacing=1.0)


def test_reconstruction_error_is_the_mean_over_each_item():
    v = torch.full((2, 1, 4, 4, 4), -1.0)
    v[:, :, :2] = 1
    v_hat = v.clone()
    v_hat[1, 0, 0, 0, 0] = 0.5
    assert reconstruction_error(v, v_hat).tolist() == pytest.approx([0, 0.5 / 64])
    assert reconstruction_error(v, -v).tolist() == [2, 2]


def test_fewer_voxels_are_upsampled_first():
    v = torch.full((1, 1, 8, 6, 4), -1.0)
    assert reconstruction_error(v, torch.full((1, 1, 4, 3, 2), -0.75)) == 0.25
    ramp = torch.linspace(-1, 1, 4).view(1, 1, 4, 1, 1).expand(1, 1, 4, 6, 4)
    fine = torch.nn.functional.interpolate(ramp, (8, 6, 4), mode="trilinear")
    assert float(reconstruction_error(fine, ramp)) == pytest.approx(0, abs=1e-7)


def test_the_scale_and_the_shapes_are_checked():
    v = torch.full((2, 1, 4, 4, 4), -1.0)
    with pytest.raises(SkfmError, match="ranges from 0 to 1"):
        reconstruction_error(torch.tensor([0.0, 1]).view(1, 1, 2, 1, 1), v)
    with pytest.raises(SkfmError, match="equal n"):
        reconstruction_error(v, v[:1])
    with pytest.raises(SkfmError, match="ranges from nan"):
        reconstruction_error(v + torch.nan, v)
    broken = v.clone()
    broken[1] = torch.nan
    assert reconstruction_error(v, broken).isnan().tolist() == [False, True]
