"""The parameters of a chapter, checked when it begins, whoever runs it.

A chapter declares its parameters in its first code cell, with types: ``steps: int =
None``.  papermill puts a cell with the given values behind it, whatever their names.
"""

import ast
import difflib
from collections.abc import Sequence
from typing import Annotated, Any, Optional

from skfm_lib.study.captions import caption_figures
from skfm_lib.study.runs import open_study
from skfm_lib.study.store import Study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.values import AtLeast, conform

INJECTED = "# Parameters"  # how papermill begins the cell that it adds
TYPES = {
    "int": Annotated[int, AtLeast(1)],
    "float": Annotated[float, AtLeast(0)],
    "bool": bool,
    "str": str,
    "list[int]": list[Annotated[int, AtLeast(0)]],
    "list[str]": list[str],
}


def open_chapter(namespace: dict[str, Any]) -> Study:
    """The study of a chapter, whose parameters are checked first.

    In JupyterLab, figures have their captions from then on (`caption_figures`).

    Args:
        namespace: the notebook's ``globals()``; values that came as text are parsed
            there.

    Raises:
        SkfmError: for a parameter that the chapter does not have, a value of another
            type or below its least, and what `open_study` raises.  Nothing has been
            written by then.
    """
    cells = namespace.get("In", [])
    declared = declared_parameters(cells)
    for name in injected_parameters(cells):
        if name not in declared:
            near = difflib.get_close_matches(name, declared, 1)
            raise SkfmError(
                f"the chapter has no parameter {name!r}",
                f"one of {', '.join(declared)}",
                f"-p {near[0]} …" if near else "",
            )
    for name, hint in declared.items():
        namespace[name] = conform(name, namespace[name], hint)
    caption_figures()
    return open_study(namespace["run"], namespace["preset"], namespace["seed"])


def declared_parameters(cells: Sequence[str]) -> dict[str, Any]:
    """Name → type, of the last of a kernel's `cells` that declares a chapter's."""
    for cell in reversed(cells):
        found = {
            node.target.id: _hint(node)
            for node in _statements(cell)
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        if {"preset", "run", "seed"} <= set(found):
            return found | {"seed": Annotated[int, AtLeast(0)]}
    return {}


def _hint(node: ast.AnnAssign) -> Any:
    """The type of a declaration; a parameter whose default is None may be None."""
    hint = TYPES[ast.unparse(node.annotation)]
    without = isinstance(node.value, ast.Constant) and node.value.value is None
    return Optional[hint] if without else hint  # noqa: UP045 (types at run time)


def injected_parameters(cells: Sequence[str]) -> list[str]:
    """The names in the cell that papermill added."""
    return [
        target.id
        for cell in cells
        if cell.startswith(INJECTED)
        for node in _statements(cell)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]


def _statements(cell: str) -> list[ast.stmt]:
    try:
        return ast.parse(cell).body
    except SyntaxError:  # a magic
        return []
