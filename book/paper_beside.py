"""The paper's tables with this study's numbers beside every one of theirs.

The numbers are read from the tables of the chapters' records, the paper's are those of
`skfm_lib.presets.paper_tables`.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from shown import parts

from skfm_lib.presets import paper_tables as paper
from skfm_lib.presets import preset
from skfm_lib.study.record_contents import Contents
from skfm_lib.tasks.experiments.tables import CHAMFER, set_name

Read = Callable[[str], Contents]  # of the chapter called "06"


class Number(NamedTuple):
    """A number of the paper, in its row and column, and this study's; "" if none."""

    row: str
    column: str
    paper: object
    here: str


def table_1(read: Read) -> Iterable[Number]:
    """Quality of generation: metrics below each other, models side by side."""
    for metric in paper.TABLE_1["ref"]:
        for model in ("ref", "DDPM", "OTFM", "ours"):
            value = paper.TABLE_1.get(model, {}).get(metric, "")
            here = read("06").entry("tab-generation", metric, model)
            yield Number(metric, model, value, here)


def models(chapter: str, table: str, given: dict, columns: dict[str, str]) -> Callable:
    """Tables 2, 3, 5 and 6: training sets; `columns` are named as in the record."""

    def numbers(read: Read) -> Iterable[Number]:
        for row, values in given.items():
            for column, value in values.items():
                several = value if isinstance(value, tuple) else (value,)
                for (title, name), one in zip(columns.items(), several):
                    here = read(chapter).entry(table, set_name(row, column), name)
                    label = f"{column}, {title}" if title else column
                    yield Number(label, row, one, here)

    return numbers


def scores(chapter: str, table: str, given: dict) -> Callable:
    """Tables 4 and 11: quality scores below each other, training sets side by side."""

    def numbers(read: Read) -> Iterable[Number]:
        for name, values in given.items():
            for score, value in values.items():
                here = read(chapter).entry(table, name, score)
                yield Number(score, name, value, here)

    return numbers


def table_8(read: Read) -> Iterable[Number]:
    """Autoencoders; the error of the one row that stands in both halves is one."""
    record, column = read("10"), "error ↓"
    others = {"VQ-VAE": "VQ-VAE, s=0.82, up", "s=0.82, up": "VQ-VAE, s=0.82, up"}
    for name, value in paper.TABLE_8.items():
        here = record.entry("tab-ablations", others.get(name, name), column)
        label = name
        if name == "VQ-VAE + LPIPS" and not here:  # without the weights of LPIPS
            label = "VQ-VAE + LPIPS; here + study features"
            here = record.entry("tab-ablations", "VQ-VAE + study features", column)
        yield Number(label, "reconstruction error ↓", value, here)


def table_9(read: Read) -> Iterable[Number]:
    """Failures; held-out skulls have the false alarms, which the paper lacks."""
    for kind in ("failed generations", "conditioning errors"):
        for model in ("held out", "DDPM", "OTFM", "ours"):
            share = paper.TABLE_9.get(model, {}).get(kind)
            value = "" if share is None else f"{100 * share:.3g} %"
            here = read("07").entry("tab-failures", model, kind)
            yield Number(kind, model, value, here)


SETTINGS = {  # of a preset, by the names of Tables 7 and 10
    "voxels out": "vqvae.output_shape",
    "voxels in": "vqvae.input_shape",
    "latent": "vqvae.latent_shape",
    "codebook size": "vqvae.codes",
    "code dimension": "vqvae.code_dim",
    "VQ-VAE batch": "vqvae.batch",
    "VQ-VAE learning rate": "vqvae.learning_rate",
    "VQ-VAE steps": "vqvae.steps",
    "U-Net batch": "denoiser.batch",
    "U-Net learning rate": "denoiser.learning_rate",
    "U-Net steps": "denoiser.steps",
    "timesteps": "denoiser.timesteps",
    "aligner steps": "aligner.steps",
    "aligner points": "aligner.points",
    "aligner batch": "aligner.batch",
    "aligner learning rate": "aligner.learning_rate",
    "aligner embedding": "aligner.embedding",
    "completer steps": "completer.steps",
    "completer points": "completer.points",
    "completer batch": "completer.batch",
    "completer learning rate": "completer.learning_rate",
}


def setting(name: str, scale: str) -> str:
    """A setting of the preset `scale` by its name in Table 7 or 10."""
    settings = preset(scale)
    if name == "compression":
        return str(-(-settings.vqvae.input_shape[0] // settings.vqvae.latent_shape[0]))
    group, field = SETTINGS[name].split(".")
    return printed(getattr(getattr(settings, group), field))


def settings(given: dict) -> Callable:
    """Tables 7 and 10: what is set, in preset paper and in preset quick."""

    def numbers(read: Read) -> Iterable[Number]:
        for name, value in given.items():
            for scale in ("paper", "quick"):
                stated = printed(value) if scale == "paper" else ""
                yield Number(name, f"preset {scale}", stated, setting(name, scale))

    return numbers


def printed(value: object) -> str:
    """A setting as the paper writes it."""
    if isinstance(value, tuple):
        return "×".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def set_titles() -> dict[str, str]:
    """The three errors of Tables 5 and 6."""
    return {title: title for title in CHAMFER}


TABLES: dict[int, Callable[[Read], Iterable[Number]]] = {
    1: table_1,
    2: models("08", "tab-aligner-models", paper.TABLE_2, {"": "mm"}),
    3: models("08", "tab-aligner-real", paper.TABLE_3, {"": "mm"}),
    4: scores("08", "tab-aligner-balance", paper.TABLE_4),
    5: models("09", "tab-completer-models", paper.TABLE_5, set_titles()),
    6: models("09", "tab-completer-real", paper.TABLE_6, set_titles()),
    7: settings(paper.TABLE_7),
    8: table_8,
    9: table_9,
    10: settings(paper.TABLE_10),
    11: scores("09", "tab-completer-balance", paper.TABLE_11),
}


def as_markdown(numbers: Iterable[Number]) -> str:
    """A table in Markdown; in every entry this study's number, below it the paper's."""
    rows: dict[str, dict[str, str]] = {}
    for row, column, theirs, here in numbers:
        value, interval = parts(here)
        lines = [f"**{value}**" if value else "–", interval and f"<i>{interval}</i>"]
        lines.append("" if theirs == "" else f"<i>paper {theirs}</i>")
        rows.setdefault(row, {})[column] = "<br>".join(filter(None, lines))
    columns = list(dict.fromkeys(c for row in rows.values() for c in row))
    text = [["", *columns], ["---"] * (1 + len(columns))]
    text += [[row, *(cells.get(c, "") for c in columns)] for row, cells in rows.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in text)
