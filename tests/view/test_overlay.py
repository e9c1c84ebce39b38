"""The outline of a skull lies where the skull is, right ear to the left."""

import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk

from skfm_lib.view.slices import overlay


def test_a_mark_at_the_right_front_top_is_outlined_there(tmp_path):
    values = np.full((20, 24, 28), -1000, np.int16)  # z, y, x in RAS
    values[9:, 8:, 13:] = 1000
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.0, 1.0, 2.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    turned = sitk.DICOMOrient(sitk.Cast(image > 0, sitk.sitkUInt8), "LPI")
    sitk.WriteImage(turned, str(tmp_path / "a.nii.gz"))
    figure = overlay(image, tmp_path / "a.nii.gz")
    try:
        assert [axis.get_title() for axis in figure.axes] == [
            *("sagittal", "coronal", "axial")
        ]
        coronal = figure.axes[1]
        shown = np.asarray(coronal.images[0].get_array())
        assert shown.shape == (20, 28) and coronal.get_aspect() == 2.0
        lines = [p for c in coronal.collections for p in c.get_paths()]
        outline = np.vstack([path.vertices for path in lines])
        assert shown[15, 4] == 1000 and shown[15, 20] == -1000
        assert outline[:, 0].max() < 16 and outline[:, 1].min() > 7
    finally:
        plt.close(figure)
