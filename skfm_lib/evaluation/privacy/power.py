"""Which effect an attack could have detected: its power, beside its result."""

from statistics import NormalDist

from skfm_lib.metrics import Interval
from skfm_lib.metrics.confidence import Z95

POWER = 0.8
DETECTABLE = "detectable AUC"


def detectable(found: Interval, power: float = POWER) -> float:
    """The least distance from no effect that would be detected with this probability.

    By a two-sided test at 5 % with the standard error of `found`, a quarter of its
    interval to good approximation: (z_0.975 + z_power) · (high − low) / (2 z_0.975).

    >>> round(detectable(Interval(0.5, 0.4, 0.6)), 3)
    0.143
    """
    error = (found.high - found.low) / (2 * Z95)
    return (Z95 + NormalDist().inv_cdf(power)) * error


def detectable_auc(found: Interval) -> float:
    """The least AUC above ½ that would be detected with probability `POWER`.

    >>> round(detectable_auc(Interval(0.52, 0.47, 0.57)), 3)
    0.571
    """
    return min(1.0, 0.5 + detectable(found))
