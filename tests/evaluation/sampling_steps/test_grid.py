"""Which sets a sweep draws."""

import pytest

from skfm_lib.evaluation.sampling_steps import Cell, cost, plan
from skfm_lib.generation import Sampler
from skfm_lib.utils.errors import SkfmError

EVALUATIONS = [1, 2, 4, 8, 16, 32, 50, 100, 300]


def counts(cells, line):
    return [c.sampler.evaluations for c in cells if c.line == line and not c.repeat]


def test_every_method_of_every_model_at_every_number():
    cells = plan(EVALUATIONS)
    assert len(set(cells)) == len(cells) == len({cell.name for cell in cells})
    for line in ("DDPM, ddim", "DDPM, ancestral", "OTFM, euler"):
        assert sorted(counts(cells, line)) == EVALUATIONS
    for line in ("OTFM, midpoint", "OTFM, heun"):  # two evaluations a step
        assert counts(cells, line) == EVALUATIONS[1:]
    assert counts(cells, "shortcut") == [1, 2, 4, 8, 16, 32]


def test_the_references_come_first_with_a_repeat_of_each():
    cells = plan([300, 4, 1])
    wanted = [
        Cell("otfm", Sampler("euler", 300)),
        Cell("ddpm", Sampler("ancestral", 300)),
    ]
    assert cells[:2] == wanted
    assert cells[2:4] == [Cell(c.model, c.sampler, repeat=True) for c in wanted]
    assert not any(cell.repeat for cell in cells[4:])
    assert counts(cells[4:], "OTFM, euler") == [1, 4]


def test_spared_methods_miss_the_largest_number_only():
    cells = plan(EVALUATIONS, ["midpoint", "heun", "ddim"])
    assert counts(cells, "OTFM, heun") == EVALUATIONS[1:-1]
    assert counts(cells, "DDPM, ddim") == EVALUATIONS[:-1]
    # Two references, two repeats, and the sum of the others.
    fewer = sum(EVALUATIONS[:-1])
    assert cost(cells) == 4 * 300 + 2 * (fewer - 1) + 3 * fewer + 63


def test_a_shift_adds_a_line():
    plain, shifted = plan([1, 2, 8]), plan([1, 2, 8], shift=3.0)
    assert shifted[: len(plain)] == plain
    assert counts(shifted, "OTFM, euler, shift 3") == [1, 2]
    assert counts(shifted, "OTFM, euler") == counts(plain, "OTFM, euler")


@pytest.mark.parametrize("evaluations", [[], [0, 1], [-3]])
def test_numbers_below_one_are_refused(evaluations):
    with pytest.raises(SkfmError, match="numbers from 1"):
        plan(evaluations)
