"""Which settings are compared."""

import pytest

from skfm_lib.evaluation.sampling_steps.grid import SamplerSetting, sampler_settings
from skfm_lib.generation import Sampler
from skfm_lib.presets import preset
from skfm_lib.utils.errors import SkfmError

SAMPLING = preset("tiny").sampling
EVALUATIONS = [1, 2, 4, 8, 16, 32, 50, 100, 300]


def counts(settings, method):
    chosen = [s for s in settings if s.method == method and not s.repeat]
    return [s.along for s in chosen]


def test_every_method_of_every_model_at_every_number():
    settings = sampler_settings(SAMPLING, EVALUATIONS)
    assert len(set(settings)) == len(settings) == len({s.name for s in settings})
    for method in ("DDPM, ddim", "DDPM, ancestral", "OTFM, euler"):
        assert sorted(counts(settings, method)) == EVALUATIONS
    for method in ("OTFM, midpoint", "OTFM, heun"):  # two evaluations a step
        assert counts(settings, method) == EVALUATIONS[1:]
    for method in ("ours, midpoint", "ours, heun"):
        assert counts(settings, method) == EVALUATIONS[1:]
    assert counts(settings, "shortcut") == [1, 2, 4, 8, 16, 32]


def test_ours_and_its_shortcut_take_one_more_for_the_symmetry_from_two_steps_on():
    for setting in sampler_settings(SAMPLING, [1, 2, 8]):
        sided = setting.model in ("ours", "shortcut") and setting.sampler.steps > 1
        assert setting.sampler.symmetric == (SAMPLING.symmetric if sided else 0)
        assert setting.sampler.evaluations == setting.along + sided


def test_the_references_come_first_with_a_repeat_of_each():
    settings = sampler_settings(SAMPLING, [300, 4, 1])
    wanted = [
        SamplerSetting("otfm", Sampler("euler", 300)),
        SamplerSetting("ours", Sampler("euler", 300, symmetric=SAMPLING.symmetric)),
        SamplerSetting("ddpm", Sampler("ancestral", 300)),
    ]
    assert settings[:3] == wanted
    repeats = [SamplerSetting(s.model, s.sampler, repeat=True) for s in wanted]
    assert settings[3:6] == repeats
    assert not any(s.repeat for s in settings[6:])
    assert counts(settings[6:], "OTFM, euler") == [1, 4]


def test_the_other_diffusion_model_has_a_reference_of_its_own():
    models = ["otfm", "ddpm", "ddpm-v", "shortcut"]
    settings = sampler_settings(SAMPLING, [300, 4], models=models)
    assert settings[2].name == "DDPM-v, ancestral, 300" and settings[5].repeat
    for method in ("DDPM-v, ddim", "DDPM-v, ancestral", "DDPM, ddim"):
        assert sorted(counts(settings, method)) == [4, 300]
    assert not any(s.model == "ddpm-v" for s in sampler_settings(SAMPLING, [300, 4]))


def test_spared_methods_miss_the_largest_number_only():
    settings = sampler_settings(SAMPLING, EVALUATIONS, ["midpoint", "heun", "ddim"])
    assert counts(settings, "OTFM, heun") == EVALUATIONS[1:-1]
    assert counts(settings, "DDPM, ddim") == EVALUATIONS[:-1]
    # Three references, three repeats, and the sum of the others.
    fewer = sum(EVALUATIONS[:-1])
    expected = 6 * 300 + 4 * (fewer - 1) + 4 * fewer + 63
    assert sum(s.along for s in settings) == expected


def test_a_shift_adds_a_method():
    plain = sampler_settings(SAMPLING, [1, 2, 8])
    shifted = sampler_settings(SAMPLING, [1, 2, 8], shift=3.0)
    assert shifted[: len(plain)] == plain
    assert counts(shifted, "OTFM, euler, shift 3") == [1, 2]
    assert counts(shifted, "OTFM, euler") == counts(plain, "OTFM, euler")


@pytest.mark.parametrize("evaluations", [[], [0, 1], [-3]])
def test_numbers_below_one_are_refused(evaluations):
    with pytest.raises(SkfmError, match="numbers from 1"):
        sampler_settings(SAMPLING, evaluations)
