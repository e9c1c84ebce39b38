"""The directive ``{architecture}``: the paper's Figure 1, in this study's notation.

An SVG that takes its colours from the page, and whose function names are links.  It is
narrow, so that it can be read on a phone.
"""

import re
from html import escape

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

COLUMNS = 8, 192, 376  # left edges of the boxes, SVG units
WIDTH, HEIGHT = 156, 58  # of a box
ROW = 88  # from one row of boxes to the next
STAGES = {  # title → its first row, its rows, its colour
    "Stage one: the VQ-VAE": (0, 4, "#4a80b8"),
    "Stage two: the denoiser": (4.5, 3, "#c0604a"),
    "Generation": (8, 2, "#6b8f3f"),
}
BOXES = {  # name → row, column, what it is, the function
    "v*": (0, 0, "skull v*", "data.dataset.SkullSet"),
    "v^": (0, 2, "output v̂*", ""),
    "resample": (1, 0, "resample by s", "models.vqvae.VQVAE.to_input"),
    "upsample": (1, 2, "upsample", "models.vqvae.VQVAE.decode"),
    "E": (2, 0, "encoder E", "models.vqvae.VQVAE.encode"),
    "D": (2, 2, "decoder D", "models.vqvae.Decoder"),
    "z": (3, 0, "latent z", "training.latents.cache_latents"),
    "Q": (3, 1, "codebook Q", "models.quantizer.nearest_code"),
    "q": (3, 2, "codes q", "models.vqvae.VQVAE.quantize"),
    "x_0": (4.5, 0, "data x_0", "training.latents.latent_scale"),
    "z_t": (4.5, 1, "path z_t", "losses.otfm.path"),
    "eps": (4.5, 2, "noise ε", ""),
    "t": (5.5, 0, "time t", ""),
    "unet": (5.5, 1, "U-Net v_Θ", "models.unet3d.UNet3D"),
    "c": (5.5, 2, "score c (QS)", ""),
    "loss": (6.5, 1, "‖v_Θ − u_t‖²", "training.denoiser.train_denoiser"),
    "noise": (8, 0, "noise ε, t = 1", ""),
    "sampler": (8, 1, "S steps", "samplers.flow.euler"),
    "new x_0": (8, 2, "data x_0, t = 0", ""),
    "new skull": (9, 0, "a new skull", ""),
    "decode": (9, 1, "decoder D", "models.vqvae.VQVAE.decode"),
    "new q": (9, 2, "codes q", "models.vqvae.VQVAE.quantize"),
}
ARROWS = (
    "v*>resample resample>E E>z z>Q Q>q q>D D>upsample upsample>v^ x_0>z_t eps>z_t "
    "z_t>unet t>unet c>unet unet>loss noise>sampler sampler>new_x_0 new_x_0>new_q "
    "new_q>decode decode>new_skull"
)
STYLE = (
    ".architecture{max-width:600px;width:100%;height:auto}"
    ".architecture text{fill:currentColor;font-size:17px;text-anchor:middle}"
    ".architecture .name{font-family:monospace;font-size:14px}"
    ".architecture a .name{fill:var(--pst-color-link,#0969da)}"
    ".architecture .title{text-anchor:start;font-weight:600}"
    ".architecture path{stroke:currentColor;fill:none;stroke-width:1.5}"
    ".architecture .loss{stroke-dasharray:5 4}"
)


def top(row: float) -> float:
    """The upper edge of the boxes of a row."""
    return 40 + row * ROW


def label(text: str) -> str:
    """Text with subscripts: x_0."""
    small = r'<tspan dy="4" font-size="12">\1</tspan><tspan dy="-4">&#8203;</tspan>'
    return re.sub(r"_(\w+)", small, escape(text))


def box(row: float, column: int, text: str, function: str) -> str:
    """A box with what it is, and the function as a link to its page."""
    middle = WIDTH / 2
    lines = [f'<text x="{middle}" y="{24 if function else 35}">{label(text)}</text>']
    if function:
        page, name = function.partition(".")[0], ".".join(function.split(".")[-2:])
        if page != "losses" and not name[0].isupper():  # of several called path
            name = function.rpartition(".")[2]
        href = f"api/{page}.html#skfm_lib.{function}"
        line = f'<text class="name" x="{middle}" y="46">{name}</text>'
        lines.append(f'<a href="{href}">{line}</a>')
    return (
        f'<g transform="translate({COLUMNS[column]} {top(row)})">'
        f'<path d="M0 0H{WIDTH}V{HEIGHT}H0Z"/>{"".join(lines)}</g>'
    )


def arrow(start: str, end: str) -> str:
    """A line between the edges of two boxes of one row or one column."""
    (row, column, *_), (to_row, to_column, *_) = BOXES[start], BOXES[end]
    if row == to_row:
        right, y = to_column > column, top(row) + HEIGHT / 2
        x = COLUMNS[column] + WIDTH * right
        line = f"M{x} {y}H{COLUMNS[to_column] + WIDTH * (not right)}"
    else:
        x, down = COLUMNS[column] + WIDTH / 2, to_row > row
        line = f"M{x} {top(row) + HEIGHT * down}V{top(to_row) + HEIGHT * (not down)}"
    return f'<path marker-end="url(#architecture-tip)" d="{line}"/>'


def stage(title: str, row: float, rows: int, colour: str) -> str:
    """A title and a bar at the side of its boxes."""
    y = top(row)
    return (
        f'<text class="title" x="8" y="{y - 12}" style="fill:{colour}">{title}</text>'
        f'<path style="stroke:{colour};stroke-width:4" '
        f'd="M1 {y}V{y + (rows - 1) * ROW + HEIGHT}"/>'
    )


def loss(text: str, row: float, column: int) -> str:
    """The dashed line of a loss between the boxes at both sides of a column."""
    y, x = top(row) + HEIGHT / 2, COLUMNS[column]
    return (
        f'<path class="loss" d="M{x - 28} {y}H{x + WIDTH + 28}"/>'
        f'<text x="{x + WIDTH / 2}" y="{y - 8}">{label(text)}</text>'
    )


def picture() -> str:
    """The figure as SVG."""
    parts = [stage(title, *given) for title, given in STAGES.items()]
    parts += [box(*given) for given in BOXES.values()]
    pairs = (pair.replace("new_", "new ").split(">") for pair in ARROWS.split())
    parts += [arrow(*pair) for pair in pairs]
    parts.append(loss("L_1", 0, 1))
    tip = (
        '<defs><marker id="architecture-tip" viewBox="0 0 8 8" refX="8" refY="4" '
        'markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8Z" style="fill:currentColor;stroke:none"/>'
        "</marker></defs>"
    )
    width, height = COLUMNS[-1] + WIDTH + 8, top(9) + HEIGHT + 8
    about = "The two stages of training, and generation: what is computed from what"
    return (
        f'<svg class="architecture" viewBox="-2 0 {width} {height}" role="img" '
        f'aria-label="{about}"><style>{STYLE}</style>{tip}{"".join(parts)}</svg>'
    )


class Architecture(Directive):
    """The figure."""

    def run(self) -> list[nodes.Node]:
        """The nodes that stand for the directive."""
        return [nodes.raw("", picture(), format="html")]


def setup(app: Sphinx) -> dict[str, object]:
    """Add the directive."""
    app.add_directive("architecture", Architecture)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
