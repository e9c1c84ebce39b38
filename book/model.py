"""The directive ``{model}``: what the index of the packed model says, as tables."""

from collections.abc import Mapping
from html import escape

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from skfm_lib.reference_model import find_package
from skfm_lib.reference_model.findings import privacy_rows, steps_rows
from skfm_lib.reference_model.model_card import (
    distance_rows,
    model_rows,
    screening_rows,
)


def table(rows: Mapping[str, Mapping[str, str]]) -> str:
    """Rows by label → column → value, as HTML."""
    columns = list(dict.fromkeys(c for row in rows.values() for c in row))
    head = "".join(f"<th>{escape(c)}</th>" for c in ["", *columns])
    lines = [
        f"<tr><th>{escape(label)}</th>"
        + "".join(f"<td>{escape(row.get(c, ''))}</td>" for c in columns)
        + "</tr>"
        for label, row in rows.items()
    ]
    return f'<table class="table"><tr>{head}</tr>{"".join(lines)}</table>'


class Model(Directive):
    """The model's origin, screening and privacy, or that there is no model."""

    def run(self) -> list[nodes.Node]:
        """The nodes that stand for the directive."""
        # Read in every build: a model is packed without a change of the page.
        self.state.document.settings.env.note_reread()
        package = find_package()
        if package is None:
            text = "<p><em>This copy comes without a trained model.</em></p>"
        else:
            about = model_rows(package.index).items()
            rows = {name: {"": value.replace("`", "")} for name, value in about}
            text = table(rows) + table(screening_rows(package.index))
            text += table(distance_rows(package.index))
            if steps := steps_rows(package):
                text += table(steps)
            text += table(privacy_rows(package))
        return [nodes.raw("", text, format="html")]


def setup(app: Sphinx) -> dict[str, object]:
    """Add the directive."""
    app.add_directive("model", Model)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
