"""Slices of scans show the scan, whatever the order of its axes."""

import numpy as np
import pytest
import SimpleITK as sitk

from skfm_lib.evaluation.population.figures import scan_planes

SPACING = (2.0, 1.0, 3.0)  # x, y, z, mm
VOXELS = np.random.default_rng(0).integers(-1000, 1500, (16, 40, 30)).astype(np.int16)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SAL"])
def test_slices_are_in_ras_axes(axes):
    upright = sitk.GetImageFromArray(VOXELS)  # z, y, x
    upright.SetDirection(np.diag([-1.0, -1.0, 1.0]).ravel())  # RAS in the LPS frame
    upright.SetSpacing(SPACING)
    figure = scan_planes({"scan": sitk.DICOMOrient(upright, axes)})
    sagittal, coronal, axial = (axis.images[0] for axis in figure.axes[:3])
    # 20 mm, which are ten voxels, beside the middle; nose to the left, right ear, too.
    assert np.array_equal(sagittal.get_array(), VOXELS[:, ::-1, 25])
    assert np.array_equal(coronal.get_array(), VOXELS[:, 20, ::-1])
    assert np.array_equal(axial.get_array(), VOXELS[8, :, ::-1])
    aspects = [image.axes.get_aspect() for image in (sagittal, coronal, axial)]
    assert aspects == [3.0, 1.5, 0.5]
