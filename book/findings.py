"""What was found, in a few lines, read from the records of the chapters.

The front page shows these lines for the run that the book shows, the README those of
the committed records.  ``python book/findings.py`` writes them into the README.
"""

import re
from pathlib import Path

from paper_beside import Read
from reading import TASKS, better_model, claims, tally
from shown import committed, listed, number_of, parts

from skfm_lib.presets.paper_tables import TABLE_9
from skfm_lib.reference_model.findings import privacy_rows
from skfm_lib.reference_model.package import find_package

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- findings -->\n).*(?=<!-- end of findings -->)", re.S)
MISSING = "not in the record"
CHAPTERS = ("06", "07", "08", "09", "13", "14", "16")
SETS = {"phantoms": "ref", "DDPM": "DDPM", "OTFM": "OTFM", "ours": "ours"}
METRICS = {"FID ↓": "FID ↓", "precision (IP) ↑": "IP ↑", "recall (IR) ↑": "IR ↑"}
FAILED, ERRORS = "failed generations", "conditioning errors"


def findings(read: Read) -> str:
    """Five lines and a table, in Markdown."""
    lines = (models(read), usable(read), paper_claims(read), cost(read), copies(read))
    text = "\n".join(f"- {line}" for line in lines)
    return f"{text}\n\n{table(read)}\n\n{sources(read)}\n"


def models(read: Read) -> str:
    """Whether OTFM is better than DDPM, in the paper's form and in another."""
    text = "**Does flow matching (OTFM) beat diffusion (DDPM) here?** "
    text += better_model(read("06"))
    values = read("16").values
    shares = [values.get(f"baseline-failed-{name}") for name in ("ddpm-v", "otfm")]
    if None in shares:
        return text
    velocity, otfm = (f"{100 * share:.0f} %" for share in shares)
    return (
        f"{text} That is the paper's diffusion, which predicts noise: of one that "
        f"predicts a velocity {velocity} failed, of OTFM {otfm} (chapter 16, which "
        "samples in other steps; median of its seeds)."
    )


def usable(read: Read) -> str:
    """How many skulls of every model are not rejected, beside held-out ones."""
    passed = {}
    for name in ("ours", "OTFM", "DDPM", "held out"):
        failed = number_of(read("07").entry("tab-failures", name, FAILED))
        passed[name] = MISSING if failed is None else f"{100 - failed:.0f}"
    real = passed.pop("held out")
    said = ", ".join(f"{count} of {name}" for name, count in passed.items())
    theirs = {name: 1 - row[FAILED] for name, row in TABLE_9.items()}
    paper = ", ".join(f"{100 * share:.0f} of {k}" for k, share in theirs.items())
    return (
        "**How many generated skulls are usable?** Of 100 skulls the screening passes "
        f"{said}, and {real} of held-out ones, whose failures are false alarms. "
        f"The paper: {paper}, by rules that it does not give."
    )


def paper_claims(read: Read) -> str:
    """How many of the paper's claims have each outcome."""
    found = [claim for n in TASKS for claim in claims(read(n), n)]
    return (
        f"**Do the paper's claims on alignment and completion hold?** Of {len(found)}, "
        f"{tally(found)}."
    )


def cost(read: Read) -> str:
    """The steps and seconds of a skull of ours."""
    question = "**What does a skull of ours cost?** "
    caption = read("06").captions.get("tab-generation", "")
    if not (steps := re.search(r"ours, (\d+) ", caption)):
        return f"{question}{MISSING}."
    record, row = read("13"), f"ours, {steps[1]} steps"
    seconds = record.entry("tab-few-steps", row, "seconds per skull")
    time = f"{seconds} s" if seconds else f"seconds {MISSING} (`skfm run 13`)"
    caption = record.captions.get("tab-few-differences", "")
    _, found, fewest = caption.partition("The fewest")
    return f"{question}{steps[1]} steps of the sampler, {time}. {found}{fewest}".strip()


def copies(read: Read) -> str:
    """The share of generated skulls that are called copies, beside unseen skulls."""
    table = read("14").tables.get("tab-privacy", {})
    model = "ours" if "voxels: ours" in table else "OTFM"
    said = []
    for space in ("latents", "features", "voxels"):
        share = table.get(f"{space}: {model}", {}).get("copies", MISSING)
        unseen = table.get(f"{space}: test") or table.get(f"{space}: held out") or {}
        real = parts(unseen.get("copies", ""))[0] or MISSING
        said.append(f"by {space} {share}, of unseen skulls {real}")
    return (
        f"**Does it copy training skulls?** {packed_copies()}In chapter 14, called "
        f"copies as shares of {model}: {'; '.join(said)}."
    )


def packed_copies() -> str:
    """The same of the packed model, where that was measured; else ""."""
    package = find_package()
    rows = privacy_rows(package) if package else {}
    said = [
        f"{name.removeprefix('copies ')} {row['found']} and {row['without disclosure']}"
        for name, row in rows.items()
        if name.startswith("copies by ")
    ]
    if not said:
        return ""
    return (
        f"Of the model that comes with the library, called copies: {'; '.join(said)}. "
    )


def table(read: Read) -> str:
    """FID, precision, recall and failures of the models, in Markdown."""
    rows = {
        name: [read("06").entry("tab-generation", m, s) for s in SETS.values()]
        for name, m in METRICS.items()
    }
    for kind in (FAILED, ERRORS):
        sets = ("held out", *list(SETS.values())[1:])
        rows[f"{kind} ↓"] = [read("07").entry("tab-failures", s, kind) for s in sets]
    lines = [["", *SETS], ["---"] * (1 + len(SETS))]
    for name, texts in rows.items():
        lines.append([name, *map(entry, texts)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def entry(text: str) -> str:
    """A value, and below it its interval."""
    value, interval = parts(text)
    return f"{value}<br><i>{interval}</i>" if interval else value or "–"


def sources(read: Read) -> str:
    """The runs, their seeds and the dates of the chapters that are read here."""
    chapters: dict[str, list[str]] = {}
    dates = []
    for number in CHAPTERS:
        papermill = read(number).papermill
        given = papermill.get("parameters", {})
        name, seed = (given.get(key, "unknown") for key in ("run", "seed"))
        run = f"run `{name}` (seed {seed})"
        chapters.setdefault(run, []).append(str(int(number)))
        dates += [papermill["start_time"][:10]] if "start_time" in papermill else []
    said = "; ".join(f"chapters {listed(n)} of {run}" for run, n in chapters.items())
    when = f", executed from {min(dates)} to {max(dates)}" if dates else ""
    sizes = read("07").captions.get("tab-failures", "").rpartition(": ")[2]
    of = f" Skulls: {sizes}." if sizes else ""
    return f"<small>Read from {said}{when}.{of}</small>"


def in_readme(text: str) -> str:
    """The README's text with the findings of the committed records."""
    return BLOCK.sub(lambda _: f"\n{findings(committed)}\n", text)


if __name__ == "__main__":
    README.write_text(in_readme(README.read_text("utf-8")), "utf-8")
