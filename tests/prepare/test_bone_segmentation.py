"""From a scan to the skull's own surface."""

import numpy as np
import pytest
import pyvista as pv
import SimpleITK as sitk
from scipy import ndimage

from skfm_lib.data.bone_fractions import LEVEL, as_fraction
from skfm_lib.data.io.volumes import LPS_TO_RAS
from skfm_lib.data.voxels import skull_grid
from skfm_lib.prepare.bone_segmentation import (
    _box_filter,
    bone_mesh,
    bone_voxels,
    fractions_on,
    touched_borders,
)
from skfm_lib.presets.grid_sizes import PAPER_SPACING, scaled_shape
from skfm_lib.utils.errors import SkfmError

SPACING = 2.0
X, Y, Z = np.meshgrid(*[SPACING * np.arange(-60, 61)] * 3, indexing="ij")


def scan(*solids: np.ndarray, bone: float = 900, air: float = -1000) -> sitk.Image:
    """A CT in RAS order of the solids, given as bool (x, y, z)."""
    values = np.where(np.any(solids, axis=0), bone, air).astype(np.int16)
    image = sitk.GetImageFromArray(values.transpose(2, 1, 0))
    image.SetSpacing([SPACING] * 3)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    image.SetOrigin((120, 120, -120))
    return image


def shell(x=0.0, y=0.0, z=0.0, outer=70.0, inner=60.0) -> np.ndarray:
    radius = np.sqrt((X - x) ** 2 + (Y - y) ** 2 + (Z - z) ** 2)
    return (radius < outer) & (radius >= inner)


JAW = (abs(X) < 40) & (Y > 30) & (Y < 60) & (Z > -105) & (Z < -80)
HOLDER = shell(outer=104, inner=98) & (Y < 20) & (abs(X) > 30)
CRUMB = (abs(X) < 5) & (abs(Y) < 5) & (abs(Z) < 5)


def test_jaw_stays_holder_and_crumbs_go():
    mesh = bone_mesh(scan(shell(), JAW, HOLDER, CRUMB))
    parts = mesh.split_bodies()
    centres = [np.array(part.center) for part in parts]
    assert len(parts) == 3  # outside and inside of the cranium, and the jaw
    assert min(np.linalg.norm(c - (0, 45, -92)) for c in centres) < 5
    assert abs(mesh.points[:, 0]).max() < 72


def test_volume_and_place_are_the_solids():
    mesh = bone_mesh(scan(shell(x=20, y=-10, z=15)))
    np.testing.assert_allclose(mesh.center, (20, -10, 15), atol=0.3)
    volume = 4 / 3 * np.pi * (70**3 - 60**3)
    assert mesh.volume == pytest.approx(volume, rel=0.03)
    assert mesh.n_open_edges == 0


def test_normals_point_out_of_the_bone():
    mesh = bone_mesh(scan(shell())).compute_normals(
        auto_orient_normals=False, consistent_normals=False, split_vertices=False
    )
    radius = np.linalg.norm(mesh.points, axis=1)
    out = (mesh.points * mesh.point_data["Normals"]).sum(axis=1) / radius
    assert np.median(out[radius > 65]) > 0.9 and np.median(out[radius < 65]) < -0.9


def test_the_surface_is_open_where_the_skull_leaves_the_view():
    image = scan(shell(z=-80))
    mesh = bone_mesh(image)
    assert mesh.n_open_edges > 0
    assert touched_borders(mesh, image) == ["lower"]
    low = mesh.points[mesh.points[:, 2] < -119]
    assert np.linalg.norm(low[:, :2], axis=1).min() > 40  # no plate across


def test_pinholes_are_sealed():
    wall = shell()
    wall &= ~((abs(X) < 1) & (abs(Y) < 1) & (Z > 0))
    assert bone_mesh(scan(wall)).n_open_edges == 0
    assert len(bone_mesh(scan(wall)).split_bodies()) == 2  # still outside and inside


@pytest.mark.parametrize(("bone", "air"), [(1, 0), (255, 0), (100, -1000)])
def test_masks_need_no_threshold(bone, air):
    mesh = bone_mesh(scan(shell(), bone=bone, air=air))
    assert mesh.bounds[1] == pytest.approx(70, abs=1.1)


def test_grey_values_of_a_picture_are_no_fractions():
    image = scan(shell(), bone=255, air=0)
    image[0, 0, 0] = 51  # three values: not a mask
    grey = sitk.Cast(image, sitk.sitkFloat32) / 255
    with pytest.raises(SkfmError, match="no Hounsfield units: values 0 to 1"):
        bone_mesh(grey)
    grey.SetSpacing([4 * PAPER_SPACING] * 3)  # as the project's own grids
    assert bone_mesh(grey).volume > 0
    with pytest.raises(SkfmError, match="no Hounsfield units"):
        bone_mesh(grey * 0.999)  # no bytes


