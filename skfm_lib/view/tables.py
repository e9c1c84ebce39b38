"""Tables and single numbers for the book."""

from collections.abc import Mapping, Sequence
from typing import Any

from IPython.display import Markdown, display

from skfm_lib.study import Stage, captions
from skfm_lib.study.captions import KEY
from skfm_lib.study.chapters import TAKEAWAY
from skfm_lib.utils.front_end import in_jupyterlab


def table(
    rows: Mapping[str, Mapping[str, object]], name: str, caption: str
) -> Markdown:
    """A numbered table: row label → column → value.

    In the book it is shown from a cell with ``"mystnb": {"markdown_format": "myst"}``,
    and pages refer to it by `name`; JupyterLab shows the same number and caption.  A
    column that a row lacks is left empty.
    """
    columns = list(dict.fromkeys(c for row in rows.values() for c in row))
    lines = [_line(["", *columns]), _line(["---"] * (1 + len(columns)))]
    for label, row in rows.items():
        lines.append(_line([label, *(_text(row.get(c)) for c in columns)]))
    body = "\n".join(lines)
    in_book = f":::{{table}} {caption}\n:name: {name}\n\n{body}\n:::"
    if not in_jupyterlab():
        return Markdown(in_book)
    text = f"**{captions.title('Table', name)}** {caption}\n\n{body}"
    return Markdown(text, metadata=captions.for_lab(in_book))


def with_sums(rows: Mapping[str, Mapping[int, int]]) -> dict[str, dict[str, int]]:
    """Numbers of skulls by quality score, as columns ``QS 2`` … and ``all``."""
    return {
        name: {f"QS {q}": n for q, n in row.items()} | {"all": sum(row.values())}
        for name, row in rows.items()
    }


def record(name: str, value: float | str) -> None:
    """Keep a value in the notebook's record, for any page to glue in by `name`."""
    prefix = "application/papermill.record/"
    metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    content = {f"{prefix}text/plain": repr(value)}
    display(content, raw=True, metadata=metadata)


def takeaway(*sentences: str) -> Markdown:
    """What a chapter found, in sentences that are made from its results.

    The book shows them as a box below the chapter's title (`study.chapters`).
    """
    lines = [f"> - {sentence}" for sentence in sentences]
    text = "\n".join(["> **In short**", ">", *lines])
    return Markdown(text, metadata={TAKEAWAY: list(sentences)})


def made_by(stage: Stage) -> Markdown:
    """One small line: what made the results above, and when.

    Its metadata identify the record of the chapter (`study.records`).
    """
    study, made = stage.study, stage.made
    changes = "" if made["clean"] else " with uncommitted changes"
    text = (
        f"<small>Made by stage {stage.name} of run `{study.name}`: preset "
        f"{study.settings.name}, seed {study.seed}, fingerprint "
        f"`{stage.fingerprint}`, commit `{made['commit']}`{changes}, "
        f"{made['time'][:10]}{_how_long(made)}.</small>"
    )
    about: dict[str, object] = {"run": study.name, "stage": stage.name}
    about |= {"fingerprint": stage.fingerprint, "inputs": stage.inputs}
    return Markdown(text, metadata={KEY: about})


def _how_long(made: Mapping[str, Any]) -> str:
    """The minutes that a stage took, and on what; stages of old name no processor.

    The minutes are those of the call that finished it: after an interruption, of the
    rest.  They stay where the finished stage is only shown again.
    """
    if "processor" not in made:
        return ""
    return f", {made['seconds'] / 60:.1f} min on {made['processor']}, {made['device']}"


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _text(value: object) -> str:
    """The one way in which a table shows a value; intervals format themselves."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
