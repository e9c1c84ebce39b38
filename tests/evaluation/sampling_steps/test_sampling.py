"""Skulls sampled from untrained networks: what is kept, and what is resumed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skfm_lib.data.bone_fractions import stored
from skfm_lib.evaluation.sampling_steps.grid import SamplerSetting
from skfm_lib.evaluation.sampling_steps.sampling import Sweep
from skfm_lib.generation import Sampler, SkullGenerator
from skfm_lib.metrics import extract
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.presets import preset
from skfm_lib.study import open_study
from skfm_lib.training.latents import LatentScale
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import seed_of

TINY = preset("tiny")
QUALITIES = [2, 3, 4, 5, 6]
EULER = SamplerSetting("otfm", Sampler("euler", 2))
HEUN = SamplerSetting("otfm", Sampler("heun", 1))
REPEAT = SamplerSetting("otfm", Sampler("euler", 2), repeat=True)


@pytest.fixture(scope="module")
def generator():
    """Of random weights; its volumes hold about half bone."""
    torch.manual_seed(0)
    network, vqvae = UNet3D(TINY.denoiser.but(width=8)), VQVAE(TINY.vqvae)
    torch.nn.init.zeros_(vqvae.decoder[-1].bias)
    scale = LatentScale(torch.zeros(8, 1, 1, 1), torch.ones(8, 1, 1, 1), (-1.0, 1.0))
    device = Device(torch.device("cpu"), torch.float32)
    return SkullGenerator("otfm", network.eval(), vqvae.eval(), scale, device)


def features(seed=0):
    torch.manual_seed(seed)
    return StudyFeatures().eval()


@pytest.fixture
def sweep(project):
    """A sweep of five skulls, in batches of two."""
    study = open_study("new", "tiny")
    study.stage("03_train_otfm", {}).finish()
    in_twos = replace(TINY, sampling=TINY.sampling.but(batch=2))
    return Sweep(replace(study, settings=in_twos), features(), QUALITIES)


@pytest.fixture
def calls(monkeypatch):
    """How many latents each call of the generator returned, including the warm-up."""
    counts, latents = [], SkullGenerator.latents

    def counted(self, qualities, seeds, sampler):
        z = latents(self, qualities, seeds, sampler)
        counts.append(len(seeds))
        return z

    monkeypatch.setattr(SkullGenerator, "latents", counted)
    return counts


def test_a_set_holds_the_features_of_what_the_generator_samples(sweep, generator):
    (found,) = sweep.sample(generator, [EULER])
    seeds = [seed_of(0, "sample", i) for i in range(5)]  # as in chapter 5
    z = torch.cat(
        [
            generator.latents(QUALITIES[i : i + 2], seeds[i : i + 2], EULER.sampler)
            for i in (0, 2, 4)
        ]
    )
    volumes = torch.cat([generator.decode(one) for one in z.half().float().split(1)])
    held = torch.from_numpy(stored(volumes.numpy(), generator.grid))
    expected = extract(features(), held).double().numpy()
    assert found.features.shape == (5, 224)
    assert np.allclose(found.features, expected, atol=1e-4)
    third = sweep.volume(generator, EULER, 3)
    assert np.allclose(third, volumes[3, 0], atol=1e-4) and third.std() > 0.01


def test_costs_are_those_of_a_skull(sweep, generator):
    (found,) = sweep.sample(generator, [EULER])
    assert 0 < found.sampling < 60 and 0 < found.decoding < 60
    assert 2**26 < found.memory < 2**36  # PyTorch alone takes more than 64 MiB


def test_finished_settings_are_kept_and_missing_ones_added(sweep, generator, calls):
    (first,) = sweep.sample(generator, [EULER])
    assert calls == [2, 2, 2, 1]  # a warm-up and three batches
    stage = sweep.experiment(EULER)
    assert stage.done and stage.folder.parent.name == "13_experiments"
    calls.clear()
    (second,) = sweep.sample(generator, [EULER])
    assert not calls and np.array_equal(second.features, first.features)
    assert (second.sampling, second.memory) == (first.sampling, first.memory)
    more = sweep.sample(generator, [EULER, HEUN])
    assert [one.setting for one in more] == [EULER, HEUN] and calls == [2, 2, 2, 1]


def test_a_setting_resumes_with_the_batch_that_is_missing(
    sweep, generator, calls, monkeypatch
):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SkullGenerator, "latents", _interrupt(SkullGenerator.latents, 3))
        sweep.sample(generator, [EULER])
    assert calls == [2, 2, 2] and not sweep.experiment(EULER).done
    calls.clear()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SkullGenerator, "decode", _interrupt(SkullGenerator.decode, 3))
        sweep.sample(generator, [EULER])
    assert calls == [2, 1] and not sweep.experiment(EULER).done  # a warm-up, a batch
    calls.clear()
    (resumed,) = sweep.sample(generator, [EULER])
    assert calls == [2]  # a warm-up
    other = replace(sweep.study, folder=sweep.study.folder.with_name("other"))
    other.stage("03_train_otfm", {}).finish()
    (uninterrupted,) = replace(sweep, study=other).sample(generator, [EULER])
    assert np.array_equal(resumed.features, uninterrupted.features)


def _interrupt(method, count):
    seen = []

    def interrupted(self, *given):
        seen.append(1)
        if len(seen) > count:
            raise KeyboardInterrupt
        return method(self, *given)

    return interrupted


def test_only_settings_of_the_generators_model_are_sampled(sweep, generator):
    other = SamplerSetting("shortcut", Sampler("shortcut", 1))
    found = sweep.sample(generator, [other, HEUN])
    assert [one.setting for one in found] == [HEUN]


def test_other_features_leave_the_latents(sweep, generator, calls):
    (first,) = sweep.sample(generator, [HEUN])
    calls.clear()
    changed = replace(sweep, network=features(seed=1))
    (second,) = changed.sample(generator, [HEUN])
    assert not calls and not np.allclose(first.features, second.features)
    assert second.decoding == first.decoding


def test_settings_start_alike_and_repeats_do_not(sweep, generator):
    starts = {}
    for setting in (EULER, HEUN, REPEAT):
        seen = starts.setdefault(setting, [])
        hook = generator.network.register_forward_pre_hook(
            lambda module, given, seen=seen: seen.append(given[0])
        )
        with hook:
            sweep.sample(generator, [setting])
    # The first input of the last batch, of one skull, is noise.
    euler, heun, repeat = (
        next(z for z in seen if len(z) == 1) for seen in starts.values()
    )
    assert torch.equal(euler, heun) and not torch.equal(euler, repeat)


def test_another_model_or_label_has_another_folder(sweep):
    study, folders = sweep.study, {sweep.experiment(EULER).folder}
    folders.add(replace(sweep, qualities=[2, 3, 4, 5, 5]).experiment(EULER).folder)
    folders.add(sweep.experiment(REPEAT).folder)
    study.stage("03_train_otfm", {"steps": 7}).finish()
    folders.add(sweep.experiment(EULER).folder)
    assert len(folders) == 4


def test_the_warm_up_is_without_the_symmetry(sweep, generator):
    ours = replace(generator, objective="ours")
    sweep.study.stage("17_train_ours", {}).finish()
    two = SamplerSetting("ours", Sampler("euler", 2, symmetric=0.4))
    (found,) = sweep.sample(ours, [two])
    assert found.features.shape == (5, 224)


def test_a_damaged_batch_is_named(sweep, generator):
    sweep.sample(generator, [HEUN])
    path = sweep.experiment(HEUN).folder / "latents-00002.safetensors"
    path.write_bytes(b"x" * 20)
    with pytest.raises(SkfmError, match="latents-00002.*next: rm "):
        replace(sweep, network=features(seed=1)).sample(generator, [HEUN])
