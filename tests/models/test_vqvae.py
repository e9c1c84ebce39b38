"""The VQ-VAE: grids at the paper's sizes, straight-through gradient, its loss."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from skfm_lib.models import VQVAE
from skfm_lib.models.ops.conv3d import Conv3d
from skfm_lib.models.ops.padding import pad_to_multiple
from skfm_lib.models.ops.resample import resample
from skfm_lib.models.vqvae import BACKGROUND, Encoder
from skfm_lib.presets import preset
from skfm_lib.utils.errors import SkfmError

TINY, PAPER = preset("tiny").vqvae, preset("paper").vqvae


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return VQVAE(TINY).eval()


def skulls(settings=TINY, count=2):
    """Balls on the output grid, −1 and +1."""
    axes = torch.meshgrid(*map(torch.arange, settings.output_shape), indexing="ij")
    centre = torch.tensor(settings.output_shape) / 2
    away = sum((a - c).square() for a, c in zip(axes, centre)).sqrt()
    return torch.stack([(away < r).float() * 2 - 1 for r in range(8, 8 + count)])[
        :, None
    ]


@torch.no_grad()
def test_shapes_from_volume_to_volume(model):
    v = skulls()
    z = model.encode(v)
    assert z.shape == (2, 8, *TINY.latent_shape)
    q, indices = model.quantize(z)
    assert q.shape == z.shape and indices.shape == (2, *TINY.latent_shape)
    v_hat = model.decode(q)
    assert v_hat.shape == v.shape and v_hat.aminmax()[0] >= -1
    assert v_hat.max() <= 1
    assert model.decode_input_size(q).shape == (2, 1, *TINY.input_shape)


@torch.no_grad()
@pytest.mark.parametrize("level", [BACKGROUND, 1.0])
def test_a_uniform_volume_stays_uniform_up_to_the_corners(level):
    # Layers do the same at each voxel, so that only a border could tell voxels apart;
    # transposed convolutions, at every second one, unless their kernels are uniform.
    v = torch.full((1, 1, *TINY.output_shape), level)
    spread = {}
    for padding in ("replicate", "zeros"):
        torch.manual_seed(0)
        network = VQVAE(TINY.but(padding=padding))
        z = network.encoder(pad_to_multiple(network.to_input(v), 4, level))
        for stage in list(network.decoder)[2:4]:
            kernel = stage.enlarge.weight
            kernel.copy_(kernel.mean((2, 3, 4), keepdim=True).expand_as(kernel))
        out = network.decoder(z[..., :1, :1, :1].expand_as(z).contiguous())
        spread[padding] = [
            float((x.amax((2, 3, 4)) - x.amin((2, 3, 4))).max() / x.abs().max())
            for x in (z, out)
        ]
    assert max(spread["replicate"]) < 1e-4  # rounding
    assert min(spread["zeros"]) > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("padding", ["replicate", "zeros"])
def test_the_mean_of_27_background_voxels_is_background(padding):
    mean = Conv3d(1, 1, 3, padding=1, padding_mode=padding)
    nn.init.constant_(mean.weight, 1 / 27)
    nn.init.zeros_(mean.bias)
    found = mean(torch.full((1, 1, 5, 6, 7), BACKGROUND))[0, 0]
    face, corner = found[0, 2, 3].item(), found[0, 0, 0].item()
    wanted = (-1, -1) if padding == "replicate" else (-18 / 27, -8 / 27)
    assert (face, corner) == pytest.approx(wanted, abs=1e-6)
    assert found[2, 2, 3].item() == pytest.approx(-1, abs=1e-6)


@torch.no_grad()
def test_a_volume_at_input_size_is_taken_as_it_is(model):
    v = skulls()
    small = model.to_input(v)
    assert small.shape[2:] == TINY.input_shape
    assert torch.equal(model.to_input(small), small)
    assert torch.equal(model.encode(small), model.encode(v))


def test_paper_sizes_all_the_way(resize):
    resize(slab=1 << 27)  # a few slabs of a map, not dozens
    with FakeTensorMode():  # shapes without memory
        v = torch.empty(1, 1, *PAPER.output_shape)
        into = resample(v, PAPER.input_shape)
        assert into.shape[2:] == (374, 289, 420)
        padded = pad_to_multiple(into, 4, BACKGROUND)
        assert padded.shape[2:] == (376, 292, 420)
        model = VQVAE(PAPER)
        z = model.encode(v)
        assert z.shape == (1, 8, 94, 73, 105)
        assert model.decode_input_size(z).shape == (1, 1, 374, 289, 420)
        assert model.decode(z).shape == (1, 1, 456, 352, 512)


def test_padding_is_background_behind_the_far_faces():
    v = torch.rand(1, 1, 5, 6, 8)
    padded = pad_to_multiple(v, 4, BACKGROUND)
    assert padded.shape == (1, 1, 8, 8, 8)
    assert torch.equal(padded[..., :5, :6, :8], v)
    padded[..., :5, :6, :8] = BACKGROUND
    assert (padded == BACKGROUND).all()


class Ramp(nn.Module):
    """A decoder whose output is the coordinate along one axis, in input voxels."""

    def __init__(self, axis, padded):
        super().__init__()
        self.axis, self.padded = axis, padded

    def forward(self, q):
        shape = [1, 1, 1]
        shape[self.axis] = -1
        along = torch.arange(self.padded[self.axis]) + 0.5
        return along.view(shape).expand(len(q), 1, *self.padded)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", ["tiny", "quick"])
def test_cropping_comes_before_upsampling(axis, name):
    settings = preset(name).vqvae
    model = VQVAE(settings.but(codes=4))
    model.decoder = Ramp(axis, [4 * n for n in settings.latent_shape])
    v = model._head(torch.empty(1, 8, 1, 1, 1)).movedim(2 + axis, 0)
    v = v.flatten(1)[:, 0]
    # Output voxel i lies at (i + ½)/s' input voxels, s' the true ratio of the grids:
    # the same millimetres.  Edges repeat, so the outermost voxels are left out.
    out, into = settings.output_shape[axis], settings.input_shape[axis]
    want = (torch.arange(out) + 0.5) * into / out
    assert (v - want)[2:-2].abs().max() < 1e-4


def test_down_and_up_keep_a_ramp_in_place():
    ramp = (torch.arange(PAPER.output_shape[2]) + 0.5).expand(1, 1, 2, 2, -1)
    down = resample(ramp, (2, 2, PAPER.input_shape[2]))
    up = resample(down, (2, 2, PAPER.output_shape[2]))
    assert (up - ramp)[..., 2:-2].abs().max() < 1e-3


def test_other_sizes_are_refused(model):
    with pytest.raises(SkfmError, match="31×23×33.*expected 29×22×32"):
        model.encode(torch.zeros(1, 1, 31, 23, 33))


def test_the_gradient_passes_straight_through(monkeypatch):
    torch.manual_seed(0)
    model = VQVAE(TINY)
    monkeypatch.setattr(model, "_head", lambda q: q)
    straight, z, q, _ = model(skulls())
    assert torch.allclose(straight, q, atol=1e-6) and not torch.allclose(z, q)
    weight = torch.randn_like(q)
    (gradient,) = torch.autograd.grad((straight * weight).sum(), z)
    assert torch.equal(gradient, weight)


def test_losses_reach_encoder_and_decoder_but_no_code(model):
    model.zero_grad()
    reconstruction, commitment, z, indices, _ = model.loss(skulls())
    (reconstruction + 0.25 * commitment).backward()
    assert all(w.grad.abs().sum() > 0 for w in model.parameters())
    assert not model.codebook.vectors.requires_grad
    q = model.codebook.look_up(indices)
    assert commitment.item() == pytest.approx((z - q).square().mean().item())
    model.zero_grad()


@torch.no_grad()
def test_the_loss_is_taken_at_full_or_at_input_resolution():
    torch.manual_seed(0)
    v, plain = skulls(), TINY.but(forgive_overshoot=False)
    full = VQVAE(plain).eval()
    q = full.quantize(full.encode(v))[0]
    at_full = (full._head(q) - v).abs().mean()
    assert full.loss(v)[0].item() == pytest.approx(at_full.item(), rel=1e-4)
    small = VQVAE(plain.but(upsample=False)).eval()
    small.load_state_dict(full.state_dict())
    at_input = (full.decode_input_size(q) - full.to_input(v)).abs().mean()
    assert small.loss(v)[0].item() == pytest.approx(at_input.item(), rel=1e-4)
    assert at_full.item() != pytest.approx(at_input.item(), rel=1e-3)


def distance(forgive, v_hat, target):
    model = VQVAE(TINY.but(codes=4, forgive_overshoot=forgive))
    v_hat = torch.tensor(v_hat, requires_grad=True)
    value = model._distance(v_hat, torch.tensor(target))
    (gradient,) = torch.autograd.grad(value, v_hat)
    return value.item(), (gradient * len(v_hat)).tolist()


def test_overshoot_is_forgiven_on_the_right_side_only():
    assert distance(True, [1.5], [1.0]) == (0, [0])
    assert distance(True, [-3.0], [-1.0]) == (0, [0])
    assert distance(True, [1.5], [-1.0]) == (2.5, [1])
    assert distance(True, [-3.0], [1.0]) == (4, [-1])
    # A target between the two sides (at the input size) is to be met.
    assert distance(True, [1.5], [0.5]) == (1, [1])


def test_within_the_range_both_losses_are_l1():
    inside, targets = [-1.0, -0.5, 0.25, 0.75], [1.0, -1.0, 1.0, -1.0]
    assert distance(True, inside, targets) == distance(False, inside, targets)
    assert distance(False, inside, targets)[0] == pytest.approx(4.5 / 4 + 0.5 / 4)


def test_plain_l1_forgives_nothing():
    assert distance(False, [1.5], [1.0]) == (0.5, [1])
    assert distance(False, [-3.0], [-1.0]) == (2, [-1])


@torch.no_grad()
def test_an_untrained_decoder_starts_near_the_empty_volume(model):
    v = model.decode(model.quantize(model.encode(skulls()))[0])
    assert (v < 0).float().mean() > 0.95


def test_latents_stay_float32_under_mixed_precision():
    encoder = Encoder(TINY)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert encoder(torch.zeros(1, 1, 8, 8, 8)).dtype == torch.float32
