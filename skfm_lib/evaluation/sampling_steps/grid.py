"""What a sweep draws: sets of skulls in more and in fewer evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from skfm_lib.generation import COSTS, SAMPLERS, SHORTCUT_STEPS, Sampler
from skfm_lib.utils.errors import SkfmError

# The paper's samplers; the shortcut model is to do what OTFM does.
REFERENCES = {
    "otfm": ("otfm", "euler"),
    "ddpm": ("ddpm", "ancestral"),
    "shortcut": ("otfm", "euler"),
}


@dataclass(frozen=True)
class Cell:
    """One set of skulls, all of one model, drawn by one sampler.

    All cells ask for the same quality scores from the same starting noise; a
    `repeat` starts from other noise.
    """

    model: str
    sampler: Sampler
    repeat: bool = False

    @property
    def line(self) -> str:
        """What it is called beside cells of other numbers of evaluations."""
        if self.model == "shortcut":
            return "shortcut"
        shift = f", shift {self.sampler.shift:g}" if self.sampler.shift != 1 else ""
        return f"{self.model.upper()}, {self.sampler.method}{shift}"

    @property
    def name(self) -> str:
        """What it is called among all cells."""
        again = ", other noise" if self.repeat else ""
        return f"{self.line}, {self.sampler.evaluations}{again}"


def plan(
    evaluations: Sequence[int], spared: Sequence[str] = (), shift: float = 1.0
) -> list[Cell]:
    """The cells of a sweep, those that the others are compared with first.

    spared  methods that are not drawn at the largest of `evaluations`, where the
            references are (`REFERENCES`) and a second set of each from other noise
    shift   other than 1: a further line, Euler on a shifted grid (spared, too)

    A method is drawn where its steps cost a whole number of evaluations, the
    shortcut model at powers of two.  Raises SkfmError for numbers below 1.
    """
    if not evaluations or min(evaluations) < 1:
        raise SkfmError(f"evaluations {list(evaluations)}", "some numbers from 1")
    most = max(evaluations)
    references = [
        Cell(model, Sampler(method, most))
        for model, method in dict.fromkeys(REFERENCES.values())
    ]
    repeats = [replace(cell, repeat=True) for cell in references]
    cells = [
        Cell(model, Sampler(method, n // COSTS.get(method, 1)))
        for model, methods in SAMPLERS.items()
        for method in methods
        for n in sorted(set(evaluations))
        if n % COSTS.get(method, 1) == 0
        and not (n == most and method in spared)
        and (model != "shortcut" or n in SHORTCUT_STEPS)
    ]
    if shift != 1:
        fewer = sorted(set(evaluations) - {most})
        cells += [Cell("otfm", Sampler("euler", n, shift=shift)) for n in fewer]
    return references + repeats + [cell for cell in cells if cell not in references]


def cost(cells: Sequence[Cell]) -> int:
    """Evaluations of the network for one skull of every cell."""
    return sum(cell.sampler.evaluations for cell in cells)
