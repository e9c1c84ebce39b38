"""The directive ``{skulls} FILE``: skulls of a file in book/assets that can be turned.

The file is made once from a generated set, here by the model that comes with skfm:

    skfm generate --qs 5 --count 4 --screen --out skulls/
    python book/viewer.py skulls/ book/assets/skulls.json
"""

import sys
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from skfm_lib.reference_model.cards import MADE
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json
from skfm_lib.view.gallery import stored

ASSETS = Path(__file__).parent / "assets"


class Skulls(Directive):
    """The viewer, and the command that made its skulls."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The nodes that stand for the directive."""
        path = ASSETS / self.arguments[0]
        self.state.document.settings.env.note_dependency(str(path))
        try:
            viewer, about = stored.load(path)
        except SkfmError as error:
            raise self.error(str(error)) from error
        made = f"<p><small>{escape(about)}</small></p>"
        return [nodes.raw("", viewer._repr_html_() + made, format="html")]


def main(folder: str, target: str) -> None:
    """Write the first skulls of a generated set as a file for the directive."""
    made = read_json(Path(folder) / MADE, "command", "commit", "time")
    command, commit, day = made["command"], made["commit"], made["time"][:10]
    about = f"Made by {command}, commit {commit}, {day}."
    stored.save(stored.viewer_of(Path(folder)), Path(target), about)


def setup(app: Sphinx) -> dict[str, object]:
    """Add the directive."""
    app.add_directive("skulls", Skulls)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    main(*sys.argv[1:])
