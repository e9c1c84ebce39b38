"""Multi-scale structural similarity (MS-SSIM) of volumes (Wang et al. 2003), in 3-D.

As in the paper, the mean over random pairs *within* one set measures how similar its
members are: lower is more diverse (§4.1, Table 1).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from skfm_lib.metrics.feature_extraction import Volumes, as_input
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import Progress

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest first
K1, K2, SIGMA = 0.01, 0.03, 1.5  # Wang et al. 2004
AT_ONCE = 2**20  # voxels of one side of the pairs that are compared together
FORK_RADIUS = 6  # four σ, where SciPy's Gaussian filter ends


def ms_ssim(
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    data_range: float,
    window: int = 11,
    scales: int = 5,
) -> torch.Tensor:
    """MS-SSIM (n,) of the pairs in `x` and `y` (n, 1, D, H, W), floating point.

    Contrast–structure at every scale but the coarsest, full SSIM there, each the mean
    over the positions where the Gaussian window fits, raised to the weights of Wang et
    al. and multiplied; volumes are average-pooled by 2 from scale to scale, and a
    negative mean counts as 0.  The weights are used as printed (their sum is 1.0001);
    with fewer than five `scales`, the first ones are used, scaled to sum to one: a
    different measure, to be stated with the result (see `fitting`).  `data_range` is
    the width of the value range: 1 for {0, 1}, 2 for [−1, 1].  Two empty volumes are
    alike (1).

    Raises:
        SkfmError: if the volumes hold NaN or are too small for window and scales.

    >>> x = torch.zeros(2, 1, 24, 24, 24)
    >>> ms_ssim(x, x, data_range=1, scales=2).tolist()
    [1.0, 1.0]
    """
    _check(x, y, window, scales)
    total = sum(WEIGHTS[:scales]) if scales < len(WEIGHTS) else 1.0
    exponents = [weight / total for weight in WEIGHTS[:scales]]
    return _multiscale(x, y, window // 2, data_range, exponents)


def ms_ssim_fork(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The variant in the code that the paper's is based on, (n,), in [−1, 1].

    It differs from `ms_ssim` in three respects: volumes are continued by reflection
    under the Gaussian (σ 1.5, up to four σ), so that all sides from 16 voxels fit; the
    constants are those of a range of 1; and the coarsest term is inside the product
    over the four finer scales, so that its exponent is 4 × 0.1333.  A negative mean
    contrast gives NaN, as there; leave it out of an average.  For comparison with the
    paper's 0.59–0.63 only: it is not MS-SSIM.
    """
    _check(x, y, window=1, scales=len(WEIGHTS))
    exponents = (*WEIGHTS[:-1], 4 * WEIGHTS[-1])
    return _multiscale(x, y, FORK_RADIUS, 1.0, exponents, fork=True)


def largest_window(shape: Sequence[int], scales: int = 5) -> int:
    """The largest odd window, at most 11, that fits (…, D, H, W) at every scale.

    0 if the coarsest scale has a side below 1 voxel.
    """
    side = min(shape[-3:]) // 2 ** (scales - 1)
    return min(11, side - 1 + side % 2) if side else 0


def fitting(shape: Sequence[int]) -> tuple[int, int]:
    """(window, scales) nearest to the standard (11, 5) for volumes (…, D, H, W).

    As many scales as leave a window of at least 7 voxels (±2 σ), with the largest
    window there.  Raises SkfmError for sides below 7 voxels.

    >>> fitting((456, 352, 512)), fitting((192, 148, 216)), fitting((57, 44, 64))
    ((11, 5), (9, 5), (11, 3))
    """
    for scales in range(len(WEIGHTS), 0, -1):
        window = largest_window(shape, scales)
        if window >= 7:
            return window, scales
    raise SkfmError(f"volumes of {tuple(shape[-3:])} voxels", "sides of at least 7")


