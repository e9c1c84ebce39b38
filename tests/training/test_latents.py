"""Latents on disk, and the range in which the denoiser sees them."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.field_of_view import field_of_view
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import Skull, write_manifest
from skfm_lib.models import VQVAE
from skfm_lib.presets import preset
from skfm_lib.training.latents import (
    FIELDS,
    LatentScale,
    LatentSet,
    cache_latents,
    field_batch,
    latent_batch,
    latent_scale,
    spread,
)
from skfm_lib.utils import distributed, memory
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


def test_a_mirrored_latent_is_that_of_the_mirrored_volume(model, phantoms, tmp_path):
    cache_latents(model, phantoms, tmp_path, CPU, mirror=True)
    held = LatentSet(tmp_path, phantoms)
    for i in (0, 4):
        with torch.no_grad():
            want = model.encode(phantoms[i][0][None].flip(-2))[0]
        assert (held[i][0] - want).abs().max() <= 2**-10 * want.abs().max()
        plain = model.encode(phantoms[i][0][None])[0].detach()
        assert (held[i][0] - plain).abs().max() > 0.01 * want.abs().max()
        # The encoder does not commute with mirroring: padding is on one side.
        assert (held[i][0] - plain.flip(-2)).abs().max() > 0.01 * want.abs().max()


def test_a_symmetric_skull_has_the_same_latent_mirrored(model, phantoms, tmp_path):
    volume = np.maximum(phantoms.volume(0), phantoms.volume(0)[:, ::-1])
    write_volume(tmp_path / "one.nii.gz", volume, phantoms.grid)
    row = Skull("one", "train", 2, "one.nii.gz", "a test", phantoms.grid.spacing)
    write_manifest(tmp_path, [row])
    skulls, found = SkullSet(tmp_path, "train"), []
    for name, mirror in (("plain", False), ("mirrored", True)):
        cache_latents(model, skulls, tmp_path / name, CPU, mirror)
        found.append(LatentSet(tmp_path / name, skulls)[0][0])
    assert torch.equal(*found)


def test_fields_of_view_are_kept_with_the_latents(phantoms, cached):
    found = LatentSet(cached, phantoms).fields_of_view
    wanted = [field_of_view(phantoms.volume(i), phantoms.grid) for i in range(6)]
    assert found.tolist() == [pytest.approx(list(one)) for one in wanted]
    again = json.loads((cached / FIELDS).read_text())
    assert again.keys() == {skull.name for skull in phantoms.skulls}


class Numbered(LatentSet):
    """Ten latents that hold their number, plus 100 for the mirrored ones."""

    fields_of_view = torch.arange(20.0).view(10, 2)

    def __init__(self, offset=0):
        self.offset = offset

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.full((1, 1, 1, 1), float(self.offset + index)), 2 + index % 5


PLAIN, MIRRORED = Numbered(), Numbered(100)
SCALE = LatentScale(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), None)


def test_half_of_the_draws_are_mirrored():
    drawn = []
    for step in range(200):
        x_0, eps, quality = latent_batch(PLAIN, SCALE, 3, step, 8, MIRRORED)
        again = latent_batch(PLAIN, SCALE, 3, step, 8, MIRRORED)
        assert all(torch.equal(a, b) for a, b in zip((x_0, eps, quality), again))
        other = latent_batch(PLAIN, SCALE, 3, step, 8)
        assert torch.equal(other[1], eps) and torch.equal(other[2], quality)
        assert torch.equal(other[0], x_0 % 100)  # the same skulls
        drawn += x_0.flatten().tolist()
    mirrored = np.array(drawn) >= 100
    assert abs(mirrored.sum() - 800) < 4 * np.sqrt(1600 / 4)  # four deviations
    for number in range(10):  # 160 draws of every skull
        own = mirrored[np.array(drawn) % 100 == number]
        assert len(own) == 160 and abs(own.sum() - 80) < 4 * np.sqrt(160 / 4)


def test_devices_share_the_draws_and_the_fields_of_view(monkeypatch):
    given = (3, 5, 8)
    whole = *latent_batch(PLAIN, SCALE, *given, MIRRORED), field_batch(PLAIN, *given)
    numbers = whole[0].flatten().long() % 100
    assert torch.equal(whole[3], Numbered.fields_of_view[numbers])
    monkeypatch.setattr(distributed, "devices", lambda: 2)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        batch = latent_batch(PLAIN, SCALE, *given, MIRRORED)
        parts.append((*batch, field_batch(PLAIN, *given)))
    assert all(torch.equal(torch.cat(pair), w) for *pair, w in zip(*parts, whole))
