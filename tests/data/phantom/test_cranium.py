"""Thickness of the vault, sinuses, teeth and mandible of phantom individuals."""

from dataclasses import replace

import numpy as np
import pytest

from skfm_lib.data.phantom import cranium, jaw
from skfm_lib.data.phantom.craniometry import Craniometry, craniometry
from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.primitives import Point
from skfm_lib.data.phantom.teeth import LOWER_ARCH, UPPER_ARCH, add_teeth
from skfm_lib.data.phantom.template import individual

AVERAGE = replace(craniometry(0), parietal_thickness=6.3, tooth_loss=0.0)


def lattice(low: tuple, high: tuple, spacing: float) -> np.ndarray:
    """Coordinates x, y, z (3, D, H, W) of a box, as the phantoms' lattices are."""
    x, y, z = (np.arange(a, b, spacing, np.float32) for a, b in zip(low, high))
    y, x, z = np.meshgrid(y, x, z, indexing="ij")
    return np.stack([x, y, z])


@pytest.fixture(scope="module")
def thickness() -> list[np.ndarray]:
    """Thickness (n,) of the vaults of 60 individuals near their outer tables, mm."""
    head = lattice((-80, -104, 40), (80, 104, 128), 8.0)
    vaults = []
    for seed in range(60):
        who = craniometry(seed)
        template = individual(seed, who, tuple(head))
        field = BoneField(template.points, 8.0, template.thickening)
        thick = cranium.add_vault(field, who) - field.bone[0]
        vaults.append(thick[np.abs(field.bone[0]) < 8])
    return vaults


def test_thickness_is_that_of_dry_skulls(thickness) -> None:
    """[moreiragonzalez2006]: 6.3 mm, 1.2 between skulls; sites of a skull differ."""
    means = np.array([vault.mean() for vault in thickness])
    assert means.mean() == pytest.approx(6.3, rel=0.1)
    assert means.std() == pytest.approx(1.2, rel=0.25)
    assert np.mean([vault.std() for vault in thickness]) > 1
    assert min(vault.min() for vault in thickness) >= cranium.THINNEST - 1e-3


def test_individual_thickness_scales_with_the_measure() -> None:
    points = lattice((20, -60, 70), (70, 0, 120), 5.0)
    fields = [BoneField(points, 5.0) for _ in range(2)]
    thick = replace(AVERAGE, parietal_thickness=9.0)
    thin, wide = (
        np.ravel(cranium.add_vault(field, who) - field.bone[0])
        for field, who in zip(fields, (AVERAGE, thick))
    )
    assert np.median(wide / thin) == pytest.approx(9.0 / 6.3, rel=0.01)


def frontal_air(size: float) -> float:
    """Volume of one frontal sinus, cm³, of a solid frontal bone."""
    points = lattice((0, 70, 25), (30, 105, 65), 1.0)
    field = BoneField(points, 1.0)
    field.bone[:] = -20.0
    cranium.cut_openings(
        field, np.full(points.shape[1:], 50.0), replace(AVERAGE, frontal_sinus=size)
    )
    return float((field.bone[0] > 0).sum() / 1000)


def test_frontal_sinuses_differ_and_may_be_absent() -> None:
    small, average, large = map(frontal_air, (0.0, 1.0, 1.3))
    assert small == 0
    assert average == pytest.approx(4 / 3 * np.pi * 8 * 5 * 9 / 1000, rel=0.1)
    assert large == pytest.approx(1.3**3 * average, rel=0.1)


@pytest.mark.parametrize("arch", [UPPER_ARCH, LOWER_ARCH], ids=["upper", "lower"])
def test_teeth_are_lost(arch) -> None:
    """Volumes of the dentitions of ten individuals by the share that they lost."""

    def volume(loss: float) -> float:
        who, total = replace(AVERAGE, tooth_loss=loss), 0
        for seed in range(10):
            field = BoneField(lattice((-36, 35, -66), (36, 95, -22), 2.0), 2.0)
            add_teeth(field, seed, who, arch)
            total += (field.bone[0] < 0).sum()
        return float(total)

    complete = volume(0.0)
    assert 0.6 < volume(0.25) / complete < 0.9
    assert volume(1.0) == 0 < complete


def tangent(a: Point, b: Point, side: int) -> float:
    """Direction, radians in the sagittal plane, of a common tangent of two spheres."""
    along = np.subtract(b[1:3], a[1:3])
    turn = side * np.arcsin((b[3] - a[3]) / np.hypot(*along))
    return float(np.arctan2(along[1], along[0]) + turn)


@pytest.mark.parametrize("angle", [105.0, 122.0, 135.0])
def test_mandible_has_the_gonial_angle(angle) -> None:
    """Between the tangents of the ramus and of the lower border."""
    points = jaw.sphere_meshes(replace(AVERAGE, gonial_angle=angle))[0].points
    ramus = tangent(points["gonion"], points["condyle_out"], 1)
    border = tangent(points["gonion"], points["base4"], -1)
    assert np.rad2deg(ramus - border) == pytest.approx(angle, abs=3)


def test_toothless_jaws_are_resorbed() -> None:
    def margin(who: Craniometry) -> float:
        return jaw.sphere_meshes(who)[0].points["al2"][2]

    lost = replace(AVERAGE, tooth_loss=1.0)
    assert margin(AVERAGE) - margin(lost) == pytest.approx(jaw.RESORBED)