def ms_ssim_of_set(
    volumes: Volumes,
    pairs: int = 1000,
    seed: int = 0,
    measure: Callable[..., torch.Tensor] = ms_ssim,
    **settings: float,
) -> np.ndarray:
    """Similarity of `random_pairs` within one set (paper §4.1), one value for each.

    Args:
        volumes: n items (1, D, H, W), v in [−1, 1], or bits or bytes as stored.
        pairs: their greatest number.
        seed: of the pairs.
        measure: `ms_ssim` or `ms_ssim_fork`.
        settings: arguments of `measure`, such as ``data_range=1``.
    """
    first, second = random_pairs(len(volumes), pairs, seed)
    at_once = max(1, AT_ONCE // torch.as_tensor(volumes[0]).numel())
    device, values = pick_device(), []
    with Progress("MS-SSIM", len(first)) as bar:
        for start in range(0, len(first), at_once):
            chosen = slice(start, start + at_once)
            batches = (_batch(volumes, items[chosen]) for items in (first, second))
            x, y = map(device.to_device, batches)
            values.append(measure(x, y, **settings))
            bar.advance(len(x))
    return torch.cat(values).double().cpu().numpy()


def random_pairs(count: int, pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second items of up to `pairs` distinct pairs of `count` items.

    No item is paired with itself; there are n(n−1)/2 pairs at most.  Raises SkfmError
    for fewer than two items or no pair.
    """
    if count < 2 or pairs < 1:
        found = f"{pairs} pairs of a set of {count} volume(s)"
        raise SkfmError(found, "at least one pair of two")
    first, second = np.triu_indices(count, 1)
    chosen = np.random.default_rng(seed).permutation(len(first))[:pairs]
    return first[chosen], second[chosen]


def _batch(volumes: Volumes, items: np.ndarray) -> torch.Tensor:
    """The items as v (n, 1, D, H, W)."""
    return torch.stack([as_input(volumes[i]) for i in items.tolist()])


def _multiscale(
    x: torch.Tensor,
    y: torch.Tensor,
    radius: int,
    data_range: float,
    exponents: Sequence[float],
    fork: bool = False,
) -> torch.Tensor:
    """Product (n,) of contrast–structure at all scales and luminance at the last.

    Local means and variances of x + y and x − y contain all that the five moments of x
    and y do: ``2 cov(x, y) = (var(x + y) − var(x − y)) / 2``, and so on.
    """
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    gaussian = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    taps = (gaussian / gaussian.sum()).tolist()
    result = torch.ones(len(x), dtype=torch.float64, device=x.device)
    for scale, exponent in enumerate(exponents):
        if scale:
            x, y = F.avg_pool3d(x, 2), F.avg_pool3d(y, 2)
        mean_sum, var_sum = _moments(x + y, taps, fork)
        mean_gap, var_gap = _moments(x - y, taps, fork)
        term = _ratio(var_sum, var_gap, c2)
        if scale == len(exponents) - 1:
            term *= _ratio(mean_sum.square_(), mean_gap.square_(), c1)
        mean = term.mean((1, 2, 3, 4), dtype=torch.float64)
        result *= (mean if fork else mean.clamp(min=0)) ** exponent
    return result


def _ratio(total: torch.Tensor, gap: torch.Tensor, c: float) -> torch.Tensor:
    """((total − gap)/2 + c) / ((total + gap)/2 + c), the form of both SSIM factors."""
    return (total - gap).add_(2 * c).div_((total + gap).add_(2 * c))


def _moments(
    v: torch.Tensor, taps: list[float], reflect: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Local mean and variance under the window."""
    mean = _blur(v, taps, reflect)
    return mean, _blur(v.square(), taps, reflect).addcmul_(mean, mean, value=-1)


def _blur(v: torch.Tensor, taps: list[float], reflect: bool) -> torch.Tensor:
    """Separable weighted sums along D, H and W; one pass over memory for each tap."""
    for axis in (2, 3, 4):
        if reflect:
            padded = np.pad(np.arange(v.shape[axis]), len(taps) // 2, mode="symmetric")
            v = v.index_select(axis, torch.from_numpy(padded).to(v.device))
        size = v.shape[axis] - len(taps) + 1
        out = v.narrow(axis, 0, size) * taps[0]
        for shift, tap in enumerate(taps[1:], start=1):
            out.add_(v.narrow(axis, shift, size), alpha=tap)
        v = out
    return v


def _check(x: torch.Tensor, y: torch.Tensor, window: int, scales: int) -> None:
    floating = x.is_floating_point() and y.is_floating_point()
    if x.ndim != 5 or x.shape != y.shape or x.shape[1] != 1 or not floating:
        raise SkfmError(
            f"{x.dtype} {tuple(x.shape)} and {y.dtype} {tuple(y.shape)}",
            "two floating-point batches (n, 1, D, H, W) of one shape",
            "call .float() on occupancies",
        )
    if not bool(x.isfinite().all() & y.isfinite().all()):
        raise SkfmError("a volume holds NaN or infinity", "finite values")
    if window % 2 == 0 or not 1 <= scales <= len(WEIGHTS):
        found = f"window = {window}, scales = {scales}"
        raise SkfmError(found, "an odd window and 1 to 5 scales")
    fits = largest_window(x.shape, scales)
    if window > fits:
        needed = (
            f"at least {window * 2 ** (scales - 1)} for window {window} at {scales}"
        )
        raise SkfmError(
            f"a smallest side of {min(x.shape[2:])} voxels",
            f"{needed} scales; the largest window that fits here is {fits or 'none'}",
            "choose with fitting(x.shape)",
        )
