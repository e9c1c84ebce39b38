"""A packed model: checksums, precision, and what it says of damage in one line."""

import json

import numpy as np
import pytest
import torch
from packed_model import FIELDS, TINY, networks, noisy_ranges
from safetensors.torch import load_file

from skfm_lib.evaluation.screening import frozen_limits
from skfm_lib.generation import usual_sampler
from skfm_lib.presets import SamplingConfig
from skfm_lib.reference_model import (
    find_package,
    load_generator,
    load_screener,
    load_tool,
    open_package,
    package,
    settings_of,
)
from skfm_lib.tasks.alignment import ALIGNMENT
from skfm_lib.tasks.completion import COMPLETION
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError


def test_the_settings_come_back_as_they_were(packed):
    found = find_package()
    assert found.folder == packed
    assert settings_of(found, SamplingConfig, "sampling") == TINY.sampling
    generator = load_generator(found)
    assert generator.vqvae.settings == TINY.vqvae
    assert generator.fields == FIELDS and generator.start == TINY.ours.start
    assert generator.trained == found.fingerprint
    assert load_tool(found, ALIGNMENT).model.settings == TINY.aligner
    tool = load_tool(found, COMPLETION)
    assert tool.model.settings == TINY.completer and tool.errors["mean"] == 9.0
    assert tool.shape == TINY.vqvae.output_shape


def test_matrices_are_bf16_except_where_that_would_change_a_skull(packed):
    exact = {"codebook.vectors", "encoder.project.weight", "condition.label.weight"}
    exact |= {"means", "slopes", "components"}
    for file in packed.glob("*.safetensors"):
        for name, value in load_file(file).items():
            if value.is_floating_point():
                half = value.ndim > 1 and name not in exact
                assert value.dtype == (torch.bfloat16 if half else torch.float32), name


def test_in_bf16_the_packed_model_generates_the_very_same_latents(packed):
    made = load_generator(find_package())
    exact = {name: network for name, (network, _) in networks().items()}
    device = Device(torch.device("cpu"), torch.bfloat16)
    found = []
    for parts in (
        (made.network, made.vqvae, made.linear),
        (exact["denoiser"], exact["vqvae"], exact["linear_start"]),
    ):
        network, vqvae, linear = (device.to_device(part).eval() for part in parts)
        given = {"network": network, "vqvae": vqvae, "linear": linear}
        one = type(made)(**{**vars(made), **given, "device": device})
        sampler = usual_sampler("ours", TINY.sampling)
        found.append(one.decode(one.latents([4, 5], [1, 2], sampler)))
    assert torch.equal(*found)


def test_the_stored_ranges_are_those_that_were_fitted(packed, phantoms):
    stored = load_screener(find_package()).ranges
    fitted, measured, scores = noisy_ranges(phantoms)
    for vault, quality in zip(measured.vaults[::-1], scores):
        assert stored.vault.holes(vault, quality) == fitted.vault.holes(vault, quality)
    assert stored.vault.cut == fitted.vault.cut
    assert stored.training == pytest.approx(fitted.training, abs=0.5 / 255 + 1e-6)
    assert stored.shape.means == pytest.approx(fitted.shape.means, abs=0.002)
    frozen = frozen_limits.read_limits(frozen_limits.FOLDER / "tiny.json").limits
    for name, values in vars(frozen).items():
        assert np.array_equal(getattr(stored.limits, name), values, equal_nan=True)


@pytest.mark.parametrize("harm", ["altered", "shortened", "removed"])
@pytest.mark.parametrize("name", ["vqvae.safetensors", "screening.npz"])
def test_a_file_that_is_not_the_packed_one_is_named(packed, name, harm):
    path = packed / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(content if harm == "altered" else content[:-9])
    said = (
        "is missing" if harm == "removed" else r"is damaged or was altered \(SHA-256\)"
    )
    with pytest.raises(SkfmError, match=f"{path} {said}.*; next: install skfm again"):
        load_generator(find_package())
        load_screener(find_package())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"preset": "tiny"}'])
def test_a_damaged_index_is_reported(packed, content):
    (packed / "index.json").write_text(content)
    with pytest.raises(SkfmError, match="index.json.*; next: install skfm again"):
        find_package()


def test_settings_of_another_version_are_reported(packed):
    index = json.loads((packed / "index.json").read_text())
    index["settings"]["ours"]["colour"] = "ivory"
    (packed / "index.json").write_text(json.dumps(index))
    with pytest.raises(SkfmError, match="another version of skfm.*colour"):
        load_generator(find_package())


def test_without_a_model_the_next_command_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("SKFM_WEIGHTS", raising=False)
    monkeypatch.setattr(package, "FOLDER", tmp_path)
    assert find_package() is None
    with pytest.raises(SkfmError, match="next: skfm study"):
        open_package()
    monkeypatch.setenv("SKFM_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(SkfmError, match="none/index.json"):
        find_package()
