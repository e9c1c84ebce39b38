"""Figures of the chapters' records as thumbnails of cards.

``:img-top: record:06/fig-slices`` in a page is that figure of chapter 6, made small
when the book is built; the line is left out where there is no such figure.
"""

import base64
import io
import re

from PIL import Image, ImageOps
from shown import committed, shown
from sphinx.application import Sphinx

LINE = re.compile(r"^:img-top: record:(\d\d)/(fig-[\w-]+)\n", re.MULTILINE)
SIZE = 400, 225  # pixels
COLOURS = 64


def thumbnail(png: bytes) -> str:
    """A small picture on white, as the address of an image."""
    with Image.open(io.BytesIO(png)) as image:
        small = ImageOps.pad(image.convert("RGB"), SIZE, color="white")
    stream = io.BytesIO()
    small.quantize(COLOURS).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def option(found: re.Match[str]) -> str:
    """The line with a figure of the chapter as shown, else as committed."""
    chapter, name = found.groups()
    pictures = (read(chapter).figures.get(name) for read in (shown, committed))
    png = next(filter(None, pictures), None)
    return f":img-top: {thumbnail(png)}\n" if png else ""


def add_thumbnails(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put them into a page before it is parsed."""
    source[0] = LINE.sub(option, source[0])


def setup(app: Sphinx) -> dict[str, object]:
    """Look for them in every page."""
    app.connect("source-read", add_thumbnails)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
