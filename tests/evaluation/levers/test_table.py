"""The levers as changes of settings: of a base, one more or one less."""

import pytest

from skfm_lib.evaluation.levers.models import BASES, Model, screened
from skfm_lib.evaluation.levers.table import AVERAGE, OURS, levers
from skfm_lib.presets import NAMES, preset

TINY = preset("tiny")
ALL = list(levers(TINY))


@pytest.mark.parametrize("name", NAMES)
def test_all_levers_of_ours_together_are_ours(name):
    settings = preset(name)
    steps = settings.ours.steps
    assert Model("otfm").settings(settings, steps) == settings.denoiser
    assert Model("ours").settings(settings, steps) == settings.ours
    sampling = settings.sampling
    assert Model("otfm").sampler(settings).symmetric == 0
    assert Model("otfm").sampler(settings).steps == sampling.steps
    assert Model("ours").sampler(settings).symmetric == sampling.symmetric
    assert Model("ours").sampler(settings).steps == sampling.ours_steps


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", ALL)
def test_a_model_differs_from_its_base_in_one_lever(base, name):
    model, lever = Model(base, name), levers(TINY)[name]
    sign = "−" if base == "ours" and name in OURS else "+"
    assert model.name == f"{'OTFM' if base == 'otfm' else 'ours'} {sign} {name}"
    assert set(model.levers) ^ set(Model(base).levers) == {name}
    own, other = (vars(m.settings(TINY, 8)) for m in (model, Model(base)))
    changed = {key for key in own if own[key] != other[key]}
    assert changed == (set() if name == AVERAGE else set(lever.training))
    own, other = (vars(m.sampler(TINY)) for m in (model, Model(base)))
    assert {key for key in own if own[key] != other[key]} == set(lever.sampling)
    assert model.guided(TINY) == lever.guided
    assert model.other_average == (name == AVERAGE)


def test_the_base_comes_first():
    assert screened("ours", ["copied"]) == [Model("ours"), Model("ours", "copied")]
    assert Model("ours").name == "ours" and Model("otfm").name == "OTFM"
