"""The Chamfer distance as a loss."""

from torch import Tensor

from skfm_lib.models.pointcloud.neighbours import nearest, take


def chamfer_loss(pred: Tensor, target: Tensor) -> Tensor:
    """½ (mean ‖p − nearest t‖ + mean ‖t − nearest p‖), a scalar with gradients.

    pred    (b, n, 3), target (b, m, 3); the loss is in their unit, unsquared

    The same value as `metrics.chamfer`'s cd, averaged over the batch.  The neighbours
    are searched without gradients, so that no table of distances is kept.
    """
    there = _gaps(pred, target).mean()
    return (there + _gaps(target, pred).mean()) / 2


def _gaps(points: Tensor, among: Tensor) -> Tensor:
    """Distance (b, n) from each point to the nearest of the others."""
    index = nearest(points, among)[1].squeeze(-1)
    return (points - take(among, index)).norm(dim=-1)
