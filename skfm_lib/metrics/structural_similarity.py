"""Multi-scale structural similarity of volumes (Wang et al. 2003), in 3-D.

Used the paper's way: the mean over random pairs *within* one set says how alike
its members are, so lower is more diverse (§4.1, Table 1).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import Progress

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest first
K1, K2 = 0.01, 0.03  # Wang et al. 2004
AT_ONCE = 2**20  # voxels of one side of the pairs that are compared together
FORK_RADIUS = 6  # four σ of 1.5, where SciPy's Gaussian filter ends


def ms_ssim(
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    data_range: float,
    window: int = 11,
    sigma: float = 1.5,
    scales: int = 5,
) -> torch.Tensor:
    """MS-SSIM of the pairs in `x` and `y` (n, 1, D, H, W), as (n,).

    Contrast–structure at every scale but the coarsest, full SSIM there, each the
    mean over the positions where a Gaussian `window` fits, raised to the five
    weights of Wang et al. and multiplied; volumes are average-pooled by 2 from
    scale to scale; a negative mean counts as 0.  `data_range` is the width of
    the value range: 1 for {0, 1}, 2 for [−1, 1].  The five weights are used as
    printed, though they sum to 1.0001.  With fewer `scales` the first of them are
    used, scaled to sum to one: a measure of its own, to be named with the result
    (`fitting` says what a size allows).

    Raises SkfmError where the volumes are too small for window and scales.
    """
    _check(x, y, window, scales)
    weights = _weights(scales)
    taps = _gaussian(window // 2, sigma)
    result = torch.ones(len(x), dtype=torch.float64, device=x.device)
    for weight in weights[:-1]:
        result *= _ssim(x, y, taps, data_range)[1].clamp(min=0) ** weight
        x, y = F.avg_pool3d(x, 2), F.avg_pool3d(y, 2)
    return result * _ssim(x, y, taps, data_range)[0].clamp(min=0) ** weights[-1]


def ms_ssim_fork(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The variant in the code the paper grew from, for `x`, `y` in [−1, 1], as (n,).

    Three things differ from `ms_ssim`: the Gaussian (σ 1.5, reaching four σ) is
    continued past the border by reflection, so that any size goes; the constants
    are those of a range of 1; and the coarsest term stands inside the product
    over the four finer scales, so that its exponent is 4 × 0.1333.  A negative
    mean contrast gives NaN, as there; leave it out of an average.  For
    comparison with the paper's 0.59–0.63 only: it is not MS-SSIM.  Raises
    SkfmError for sides below 16 voxels.
    """
    _check(x, y, window=1, scales=len(WEIGHTS))
    taps = _gaussian(FORK_RADIUS, 1.5)
    result = torch.ones(len(x), dtype=torch.float64, device=x.device)
    for weight in WEIGHTS[:-1]:
        result *= _ssim(x, y, taps, 1.0, reflect=True)[1] ** weight
        x, y = F.avg_pool3d(x, 2), F.avg_pool3d(y, 2)
    return result * _ssim(x, y, taps, 1.0, reflect=True)[0] ** (4 * WEIGHTS[-1])


def largest_window(shape: Sequence[int], scales: int = 5) -> int:
    """The largest odd window, at most 11, that fits (…, D, H, W) at every scale.

    Below 1 voxel at the coarsest scale the answer is 0: nothing fits.
    """
    side = min(shape[-3:]) // 2 ** (scales - 1)
    return min(11, side - 1 + side % 2) if side else 0


def fitting(shape: Sequence[int]) -> tuple[int, int]:
    """(window, scales) nearest to the standard (11, 5) for volumes (…, D, H, W).

    As many scales as leave a window of at least 7 voxels (±2 σ), with the largest
    window there: 456×352×512 → (11, 5), 192×148×216 → (9, 5), 57×44×64 → (11, 3).
    Raises SkfmError for sides below 7 voxels.
    """
    for scales in range(len(WEIGHTS), 0, -1):
        window = largest_window(shape, scales)
        if window >= 7:
            return window, scales
    raise SkfmError(f"volumes of {tuple(shape[-3:])} voxels", "sides of at least 7")


