"""Chamfer distance against brute force."""

import numpy as np
import pytest
import torch

from skfm_lib.metrics import chamfer
from skfm_lib.utils.errors import SkfmError


def brute_force(p, t):
    apart = (p.double()[:, None] - t.double()).square().sum(dim=-1).sqrt()
    return [float(apart.min(dim=axis).values.mean()) for axis in (1, 0)]


def test_equals_brute_force_and_is_the_mean_of_both():
    torch.manual_seed(0)
    pred, target = torch.randn(300, 3) * 60, torch.randn(170, 3) * 50 + 10
    cd, accuracy, completeness = chamfer(pred, target)
    expected = brute_force(pred, target)
    assert [float(accuracy), float(completeness)] == pytest.approx(expected)
    assert cd == (accuracy + completeness) / 2
    assert accuracy != completeness


def test_known_value_is_in_millimetres_and_unsquared():
    cd, accuracy, completeness = chamfer(
        np.array([[0.0, 0, 0], [3, 4, 0]]), np.array([[0.0, 0, 0]])
    )
    assert (float(accuracy), float(completeness), float(cd)) == (2.5, 0, 1.25)


def test_a_batch_is_its_items():
    torch.manual_seed(1)
    pred, target = torch.randn(3, 40, 3), torch.randn(3, 50, 3)
    batched = chamfer(pred, target)
    for i in range(3):
        single = chamfer(pred[i], target[i])
        assert [float(m[i]) for m in batched] == [float(m) for m in single]


def test_zero_on_itself():
    cloud = torch.randn(20, 3)
    assert chamfer(cloud, cloud[torch.randperm(20)]).cd == 0


@pytest.mark.parametrize(
    "pred, message",
    [
        (torch.zeros(5, 2), r"pred has shape \(5, 2\)"),
        (torch.zeros(0, 3), r"pred has shape \(0, 3\)"),
        (torch.full((5, 3), torch.nan), "pred holds NaN"),
        (torch.zeros(2, 5, 3), "differ in batch size"),
    ],
)
def test_bad_clouds_are_named(pred, message):
    with pytest.raises(SkfmError, match=message):
        chamfer(pred, torch.zeros(5, 3))