def test_fractions_are_told_by_their_grid_and_values():
    shape = scaled_shape(1 / 16)
    grid = skull_grid(shape)
    some = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    some[0, 0, 0] = 0
    image = sitk.GetImageFromArray(some.transpose(2, 0, 1).astype(np.float32) / 255)
    image.SetSpacing([grid.spacing] * 3)
    image.SetOrigin((LPS_TO_RAS @ grid.origin).tolist())
    image.SetDirection(LPS_TO_RAS.ravel().tolist())
    assert np.array_equal(fractions_on(image, grid), some)
    assert fractions_on(image, skull_grid(scaled_shape(1 / 8))) is None
    assert fractions_on(sitk.Cast(image > 0.5, sitk.sitkInt16), grid) is None
    image.SetOrigin((0, 0, 0))
    assert fractions_on(image, grid) is None


def test_no_bone_is_said():
    image = scan(shell(), bone=150, air=-1000)
    image[0, 0, 0] = 0  # three values: not a mask
    with pytest.raises(SkfmError, match="no voxel above 200 HU .highest 150"):
        bone_mesh(image)
    with pytest.raises(SkfmError, match="every voxel is -1000"):
        bone_mesh(scan(np.zeros_like(X, bool)))


def test_what_is_no_ct_is_said():
    rng = np.random.default_rng(0)
    resonance = scan(shell(), bone=900, air=30)
    resonance[0, 0, 0] = 0
    with pytest.raises(SkfmError, match="no air: values 0 to 900.*an MR"):
        bone_mesh(resonance)
    noise = sitk.GetImageFromArray(rng.integers(-1000, 2000, X.shape).astype(np.int16))
    noise.SetSpacing([SPACING] * 3)
    with pytest.raises(SkfmError, match="ml of bone above 200 HU; expected a skull"):
        bone_mesh(noise)
    with pytest.raises(SkfmError, match="1 ml in the mask; .*mask bone alone"):
        bone_mesh(scan(CRUMB, bone=900, air=-1000))


def test_what_is_no_hounsfield_unit_is_told_apart():
    rng = np.random.default_rng(0)
    head, noise = shell(outer=70, inner=0), rng.normal(0, 20, X.shape)
    tissue = np.where(head, 40, -1000) + noise
    values = np.where(shell(), 900, tissue).transpose(2, 1, 0)
    for shifted, message in (
        (values + 1024, "like a CT without its rescale intercept; .*subtract 1024"),
        # An MR: bone is dark, and tissue varies.
        (np.abs(noise) + head.T * rng.uniform(200, 1500, X.shape), "an MR cannot"),
        ((values + 1024) / 2000, "no Hounsfield units: values 0 to 0.*mask of bone"),
    ):
        image = scan(shell())
        other = sitk.GetImageFromArray(np.maximum(shifted, 0).astype(np.float32))
        other.CopyInformation(image)
        with pytest.raises(SkfmError, match=message):
            bone_mesh(other)


def test_metal_does_not_swell():
    crown = (abs(X) < 7) & (abs(Y - 66) < 7) & (abs(Z) < 7)
    values = sitk.GetArrayFromImage(scan(shell(), crown))
    values[crown.transpose(2, 1, 0)] = 30000
    image = scan(shell(), crown)
    metal = sitk.GetImageFromArray(values)
    metal.CopyInformation(image)
    assert bone_mesh(metal).volume == pytest.approx(bone_mesh(image).volume, rel=0.01)


def test_closing_is_itks():
    values = np.random.default_rng(0).normal(size=(9, 10, 11)).astype(np.float32)
    ours = _box_filter(np.minimum, _box_filter(np.maximum, values))
    image = sitk.GetImageFromArray(values)
    theirs = sitk.GrayscaleMorphologicalClosing(image, [1, 1, 1], sitk.sitkBox)
    inside = (slice(2, -2),) * 3
    assert np.array_equal(ours[inside], sitk.GetArrayFromImage(theirs)[inside])


def test_thin_walls_last_on_coarse_grids():
    coarse, fine = skull_grid(scaled_shape(1 / 8)), skull_grid(scaled_shape(1 / 2))
    outer = pv.Icosphere(radius=60.0, center=coarse.to_mm(np.array([28, 21, 31])))
    outer = outer.subdivide(3)
    walls = outer.merge(outer.scale(57 / 60, inplace=False, point=outer.center))
    volumes = []
    for grid in (coarse, fine):
        fractions = as_fraction(bone_voxels(walls, grid))
        bone = fractions > LEVEL
        inside = ndimage.binary_fill_holes(bone) & ~bone
        volumes.append((fractions.sum() + inside.sum()) * grid.spacing**3)
    sphere = 4 / 3 * np.pi * 60**3
    assert volumes == pytest.approx([sphere, sphere], rel=0.05)
