"""Cells drawn from untrained networks: what is kept, and what is drawn again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skfm_lib.evaluation.sampling_steps import Cell, Sweep
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
EULER, HEUN = Cell("otfm", Sampler("euler", 2)), Cell("otfm", Sampler("heun", 1))
AGAIN = Cell("otfm", Sampler("euler", 2), repeat=True)


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
    """How many latents each call of the generator drew; the warm-up among them."""
    drawn, draw = [], SkullGenerator.latents

    def counted(self, qualities, seeds, sampler):
        drawn.append(len(seeds))
        return draw(self, qualities, seeds, sampler)

    monkeypatch.setattr(SkullGenerator, "latents", counted)
    return drawn


def test_a_cell_holds_the_features_of_what_the_generator_draws(sweep, generator):
    (drawn,) = sweep.draw(generator, [EULER])
    seeds = [seed_of(0, "sample", i) for i in range(5)]  # as in chapter 5
    z = torch.cat(
        [
            generator.latents(QUALITIES[i : i + 2], seeds[i : i + 2], EULER.sampler)
            for i in (0, 2, 4)
        ]
    )
    assert torch.equal(sweep.latents(EULER), z.half())
    volumes = generator.decode(z.half().float()) > 0
    expected = extract(features(), volumes).double().numpy()
    assert drawn.features.shape == (5, 224)
    assert np.allclose(drawn.features, expected, atol=1e-4)


def test_costs_are_those_of_a_skull(sweep, generator):
    (drawn,) = sweep.draw(generator, [EULER])
    assert 0 < drawn.sampling < 60 and 0 < drawn.decoding < 60
    assert 2**26 < drawn.memory < 2**36  # PyTorch alone takes more than 64 MiB


def test_what_is_drawn_is_kept(sweep, generator, calls):
    (first,) = sweep.draw(generator, [EULER])
    assert calls == [2, 2, 2, 1]
    calls.clear()
    (again,) = sweep.draw(generator, [EULER])
    assert not calls and np.array_equal(again.features, first.features)
    assert (again.sampling, again.memory) == (first.sampling, first.memory)
    more = sweep.draw(generator, [EULER, HEUN])
    assert [one.cell for one in more] == [EULER, HEUN] and calls == [2, 2, 2, 1]


def test_a_cell_goes_on_where_it_was_stopped(sweep, generator, calls, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SkullGenerator, "decode", _interrupt_after(3))
        sweep.draw(generator, [EULER])
    assert calls == [2, 2, 2]  # a warm-up and two batches, whose second has no features
    calls.clear()
    (drawn,) = sweep.draw(generator, [EULER])
    assert calls == [1] and drawn.features.shape == (5, 224)


def _interrupt_after(count):
    decode, seen = SkullGenerator.decode, []

    def interrupted(self, latents):
        seen.append(1)
        if len(seen) > count:
            raise KeyboardInterrupt
        return decode(self, latents)

    return interrupted


def test_only_cells_of_the_generators_model_are_drawn(sweep, generator, calls):
    other = Cell("shortcut", Sampler("shortcut", 1))
    assert [one.cell for one in sweep.draw(generator, [other, HEUN])] == [HEUN]


def test_other_features_leave_the_latents(sweep, generator, calls):
    (first,) = sweep.draw(generator, [HEUN])
    calls.clear()
    changed = Sweep(sweep.study, features(seed=1), QUALITIES)
    (second,) = changed.draw(generator, [HEUN])
    assert not calls and not np.allclose(first.features, second.features)


def test_cells_start_alike_and_repeats_do_not(sweep, generator):
    starts = {}
    for cell in (EULER, HEUN, AGAIN):
        seen = starts.setdefault(cell, [])
        hook = generator.network.register_forward_pre_hook(
            lambda module, given, seen=seen: seen.append(given[0])
        )
        with hook:
            sweep.draw(generator, [cell])
    # The first of the last batch, of one skull, is noise.
    euler, heun, again = (
        next(z for z in seen if len(z) == 1) for seen in starts.values()
    )
    assert torch.equal(euler, heun) and not torch.equal(euler, again)


def test_another_model_or_label_has_another_folder(sweep):
    study, folders = sweep.study, {sweep.folder(EULER)}
    folders.add(Sweep(study, sweep.network, [2, 3, 4, 5, 5]).folder(EULER))
    folders.add(sweep.folder(AGAIN))
    study.stage("03_train_otfm", {"steps": 7}).finish()
    folders.add(sweep.folder(EULER))
    assert len(folders) == 4


def test_a_damaged_batch_is_named(sweep, generator):
    sweep.draw(generator, [HEUN])
    path = sweep.folder(HEUN) / "latents-00002.safetensors"
    path.write_bytes(b"x" * 20)
    with pytest.raises(SkfmError, match="latents-00002.*next: rm "):
        sweep.draw(generator, [HEUN])
