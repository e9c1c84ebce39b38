"""The table of settings; its column `paper` against the paper."""

import math

import pytest

from skfm_lib.data.manifest import proportional
from skfm_lib.data.phantom_set import PAPER_TEST, PAPER_TRAIN
from skfm_lib.losses import ddpm
from skfm_lib.presets import (
    NAMES,
    NO_LABEL,
    QUALITY_SCORES,
    TABLE,
    paper_tables,
    preset,
)
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.values import parse

PAPER = preset("paper")


def test_paper_grids():
    assert (
        PAPER.vqvae.output_shape
        == (456, 352, 512)
        == paper_tables.TABLE_7["voxels out"]
    )
    assert (
        PAPER.vqvae.input_shape == (374, 289, 420) == paper_tables.TABLE_7["voxels in"]
    )
    assert PAPER.vqvae.latent_shape == (94, 73, 105) == paper_tables.TABLE_7["latent"]
    assert PAPER.vqvae.scale == 0.82


def test_paper_vqvae_of_table_7():
    settings = PAPER.vqvae
    assert settings.codes == 16384 == paper_tables.TABLE_7["codebook size"]
    assert settings.code_dim == 8 == paper_tables.TABLE_7["code dimension"]
    assert settings.steps == 150_000 == paper_tables.TABLE_7["VQ-VAE steps"]
    assert (settings.batch, settings.learning_rate) == (1, 1e-4)
    assert settings.final_rate == 1  # a constant rate
    assert settings.upsample  # the loss at full resolution, Table 8's best
    assert not settings.forgive_overshoot  # plain L1
    assert settings.padding == "replicate"  # as in the code that the paper started from
    for n, latent in zip(settings.input_shape, settings.latent_shape):
        assert 4 * (latent - 1) < n <= 4 * latent  # compression 4


def test_paper_unet_of_table_7():
    settings = PAPER.denoiser
    assert settings.steps == 200_000 == paper_tables.TABLE_7["U-Net steps"]
    assert (
        settings.timesteps == 300 == paper_tables.TABLE_7["timesteps"] == ddpm.TIMESTEPS
    )
    assert (settings.batch, settings.learning_rate) == (1, 5e-5)
    assert (settings.final_rate, settings.warmup) == (1, 0)
    assert settings.normalise == "codebook" and settings.label_dropout == 0
    assert settings.code_dim == PAPER.vqvae.code_dim


def test_paper_downstream_networks_of_table_10():
    aligner, completer = PAPER.aligner, PAPER.completer
    assert (aligner.steps, aligner.points, aligner.batch) == (7000, 8192, 12)
    assert (aligner.learning_rate, aligner.embedding) == (1e-3, 1024)
    assert (aligner.width, aligner.centres) == (1, (512, 128))  # as published
    assert aligner.neighbours == ((16, 32, 128), (32, 64, 128))
    assert (aligner.skip, aligner.rotation, aligner.shared) == ("add", "raw", False)
    assert (completer.steps, completer.points, completer.batch) == (72_800, 4096, 4)
    assert (completer.learning_rate, completer.width) == (1e-4, 64)
    assert completer.outputs == (512, 2048, 8192)
    for settings in (aligner, completer):  # the rate is constant
        assert (settings.final_rate, settings.warmup) == (1, 0)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("tiny", (40, 40, 12)), *((name, (726, 182, 91)) for name in NAMES[1:])],
)
def test_the_numbers_of_skulls(name, numbers):
    data = preset(name).data
    assert (data.train_skulls, data.test_skulls, data.validation_skulls) == numbers
    mix = proportional(PAPER_TRAIN, data.validation_skulls)
    assert min(mix.values()) >= 1 and sum(mix.values()) == numbers[2]
    if name != "tiny":
        assert mix == {2: 21, 3: 27, 4: 19, 5: 19, 6: 5}


def test_paper_population_and_sampling():
    assert PAPER.data.size == 1
    assert (PAPER.sampling.steps, PAPER.sampling.count) == (300, 726)
    assert PAPER_TRAIN == {2: 167, 3: 212, 4: 154, 5: 155, 6: 38}
    assert sum(PAPER_TRAIN.values()) == 726 and sum(PAPER_TEST.values()) == 182
    assert PAPER_TEST == {2: 42, 3: 53, 4: 39, 5: 39, 6: 9}
    assert QUALITY_SCORES == tuple(PAPER_TRAIN) and NO_LABEL not in QUALITY_SCORES


@pytest.mark.parametrize("name", NAMES)
def test_every_grid_follows_from_the_size(name):
    settings = preset(name)
    out = tuple(math.ceil(n * settings.data.size) for n in (456, 352, 512))
    assert settings.name == name and settings.vqvae.output_shape == out
    # In whole hundredths: 0.82 · 450 is 369, which floats round to above it.
    into = tuple(-(-82 * n // 100) for n in out)
    assert settings.vqvae.input_shape == into
    assert settings.vqvae.latent_shape == tuple(-(-n // 4) for n in into)


def test_other_scales_of_table_8():
    for scale in (0.422, 0.53, 0.578):
        into = PAPER.vqvae.but(scale=scale).input_shape
        exact = [round(scale * 1000) * n / 1000 for n in (456, 352, 512)]
        assert all(x <= n < x + 1 for x, n in zip(exact, into))


def test_a_whole_product_is_not_rounded_up():
    settings = PAPER.vqvae.but(scale=0.82, output_shape=(450, 350, 500))
    assert settings.input_shape == (369, 287, 410)


def test_every_row_of_the_table_has_every_preset():
    rows = [values for group in TABLE.values() for values in group.values()]
    assert {len(values) for values in rows} == {len(NAMES)}


def test_unknown_preset_lists_the_valid_ones():
    with pytest.raises(SkfmError, match="tiny, quick, small, paper"):
        preset("huge")


def test_unknown_setting_lists_the_valid_ones():
    with pytest.raises(SkfmError, match="'stpes' of VQVAE.*steps, .*codes"):
        PAPER.vqvae.but(stpes=3)
    with pytest.raises(SkfmError, match="unknown"):
        PAPER.vqvae.but(stpes=None)


def test_none_leaves_a_setting_and_false_does_not():
    changed = PAPER.vqvae.but(steps=None, codes=64, upsample=False)
    assert (changed.steps, changed.codes, changed.upsample) == (150_000, 64, False)
    assert changed.but(steps=None) == changed
    assert PAPER.vqvae.codes == 16384


def test_the_word_none_turns_an_optional_setting_off():
    given = parse("none")  # of a command line
    off = PAPER.ours.but(time_mean=given)
    assert PAPER.ours.time_mean is not None and off.time_mean is None
    assert PAPER.denoiser.but(**off.as_dict()) == off  # as stages record it
    assert PAPER.ours.but(time_mean=None) == PAPER.ours
    with pytest.raises(SkfmError, match="steps = 'none'; expected a whole number"):
        PAPER.ours.but(steps=given)


def test_lists_become_tuples_and_plain_values_come_back():
    changed = PAPER.denoiser.but(multipliers=[1, 2])
    assert changed.multipliers == (1, 2) and hash(changed)
    nested = PAPER.aligner.but(neighbours=[[1, 2], [3, 4]])
    assert nested.neighbours == ((1, 2), (3, 4)) and hash(nested)
    assert PAPER.denoiser.but(**changed.as_dict()) == changed
