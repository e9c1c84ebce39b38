"""The outline of a skull lies where the skull is, right ear to the left."""

import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk

from skfm_lib.view.slices import overlays


def test_a_mark_at_the_right_front_top_is_outlined_there(tmp_path):
    values = np.full((20, 24, 28), -1000, np.int16)  # z, y, x in RAS
    values[9:, 8:, 13:] = 1000
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.0, 1.0, 2.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    turned = sitk.DICOMOrient(sitk.Cast(image > 0, sitk.sitkUInt8), "LPI")
    sitk.WriteImage(turned, str(tmp_path / "a.nii.gz"))
    figure = overlays({"one": (image, tmp_path / "a.nii.gz")})
    try:
        assert [axis.get_title() for axis in figure.axes] == [
            *("sagittal", "coronal", "axial")
        ]
        assert figure.axes[0].get_ylabel() == "one"
        coronal = figure.axes[1]
        shown = np.asarray(coronal.images[0].get_array())
        assert shown.shape == (20, 28) and coronal.get_aspect() == 2.0
        lines = [p for c in coronal.collections for p in c.get_paths()]
        outline = np.vstack([path.vertices for path in lines])
        assert shown[15, 4] == 1000 and shown[15, 20] == -1000
        assert outline[:, 0].max() < 16 and outline[:, 1].min() > 7
    finally:
        plt.close(figure)


def test_slices_pass_through_the_skull_and_masks_stay_grey(tmp_path):
    values = np.zeros((20, 20, 20), np.uint8)
    values[1:4, 2:5, 14:18] = 1  # far from the middle of the scan
    image = sitk.GetImageFromArray(values)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    sitk.WriteImage(image * 0, str(tmp_path / "b.nii.gz"))
    rows = {name: (image, tmp_path / f"{name}.nii.gz") for name in "ab"}
    figure = overlays(rows)
    try:
        through, empty = figure.axes[:3], figure.axes[3:]
        for axis in through:
            assert axis.images[0].get_array().max() == 1 < axis.images[0].get_clim()[1]
            assert axis.collections
        assert not any(axis.collections for axis in empty)
    finally:
        plt.close(figure)
