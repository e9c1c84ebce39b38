"""What is saved and what is recomputed, without a change to any result."""

import pytest
import torch
from torch import nn

from skfm_lib import presets
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.models.ops.recompute import large, recomputed


def gradients(loss, model):
    model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_a_recomputed_map_gives_the_same_gradient(resize):
    resize(saved=0)
    torch.manual_seed(0)
    first, second = nn.Linear(4, 5), nn.Linear(5, 3)
    both, source = nn.Sequential(first, second), torch.randn(6, 4)
    want = gradients(second(first(source)).square().sum(), both)
    calls = []
    first.register_forward_hook(lambda *_: calls.append(1))
    x = first(source)
    with recomputed(x, first, source):
        loss = second(x).square().sum()
    del x
    got = gradients(loss, both)
    assert len(calls) == 2
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_nothing_is_recomputed_without_gradients(resize):
    resize(saved=0)
    x = torch.ones(3)
    with torch.no_grad():
        assert not large(x)
    assert large(x)


@pytest.mark.parametrize("kind", ["vqvae", "unet"])
def test_networks_are_the_same_when_all_is_large(kind, resize):
    settings = presets.preset("tiny")
    torch.manual_seed(0)
    if kind == "vqvae":
        model = VQVAE(settings.vqvae)
        v = torch.randn(1, 1, *settings.vqvae.output_shape).clamp(-1, 1)

        def loss():
            return sum(model.loss(v)[:2])
    else:
        model = UNet3D(settings.denoiser)
        z = torch.randn(1, settings.denoiser.code_dim, 6, 6, 8)

        def loss():
            return model(z, 0.5, 3).square().mean()

    want = gradients(loss(), model)
    resize(saved=0)
    for a, b in zip(gradients(loss(), model), want, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-5 * want[0].abs().max())
