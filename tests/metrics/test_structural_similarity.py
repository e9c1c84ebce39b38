"""MS-SSIM against MONAI, a dense window, scikit-image and its own definition."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.metrics import MultiScaleSSIMMetric
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from skfm_lib.metrics import (
    fitting,
    largest_window,
    ms_ssim,
    ms_ssim_fork,
    ms_ssim_of_set,
)
from skfm_lib.utils.errors import SkfmError

WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


def blocks(seed, *shape):
    """Smooth random binary volumes, {0, 1}, double precision."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = gaussian_filter(noise, [0] * (len(shape) - 3) + [1.5] * 3)
    return torch.from_numpy((smooth > 0).astype(float))


def near(x, seed, share=0.05):
    """`x` with a share of its voxels flipped."""
    torch.manual_seed(seed)
    return torch.where(torch.rand(x.shape) < share, 1 - x, x)


def dense_terms(x, y, window, data_range):
    """Mean SSIM and contrast of one pair by a full window and the five moments."""
    axis = np.exp(-0.5 * (np.arange(window) - window // 2) ** 2 / 1.5**2)
    kernel = torch.from_numpy(np.einsum("i,j,k->ijk", axis, axis, axis))
    mean = lambda v: F.conv3d(v, (kernel / kernel.sum())[None, None])  # noqa: E731
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mx, my = mean(x), mean(y)
    vx, vy = mean(x * x) - mx * mx, mean(y * y) - my * my
    contrast = (2 * (mean(x * y) - mx * my) + c2) / (vx + vy + c2)
    light = (2 * mx * my + c1) / (mx * mx + my * my + c1)
    return float((light * contrast).mean()), float(contrast.mean())


def literal_ms_ssim(x, y, window, scales, data_range):
    weights = np.array(WEIGHTS[:scales])
    if scales < 5:
        weights /= weights.sum()
    value = 1.0
    for scale in range(scales):
        ssim, contrast = dense_terms(x, y, window, data_range)
        value *= (ssim if scale == scales - 1 else contrast) ** weights[scale]
        x, y = F.avg_pool3d(x, 2), F.avg_pool3d(y, 2)
    return value


@pytest.mark.parametrize(
    "shape, window, scales, data_range",
    [((24, 21, 28), 11, 1, 1.0), ((33, 28, 30), 7, 3, 1.0), ((50, 52, 49), 3, 5, 2.0)],
)
def test_equals_a_dense_window(shape, window, scales, data_range):
    x = blocks(0, 1, 1, *shape)
    y = near(x, 1)
    x, y = (v * data_range - (data_range - 1) for v in (x, y))
    expected = literal_ms_ssim(x, y, window, scales, data_range)
    found = ms_ssim(x, y, data_range=data_range, window=window, scales=scales)
    assert float(found) == pytest.approx(expected, rel=1e-9)
    assert 0.1 < expected < 0.99


@pytest.mark.parametrize("shape, window", [((80, 82, 81), 5), ((48, 52, 50), 3)])
@pytest.mark.parametrize("share", [0.02, 0.2])
def test_five_scales_equal_monai(shape, window, share):
    x = blocks(13, 2, 1, *shape).float()
    y = near(x, 14, share)
    expected = MultiScaleSSIMMetric(
        spatial_dims=3, data_range=1.0, kernel_size=window, reduction="none"
    )(x, y)[:, 0]
    found = ms_ssim(x, y, data_range=1, window=window)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert 0.5 < found.min() < found.max() < 0.999


def test_one_scale_equals_scikit_image_where_the_window_fits():
    x = blocks(2, 24, 26, 22)
    y = near(x, 3)
    _, everywhere = structural_similarity(
        x.numpy(), y.numpy(), data_range=1, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    expected = everywhere[5:-5, 5:-5, 5:-5].mean()
    found = ms_ssim(x[None, None], y[None, None], data_range=1, scales=1)
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_one_on_itself_symmetric_and_item_by_item():
    x, y = blocks(4, 2, 1, 32, 32, 32), blocks(5, 2, 1, 32, 32, 32)
    settings = {"data_range": 1, "window": 7, "scales": 3}
    assert ms_ssim(x, x, **settings).tolist() == pytest.approx([1, 1])
    both = ms_ssim(x, y, **settings)
    assert both.tolist() == ms_ssim(y, x, **settings).tolist()
    assert float(both[1]) == pytest.approx(float(ms_ssim(x[1:], y[1:], **settings)))


def test_single_precision_is_enough_and_more_noise_is_less_alike():
    x = blocks(6, 1, 1, 32, 32, 32)
    settings = {"data_range": 1, "window": 7, "scales": 3}
    values = []
    for share in (0.01, 0.05, 0.2):
        y = near(x, 7, share)
        values.append(float(ms_ssim(x, y, **settings)))
        single = ms_ssim(x.float(), y.float(), **settings)
        assert float(single) == pytest.approx(values[-1], abs=1e-5)
    assert values == sorted(values, reverse=True)


def test_the_value_range_scales_out():
    x = blocks(8, 1, 1, 24, 24, 24)
    y = near(x, 9)
    one = ms_ssim(x, y, data_range=1, scales=1)
    assert float(ms_ssim(255 * x, 255 * y, data_range=255, scales=1)) == pytest.approx(
        float(one)
    )
    with pytest.raises(TypeError, match="data_range"):
        ms_ssim(x, y)


def test_the_fork_by_its_own_definition():
    x = blocks(10, 1, 1, 32, 35, 33) * 2 - 1
    y = -near(-x * 0.5 + 0.5, 11) * 2 + 1
    a, b, value = x[0, 0].numpy(), y[0, 0].numpy(), 1.0
    for scale in range(5):
        blur = lambda v: gaussian_filter(v, 1.5)  # noqa: E731
        ma, mb = blur(a), blur(b)
        va, vb = blur(a * a) - ma * ma, blur(b * b) - mb * mb
        contrast = (2 * (blur(a * b) - ma * mb) + 9e-4) / (va + vb + 9e-4)
        ssim = contrast * (2 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4)
        value *= (
            ssim.mean() ** (4 * 0.1333)
            if scale == 4
            else (contrast.mean() ** WEIGHTS[scale])
        )
        a, b = (F.avg_pool3d(torch.tensor(v)[None], 2)[0].numpy() for v in (a, b))
    assert float(ms_ssim_fork(x, y)) == pytest.approx(value, rel=1e-9)
    assert float(ms_ssim_fork(x, x)) == pytest.approx(1)


def test_what_fits():
    assert largest_window((456, 352, 512)) == 11
    assert largest_window((192, 148, 216)) == 9
    assert largest_window((57, 44, 64)) == 1
    assert largest_window((57, 44, 64), scales=4) == 5
    assert largest_window((15, 44, 64)) == 0
    assert fitting((456, 352, 512)) == (11, 5)
    assert fitting((192, 148, 216)) == (9, 5)
    assert fitting((57, 44, 64)) == (11, 3)
    assert fitting((29, 22, 32)) == (11, 2)
    with pytest.raises(SkfmError, match="sides of at least 7"):
        fitting((6, 20, 20))


def test_what_fits_runs_and_one_more_voxel_of_window_does_not():
    x = torch.zeros(1, 1, 29, 22, 32)
    window, scales = fitting(x.shape)
    assert float(ms_ssim(x, x, data_range=1, window=window, scales=scales)) == 1
    message = "smallest side of 22 voxels.*at least 26 for window 13.*fits here is 11"
    with pytest.raises(SkfmError, match=message):
        ms_ssim(x, x, data_range=1, window=13, scales=scales)
    with pytest.raises(SkfmError, match="at least 176 for window 11 at 5.*here is 1"):
        ms_ssim(x, x, data_range=1)


@pytest.mark.parametrize(
    "x, y, settings, message",
    [
        ((1, 1, 20, 20, 20), (1, 1, 20, 20, 21), {}, "one shape"),
        ((20, 20, 20), (20, 20, 20), {}, "one shape"),
        ((1, 1, 20, 20, 20), (1, 1, 20, 20, 20), {"window": 8}, "window = 8"),
        ((1, 1, 20, 20, 20), (1, 1, 20, 20, 20), {"scales": 6}, "scales = 6"),
    ],
)
def test_bad_input_is_named(x, y, settings, message):
    with pytest.raises(SkfmError, match=message):
        ms_ssim(torch.zeros(x), torch.zeros(y), data_range=1, **settings)
    with pytest.raises(SkfmError, match="torch.bool"):
        ms_ssim(*torch.zeros(2, 1, 1, 20, 20, 20).bool(), data_range=1)


def record(pairs):
    """A measure that notes which items it was given."""
    noted = lambda x, y: zip(x.flatten().tolist(), y.flatten().tolist())  # noqa: E731
    return lambda x, y: pairs.extend(noted(x, y)) or (x + y).flatten()


def test_pairs_are_distinct_and_never_an_item_with_itself():
    volumes, seen = torch.arange(9.0).view(9, 1, 1, 1, 1), []
    values = ms_ssim_of_set(volumes, pairs=20, seed=3, measure=record(seen))
    assert len(values) == len({frozenset(p) for p in seen}) == 20
    assert all(a != b for a, b in seen)
    assert values.tolist() == [a + b for a, b in seen]
    again, other = [], []
    ms_ssim_of_set(volumes, pairs=20, seed=3, measure=record(again))
    ms_ssim_of_set(volumes, pairs=20, seed=4, measure=record(other))
    assert again == seen != other


def test_pairs_in_several_batches_are_as_one_by_one(monkeypatch):
    x = blocks(15, 5, 1, 22, 22, 22)
    settings = {"pairs": 7, "data_range": 1, "scales": 2}
    together = ms_ssim_of_set(x, **settings)
    monkeypatch.setattr("skfm_lib.metrics.structural_similarity.AT_ONCE", 2 * 22**3)
    assert ms_ssim_of_set(x, **settings) == pytest.approx(together)
    monkeypatch.setattr("skfm_lib.metrics.structural_similarity.AT_ONCE", 1)
    assert ms_ssim_of_set(x, **settings) == pytest.approx(together)


def test_a_small_set_gives_all_its_pairs():
    volumes, seen = torch.arange(5.0).view(5, 1, 1, 1, 1), []
    ms_ssim_of_set(volumes, measure=record(seen))
    expected = {frozenset(p) for p in itertools.combinations(range(5), 2)}
    assert {frozenset(p) for p in seen} == expected and len(seen) == 10
    with pytest.raises(SkfmError, match="a set of 1 volume"):
        ms_ssim_of_set(volumes[:1])
    with pytest.raises(SkfmError, match="0 pairs"):
        ms_ssim_of_set(volumes, pairs=0)


@pytest.mark.parametrize("measure", [ms_ssim, ms_ssim_fork])
def test_empty_volumes_are_alike_and_gaps_are_named(measure):
    settings = {"data_range": 1, "scales": 2} if measure is ms_ssim else {}
    x = torch.zeros(1, 1, 32, 32, 32)
    assert float(measure(x, x, **settings)) == pytest.approx(1)
    assert float(measure(x, blocks(1, 1, 1, 32, 32, 32).float(), **settings)) < 0.5
    with pytest.raises(SkfmError, match="holds NaN"):
        measure(x, x + torch.nan, **settings)


def test_a_set_of_occupancies_and_settings():
    x = blocks(12, 3, 1, 22, 22, 22)
    values = ms_ssim_of_set(x.bool(), data_range=2, window=11, scales=2)
    v = 2 * x - 1
    pairs = {
        round(float(ms_ssim(v[[i]], v[[j]], data_range=2, scales=2)), 5)
        for i, j in [(0, 1), (0, 2), (1, 2)]
    }
    assert {round(v, 5) for v in values} == pairs
