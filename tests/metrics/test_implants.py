"""Scores of implants against a literal implementation, voxel by voxel."""

from itertools import product

import numpy as np
import pytest

from skfm_lib.metrics import implant_scores
from skfm_lib.utils.errors import SkfmError

SHAPE = (9, 8, 7)
NEIGHBOURS = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]


def voxels(mask):
    return [v for v in product(*map(range, mask.shape)) if mask[v]]


def surface_of(mask):
    """Voxels with a neighbour that is background, or beyond the border."""
    inside = set(voxels(mask))
    return [
        v
        for v in inside
        if any(tuple(np.add(v, step)) not in inside for step in NEIGHBOURS)
    ]


def gap(voxel, others, spacing):
    return min(
        spacing * np.sqrt(sum((a - b) ** 2 for a, b in zip(voxel, o))) for o in others
    )


def overlap(a, b):
    a, b = set(a), set(b)
    return 2 * len(a & b) / (len(a) + len(b))


def percentile_95(values):
    values = sorted(values)
    at = 0.95 * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def literal(implant, truth, skull, spacing):
    bone = voxels(skull)
    a, b = (
        [v for v in voxels(mask) if gap(v, bone, spacing) <= 10]
        for mask in (implant, truth)
    )
    first, second = surface_of(implant), surface_of(truth)
    distances = [gap(v, second, spacing) for v in first]
    distances += [gap(v, first, spacing) for v in second]
    whole = overlap(voxels(implant), voxels(truth))
    return whole, overlap(a, b), percentile_95(distances)


def masks(seed):
    """An implant, a truth and a skull, none of which is empty."""
    rng = np.random.default_rng(seed)
    implant, truth, skull = rng.random((3, *SHAPE)) < 0.3
    implant[:, :, 5:] = truth[:2] = skull[:, 3:] = False
    skull[seed, 0, 0] = True
    return implant & ~skull, truth & ~skull, skull


@pytest.mark.parametrize("spacing", [0.5, 1.0, 2.6], ids="{} mm".format)
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_the_definitions(seed, spacing):
    implant, truth, skull = masks(seed)
    found = implant_scores(implant, truth, skull, spacing)
    assert found == pytest.approx(literal(implant, truth, skull, spacing), abs=1e-9)


def test_distances_are_in_mm_not_in_voxels():
    """A bar of 40 voxels, of which the implant has half; the skull is at its end."""
    truth, implant, skull = np.zeros((3, 44, 3, 3), bool)
    skull[1, 1, 1] = truth[2:42, 1, 1] = implant[2:22, 1, 1] = True
    fine, coarse = (implant_scores(implant, truth, skull, s) for s in (0.4, 1.0))
    assert fine.dsc == coarse.dsc == pytest.approx(2 * 20 / 60)
    assert fine.hd95 == pytest.approx(0.4 * coarse.hd95) and coarse.hd95 > 10
    # Within 10 mm of the skull lie 25 voxels of 0.4 mm, and 10 of 1 mm.
    assert fine.border_dsc == pytest.approx(2 * 20 / 45) and coarse.border_dsc == 1


def test_the_percentile_is_of_both_directions_together():
    """One far voxel is 1 of 20 distances from here, and none from there."""
    truth, implant, skull = np.zeros((3, 30, 5, 5), bool)
    truth[:10, 2, 2] = implant[:10, 2, 2] = implant[29, 2, 2] = skull[0, 0, 0] = True
    distances = [0.0] * 20 + [20.0]
    found = implant_scores(implant, truth, skull, 1.0).hd95
    assert found == pytest.approx(percentile_95(distances)) == 0
    assert np.percentile(distances[9:], 95) > 5  # the larger of two percentiles


@pytest.mark.parametrize("number, name", [*enumerate(["implant", "truth", "skull"])])
def test_an_empty_mask_is_refused(number, name):
    given = [mask.copy() for mask in masks(0)]
    given[number][:] = False
    with pytest.raises(SkfmError, match=f"{name} is empty"):
        implant_scores(*given, 1.0)


def test_other_types_and_shapes_are_refused():
    implant, truth, skull = masks(0)
    for bad in (implant.astype(np.uint8), implant[:-1], implant[None]):
        with pytest.raises(SkfmError, match="bool"):
            implant_scores(bad, truth, skull, 1.0)


def test_an_implant_away_from_the_skull_has_no_border():
    truth, skull = np.zeros((2, 30, 3, 3), bool)
    truth[25:, 1, 1] = skull[0, 0, 0] = True
    with pytest.raises(SkfmError, match="within 10 mm"):
        implant_scores(truth, truth, skull, 1.0)
