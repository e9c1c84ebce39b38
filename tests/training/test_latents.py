"""Latents on disk, and the range in which the denoiser sees them."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from skfm_lib.models import VQVAE
from skfm_lib.presets import preset
from skfm_lib.training.latents import (
    LatentScale,
    LatentSet,
    cache_latents,
    latent_scale,
    spread,
)
from skfm_lib.utils import memory
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError

CPU = Device(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return VQVAE(preset("tiny").vqvae).eval()


@pytest.fixture(scope="module")
def cached(model, phantoms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("latents")
    cache_latents(model, phantoms, folder, CPU)
    return folder


def test_a_cached_latent_is_what_the_encoder_gives(model, phantoms, cached):
    held = LatentSet(cached, phantoms)
    assert len(held) == len(phantoms) == 6
    for i in (0, 5):
        z, quality = held[i]
        with torch.no_grad():
            want = model.encode(phantoms[i][0][None])[0]
        assert z.dtype == torch.float32 and z.shape == want.shape
        assert quality == phantoms.qualities[i]
        assert (z - want).abs().max() <= 2**-10 * want.abs().max()  # float16 on disk
    assert len({held[i][0].sum().item() for i in range(6)}) == 6


def test_latents_there_are_kept_and_missing_ones_are_made(model, phantoms, cached):
    files = sorted(cached.iterdir())
    before = {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in files}
    files[2].unlink()
    cache_latents(model, phantoms, cached, CPU)
    after = {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in cached.iterdir()}
    assert after.keys() == before.keys()
    changed = {f for f in files if after[f][1] != before[f][1]}
    assert changed == {files[2]}
    assert all(after[f][0] == before[f][0] for f in files)


def test_large_sets_are_read_each_time(phantoms, cached, monkeypatch):
    kept = LatentSet(cached, phantoms)
    monkeypatch.setattr(memory, "available", lambda: 0)
    read = LatentSet(cached, phantoms)
    assert torch.equal(kept[3][0], read[3][0])
    kept[3], read[3]
    assert len(kept._kept) == 1 and not read._kept


def test_changing_an_item_leaves_the_set(phantoms, cached):
    held = LatentSet(cached, phantoms)
    before = held[1][0].clone()
    held[1][0].zero_()
    assert torch.equal(held[1][0], before)


def test_a_damaged_or_missing_latent_is_reported(model, phantoms, tmp_path):
    cache_latents(model, phantoms, tmp_path, CPU)
    held, path = LatentSet(tmp_path, phantoms), sorted(tmp_path.iterdir())[1]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SkfmError, match=f"{path.name} cannot be read.*02_train_vqvae"):
        held[1]
    path.unlink()
    with pytest.raises(SkfmError, match=f"{path.name} cannot be read"):
        held[1]


def test_the_codebook_range_is_minus_one_to_one(model, phantoms, cached):
    scale = latent_scale("codebook", model, LatentSet(cached, phantoms))
    codes = scale.normalise(model.codebook.vectors.T[:, :, None, None])
    assert codes.aminmax() == (pytest.approx(-1, abs=1e-6), pytest.approx(1, abs=1e-6))
    assert scale.bounds == (-1, 1)
    assert len(scale.centre.unique()) == len(scale.half.unique()) == 1  # one for all


def test_channel_moments_equal_numpy(model, phantoms, cached):
    held = LatentSet(cached, phantoms)
    every = np.stack([load_file(path)["z"].numpy() for path in held.files])
    every = every.astype(np.float64).swapaxes(0, 1).reshape(8, -1)
    scale = latent_scale("channel", model, held)
    assert np.allclose(scale.centre.flatten(), every.mean(1), atol=1e-6)
    assert np.allclose(scale.half.flatten(), every.std(1), rtol=1e-4)
    standard = (every - every.mean(1)[:, None]) / every.std(1)[:, None]
    assert np.allclose(scale.bounds, (standard.min(), standard.max()), rtol=1e-4)
    assert torch.allclose(spread(scale, held), torch.ones(8), rtol=1e-5)
    by_codes = latent_scale("codebook", model, held)
    want = every.std(1) / by_codes.half.flatten().numpy()
    assert np.allclose(spread(by_codes, held), want, rtol=1e-4)


@pytest.mark.parametrize("kind", ["codebook", "channel"])
def test_restore_undoes_normalise_and_the_record_keeps_both(
    kind, model, phantoms, cached
):
    held = LatentSet(cached, phantoms)
    scale, z = latent_scale(kind, model, held), held[0][0]
    assert torch.allclose(scale.restore(scale.normalise(z)), z, atol=1e-5)
    batch = torch.stack([z, z + 1])
    assert torch.equal(scale.normalise(batch)[1], scale.normalise(z + 1))
    again = LatentScale.from_dict(json.loads(json.dumps(scale.as_dict())))
    assert torch.equal(again.centre, scale.centre)
    assert torch.equal(again.half, scale.half) and again.bounds == scale.bounds


def test_unknown_normalisation_is_refused(model, phantoms, cached):
    with pytest.raises(SkfmError, match="'global'.*codebook or channel"):
        latent_scale("global", model, LatentSet(cached, phantoms))
