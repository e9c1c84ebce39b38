"""Jaws guessed by algebra and by a flow that knows, and the excess of members."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.phantom_set import phantom_skulls
from skfm_lib.evaluation.privacy import attribute_excess as excess
from skfm_lib.evaluation.privacy import attribute_inference as jaws
from skfm_lib.evaluation.privacy.linear_attacks import misfits, posterior_mean
from skfm_lib.generation import SkullGenerator
from skfm_lib.models import VQVAE, LinearShapeModel, UNet3D
from skfm_lib.presets import preset
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError

TINY = preset("tiny")
CPU = Device(torch.device("cpu"), torch.float32)
ONE = torch.ones(8, 1, 1, 1)


class Still(UNet3D):
    """A velocity of 0."""

    def __init__(self):
        nn.Module.__init__(self)

    def forward(self, z_t, t, quality):
        return torch.zeros_like(z_t)


def linear_model(size, components, rest=0.1):
    model = LinearShapeModel(size, components)
    rng = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(size, components, generator=rng)).Q
    model.means.copy_(torch.randn(5, size, generator=rng))
    model.components.copy_(basis.T)
    model.variances.copy_(torch.linspace(3, 1, components))
    model.rest.fill_(rest)
    return model


def generator(linear=None):
    torch.manual_seed(0)
    vqvae = VQVAE(TINY.vqvae).eval()
    nn.init.zeros_(vqvae.decoder[-1].bias)
    scale = LatentScale(0 * ONE, ONE, None)
    return SkullGenerator("ours", Still(), vqvae, scale, CPU, linear=linear, start=0.8)


@pytest.fixture(scope="module")
def skulls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("population")
    shape = TINY.vqvae.output_shape
    phantom_skulls(folder, shape, {2: 2, 6: 4}, {}, seed=0, workers=1)
    return SkullSet(folder, "train").load()


def test_the_posterior_is_that_of_the_joint_gaussian():
    """E[x_B | x_A] = m_B + S_BA S_AA⁻¹ (x_A − m_A), with S = W Wᵀ + ψ."""
    linear = linear_model(12, 3)
    linear.rest.copy_(torch.linspace(0.05, 0.5, 12))
    x, quality = torch.randn(4, 12), torch.tensor([2, 3, 5, 6])
    known = torch.arange(12) >= 5
    w = (linear.components.T * linear.variances.sqrt()).double()
    s = w @ w.T + torch.diag(linear.rest.double())
    mean = linear.means[quality - 2].double()
    gain = s[~known][:, known] @ torch.linalg.inv(s[known][:, known])
    expected = mean[:, ~known] + (x.double() - mean)[:, known] @ gain.T
    found = posterior_mean(linear, x, known, quality, None)
    assert torch.equal(found[:, known], x[:, known])
    assert torch.allclose(found[:, ~known].double(), expected, atol=1e-5)


def test_a_fitted_skull_has_a_smaller_misfit():
    linear = linear_model(8 * 24, 3, rest=0.5)

    class Latents(LatentSet):
        def __init__(self, z):
            self.z = z

        def __len__(self):
            return len(self.z)

        def __getitem__(self, index):
            return self.z[index].view(8, 2, 3, 4), 3

    along = linear.means[1] + 4 * linear.components[0]
    beside = along + torch.randn(8 * 24)
    found = misfits(generator(linear), Latents(torch.stack([along, beside])))
    assert found[0] == pytest.approx(0, abs=1e-6)
    rest = beside - linear.means[1]
    rest = rest - linear.components.T @ (linear.components @ rest)
    assert found[1] == pytest.approx(float(rest.square().mean() / 0.5), rel=1e-4)


def test_the_cut_is_a_border_of_latents_near_the_teeth():
    for name, half in {"tiny": 19.4, "quick": 9.9, "small": 5.0}.items():  # mm
        split = jaws.JawSplit.of(VQVAE(preset(name).vqvae))
        assert abs(split.height - jaws.PLANE) <= half
        assert 0 < split.latents < preset(name).vqvae.latent_shape[2]
    quick = jaws.JawSplit.of(VQVAE(preset("quick").vqvae))
    assert quick.height == pytest.approx(-45.7, abs=0.5)


def test_only_skulls_that_show_the_jaw_are_guessed(skulls):
    split = jaws.JawSplit.of(generator().vqvae)
    shown = jaws.with_jaws(skulls, split)
    assert shown.qualities == [6] * 4


def test_nothing_of_the_jaw_is_given_away(skulls):
    """The same guess for skulls that differ below the cut only."""
    linear = linear_model(8 * 6 * 5 * 7, 2)
    made = generator(linear)
    some = jaws.with_jaws(skulls, jaws.JawSplit.of(made.vqvae))
    v = torch.stack([some[i][0] for i in range(2)])
    split = jaws.JawSplit.of(made.vqvae)
    other = v.clone()
    other[..., : split.voxels] = torch.rand_like(v[..., : split.voxels])
    given = [jaws._encoded(made, one, split) for one in (v, other)]
    assert torch.equal(*given)
    other[..., split.voxels :] = 0.5
    assert not torch.equal(given[0], jaws._encoded(made, other, split))


def test_a_flow_that_knows_the_skull_completes_it():
    """With v = (z − x_0) / t, Euler ends at x_0; known numbers are kept throughout."""
    x_0, eps, guess = torch.randn(3, 2, 8, 3, 2, 4).unbind()
    known = torch.zeros(x_0.shape[1:], dtype=torch.bool)
    known[..., 2:] = True
    guess = torch.where(known, x_0, guess)
    states = []

    def velocity(z, t):
        states.append((z, t))
        return (z - x_0) / t

    found = jaws._inpaint(velocity, guess, eps, known, 0.8, 5)
    assert torch.allclose(found, x_0, atol=1e-5)
    for z, t in states:
        path = (1 - t) * x_0 + t * eps
        assert torch.allclose(z[:, known], path[:, known], atol=1e-5)
    assert [t for _, t in states] == pytest.approx([0.8, 0.64, 0.48, 0.32, 0.16])


def test_each_method_gives_an_overlap_for_each_skull(skulls):
    linear = linear_model(8 * 6 * 5 * 7, 2)
    made = generator(linear)
    some = jaws.with_jaws(skulls, jaws.JawSplit.of(made.vqvae))
    found = jaws.guess_jaws(made, some, steps=2, batch=3)
    assert list(found) == ["mean of the score", "linear start", "flow"]
    for values in found.values():
        assert values.shape == (4,) and ((values >= 0) & (values <= 1)).all()
    with pytest.raises(SkfmError, match="ours has no linear start"):
        jaws.guess_jaws(replace(made, linear=None), some, 2)


def overlaps(*values):
    return {"flow": np.array(values)}


def test_members_are_compared_with_strangers():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.6, 0.05, 80), rng.normal(0.5, 0.05, 60)
    (row,) = excess.members_minus_strangers(overlaps(*a), overlaps(*b)).values()
    assert row["skulls"] == "80 and 60"
    assert row["excess"].value == pytest.approx(a.mean() - b.mean())
    error = (a.var() / 80 + b.var() / 60) ** 0.5
    low = row["excess"].value - 1.96 * error
    assert row["excess"].low == pytest.approx(low, abs=0.2 * error)
    assert row["detectable"] == pytest.approx(2.8 * error, rel=0.1)


def test_halves_cancel_the_skulls_and_the_better_model():
    rng = np.random.default_rng(0)
    skulls, by_first = rng.normal(0.5, 0.2, 100), np.arange(100) < 30
    noise = rng.normal(0, 0.01, (2, 100))
    first = skulls + 0.1 + 0.02 * by_first + noise[0]  # better by .1
    second = skulls + 0.02 * ~by_first + noise[1]
    given = overlaps(*first), overlaps(*second), by_first
    (row,) = excess.seen_minus_unseen(*given).values()
    assert row["excess"].value == pytest.approx(0.02, abs=0.005)
    assert row["excess"].low > 0 and row["detectable"] < 0.01
