"""Skulls as the autoencoder gives them back: its own output, made once."""

import numpy as np
import pytest
import torch

from skfm_lib.data.bone_fractions import stored
from skfm_lib.data.voxels import skull_grid
from skfm_lib.evaluation import screening
from skfm_lib.models import VQVAE
from skfm_lib.presets import preset
from skfm_lib.training.vqvae import reconstruct
from skfm_lib.utils.device import pick_device

SETTINGS = preset("tiny").vqvae.but(codes=16)
GRID = skull_grid(SETTINGS.output_shape)


@pytest.fixture
def decoded(phantoms):
    torch.manual_seed(0)
    device = pick_device()
    model = device.to_device(VQVAE(SETTINGS)).eval()
    return screening.Reconstructed(phantoms, model, device)


def test_it_is_what_the_autoencoder_draws(decoded):
    v = decoded.skulls[1][0][None]
    expected, _ = reconstruct(decoded.model, v, decoded.device)
    assert np.array_equal(decoded.volume(1), stored(expected[0, 0].numpy(), GRID))
    assert decoded.volume(1).dtype == np.uint8


def test_it_stands_in_for_the_set(decoded):
    assert len(decoded) == 6 and decoded.qualities == decoded.skulls.qualities
    assert decoded.grid is decoded.skulls.grid


def test_each_skull_is_decoded_once(decoded):
    first = decoded.volume(0)
    decoded.model = None  # a second pass would fail
    assert np.array_equal(decoded.volume(0), first)
