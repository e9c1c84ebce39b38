"""Figures of a notebook are sharp, and small as files."""

import io

import matplotlib.pyplot as plt
from PIL import Image

from skfm_lib.view.sharp import COLOURS, INCH, SHARP, sharp_png


def test_a_figure_has_twice_the_pixels_of_its_place_on_a_page():
    figure, axis = plt.subplots(figsize=(4, 2))
    axis.plot([0, 1], [1, 0])
    data, size = sharp_png(figure)
    image = Image.open(io.BytesIO(data))
    assert image.mode == "P" and len(image.getcolors()) <= COLOURS
    assert (image.width // SHARP, image.height // SHARP) == tuple(size.values())
    assert abs(size["width"] - 4 * INCH) < 0.25 * 4 * INCH  # its margins are cut
    plain = io.BytesIO()
    figure.savefig(plain, dpi=SHARP * INCH, bbox_inches="tight")
    assert len(data) < len(plain.getvalue())