def ms_ssim_of_set(
    volumes: torch.Tensor | Sequence[torch.Tensor],
    pairs: int = 1000,
    seed: int = 0,
    measure: Callable[..., torch.Tensor] = ms_ssim,
    **settings: float,
) -> np.ndarray:
    """Similarity of random pairs within one set, one value a pair (paper §4.1).

    `volumes` are n items (1, D, H, W), floats or occupancies; the pairs are those
    of `random_pairs`: none twice, none of an item with itself, and all n(n−1)/2
    where that is fewer.  `settings` go to `measure`, such as ``data_range=1``.
    Raises SkfmError for fewer than two volumes.
    """
    first, second = random_pairs(len(volumes), pairs, seed)
    at_once = max(1, AT_ONCE // torch.as_tensor(volumes[0]).numel())
    values = []
    with Progress("MS-SSIM", len(first)) as bar:
        for start in range(0, len(first), at_once):
            chosen = slice(start, start + at_once)
            x, y = _batch(volumes, first[chosen]), _batch(volumes, second[chosen])
            values.append(measure(x, y, **settings))
            bar.advance(len(x))
    return torch.cat(values).double().cpu().numpy()


def random_pairs(count: int, pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second items of up to `pairs` distinct pairs of `count` items.

    Raises SkfmError for fewer than two items.
    """
    if count < 2:
        raise SkfmError(f"a set of {count} volume(s)", "at least two")
    first, second = np.triu_indices(count, 1)
    drawn = np.random.default_rng(seed).permutation(len(first))[:pairs]
    return first[drawn], second[drawn]


def _weights(scales: int) -> tuple[float, ...]:
    """The exponents of the first `scales` scales, as `ms_ssim` states them."""
    if scales == len(WEIGHTS):
        return WEIGHTS
    return tuple(w / sum(WEIGHTS[:scales]) for w in WEIGHTS[:scales])


def _batch(volumes: torch.Tensor | Sequence, items: Sequence[int]) -> torch.Tensor:
    """The items (n, 1, D, H, W), floating point."""
    batch = torch.stack([torch.as_tensor(volumes[i]) for i in items])
    return batch if batch.is_floating_point() else batch.float()


def _ssim(
    x: torch.Tensor,
    y: torch.Tensor,
    taps: torch.Tensor,
    data_range: float,
    reflect: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean SSIM and mean contrast–structure of each pair, both (n,) float64.

    Local means and variances of x + y and x − y hold all that the five moments
    of x and y would: 2 cov(x, y) = (var(x+y) − var(x−y)) / 2, and so on.
    """
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_sum, var_sum = _moments(x + y, taps, reflect)
    mean_gap, var_gap = _moments(x - y, taps, reflect)
    mean_sum, mean_gap = mean_sum.square_(), mean_gap.square_()
    contrast = _ratio(var_sum, var_gap, c2)
    ssim = _ratio(mean_sum, mean_gap, c1).mul_(contrast)
    each = (1, 2, 3, 4)
    return tuple(m.mean(each, dtype=torch.float64) for m in (ssim, contrast))


def _ratio(total: torch.Tensor, gap: torch.Tensor, c: float) -> torch.Tensor:
    """((total − gap)/2 + c) / ((total + gap)/2 + c), the form of both SSIM factors."""
    return (total - gap).add_(2 * c).div_((total + gap).add_(2 * c))


def _moments(
    v: torch.Tensor, taps: torch.Tensor, reflect: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Local mean and variance under the window."""
    mean = _blur(v, taps, reflect)
    return mean, _blur(v.square(), taps, reflect).addcmul_(mean, mean, value=-1)


def _blur(v: torch.Tensor, taps: torch.Tensor, reflect: bool) -> torch.Tensor:
    """Separable weighted sums along D, H and W; one pass over memory a tap."""
    for axis in (2, 3, 4):
        if reflect:
            padded = np.pad(np.arange(v.shape[axis]), len(taps) // 2, mode="symmetric")
            v = v.index_select(axis, torch.from_numpy(padded).to(v.device))
        size = v.shape[axis] - len(taps) + 1
        out = v.narrow(axis, 0, size) * float(taps[0])
        for shift in range(1, len(taps)):
            out.add_(v.narrow(axis, shift, size), alpha=float(taps[shift]))
        v = out
    return v


def _gaussian(radius: int, sigma: float) -> torch.Tensor:
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    taps = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return taps / taps.sum()


def _check(x: torch.Tensor, y: torch.Tensor, window: int, scales: int) -> None:
    if x.ndim != 5 or x.shape != y.shape or x.shape[1] != 1:
        raise SkfmError(
            f"shapes {tuple(x.shape)} and {tuple(y.shape)}",
            "two batches (n, 1, D, H, W) of one shape",
        )
    if not (x.is_floating_point() and y.is_floating_point()):
        raise SkfmError(f"volumes of {x.dtype}", "floating point", "call .float()")
    if window % 2 == 0 or not 1 <= scales <= len(WEIGHTS):
        raise SkfmError(
            f"window = {window}, scales = {scales}", "an odd window and 1 to 5 scales"
        )
    fits = largest_window(x.shape, scales)
    if window > fits:
        raise SkfmError(
            f"a smallest side of {min(x.shape[2:])} voxels",
            f"at least {window * 2 ** (scales - 1)} for window {window} at {scales}"
            f" scales; the largest window that fits here is {fits or 'none'}",
            "choose with fitting(x.shape)",
        )
