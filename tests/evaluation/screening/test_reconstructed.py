"""Skulls as the autoencoder gives them back: its own output, made once."""

import numpy as np
import pytest
import torch

from skfm_lib.evaluation import screening
from skfm_lib.models import VQVAE
from skfm_lib.presets import preset
from skfm_lib.training.vqvae import reconstruct
from skfm_lib.utils.device import pick_device

SETTINGS = preset("tiny").vqvae.but(codes=16)


@pytest.fixture
def decoded(phantoms):
    torch.manual_seed(0)
    device = pick_device()
    model = device.to_device(VQVAE(SETTINGS)).eval()
    return screening.Reconstructed(phantoms, model, device)


def test_it_is_what_the_autoencoder_draws(decoded):
    v = torch.from_numpy(decoded.skulls.occupancy(1))[None, None] * 2.0 - 1
    expected, _ = reconstruct(decoded.model, v, decoded.device)
    assert np.array_equal(decoded.occupancy(1), expected[0, 0].numpy() > 0)
    assert decoded.occupancy(1).dtype == bool


def test_it_stands_in_for_the_set(decoded):
    assert len(decoded) == 6 and decoded.qualities == decoded.skulls.qualities
    assert decoded.grid is decoded.skulls.grid


def test_each_skull_is_decoded_once(decoded):
    first = decoded.occupancy(0)
    decoded.model = None  # a second pass would fail
    assert np.array_equal(decoded.occupancy(0), first)
