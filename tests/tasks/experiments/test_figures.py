"""Pictures of the two tasks: what they are to show is to be seen in them."""

import numpy as np
import pytest

from skfm_lib.metrics import Interval
from skfm_lib.tasks.defects import Cuboid
from skfm_lib.tasks.experiments.claims import CLAIMS
from skfm_lib.tasks.experiments.figures import claim_plot, filling_rows, pose_rows
from skfm_lib.view.meshes import VIEWS, scene, smooth_surface

STILL, UP = np.eye(4), np.eye(4)
UP[2, 3] = 60.0


@pytest.fixture(scope="module")
def skulls(phantoms):
    return {"QS 2": phantoms.volume(0), "QS 5": phantoms.volume(4)}


def images(figure):
    return [axis.images[0].get_array().astype(float) for axis in figure.axes]


def blue(image):
    """Share of the pixels that are rather blue than the ivory of bone."""
    return (image[..., 2] > image[..., 0] + 20).mean()


def orange(image):
    return (image[..., 0] > image[..., 2] + 60).mean()


def test_a_skull_away_from_its_place_leaves_the_place_to_be_seen(skulls, phantoms):
    figure = pose_rows(
        skulls,
        {"before": np.stack([UP, UP]), "after": np.stack([STILL, STILL])},
        phantoms.grid,
    )
    before, after = images(figure)[:2], images(figure)[2:]
    assert all(blue(image) > 0.01 for image in before)
    assert all(blue(b) > 1.5 * blue(a) for b, a in zip(before, after))
    titles = [axis.get_title() for axis in figure.axes[:2]]
    assert titles == ["QS 2", "QS 5"]


@pytest.mark.parametrize("side", [-1, 1], ids=["left", "right"])
def test_a_defect_is_seen_from_its_own_side(skulls, phantoms, side):
    cuboid = Cuboid(np.array([side * 65.0, 0, 50]), np.array([25.0] * 3), np.eye(3))
    filling = cuboid.centre + np.random.default_rng(0).uniform(-20, 20, (60, 3))
    some = {"QS 5": skulls["QS 5"]}
    figure = filling_rows(some, [cuboid], [filling], phantoms.grid)
    defect, completed, true = images(figure)
    assert blue(true) > 0.01 > blue(defect) and orange(completed) > 0.002
    assert orange(defect) < orange(completed) / 4


def test_a_scene_shows_the_skull_as_ever(phantoms):
    mesh = smooth_surface(phantoms.volume(4), phantoms.grid)
    image = scene([(mesh, "#e8dfc8")], phantoms.grid, VIEWS["front"], 120)
    assert image.shape == (120, 120, 3) and 0.1 < (image < 250).all(-1).mean() < 0.7


def test_claims_are_weighed_against_zero():
    rows = {c.text: {"better by, mm": Interval(0.5, 0.1, 0.9)} for c in CLAIMS}
    rows["not tried"] = {"better by, mm": None}
    axis = claim_plot(rows).axes[0]
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == [claim.text for claim in CLAIMS]
    assert not claim_plot({}).axes[0].get_yticklabels()
