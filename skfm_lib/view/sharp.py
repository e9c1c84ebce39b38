"""Figures of a notebook at twice the resolution of a page, as small PNGs."""

import io
import sys
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INCH = 72  # pixels of a page; a figure's text of 10 pt is 10 pixels high
SHARP = 2  # pixels of a sharp screen for each of them
COLOURS = 256


def use_sharp_figures() -> None:
    """Let a notebook show figures by `sharp_png`; elsewhere, do nothing."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        return
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    # Selects the notebook's own format, which would otherwise replace this one later.
    plt.switch_backend(plt.get_backend())
    shell.display_formatter.formatters["image/png"].for_type(Figure, sharp_png)


def sharp_png(figure: "Figure") -> tuple[bytes, dict[str, int]]:
    """A figure as a PNG of COLOURS colours, and its size on a page in pixels."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=SHARP * INCH, bbox_inches="tight", facecolor="white")
    image = Image.open(drawn).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    width, height = image.width // SHARP, image.height // SHARP
    return small.getvalue(), {"width": width, "height": height}
