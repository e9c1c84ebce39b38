"""The 3D U-Net: shapes, what it is conditioned on, what it refuses."""

import pytest
import torch

from skfm_lib.models import UNet3D
from skfm_lib.models.unet3d import OTHERS, Conditioning
from skfm_lib.presets import NO_LABEL, QUALITY_SCORES, preset
from skfm_lib.utils.errors import SkfmError

SETTINGS = preset("tiny").denoiser


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return UNet3D(SETTINGS.but(width=8, multipliers=(1, 2, 4))).eval()


def latents(*size, batch=1):
    rng = torch.Generator().manual_seed(1)
    return torch.randn(batch, SETTINGS.code_dim, *size, generator=rng)


@torch.no_grad()
@pytest.mark.parametrize("size", [(6, 5, 7), (8, 4, 12), (4, 4, 4), (9, 1, 3)])
def test_output_has_the_shape_of_the_input(network, size):
    z = latents(*size, batch=2)
    out = network(z, torch.tensor([0.2, 0.9]), torch.tensor([2, 6]))
    assert out.shape == z.shape and out.dtype == torch.float32
    assert out.isfinite().all()


@torch.no_grad()
def test_padding_is_the_networks_own_matter(network):
    z = latents(6, 5, 7)
    padded = torch.nn.functional.pad(z, (0, 1, 0, 3, 0, 2))
    complete = network(padded, 0.5, 3)
    assert torch.allclose(network(z, 0.5, 3), complete[..., :6, :5, :7], atol=1e-6)


@torch.no_grad()
def test_time_label_and_latent_all_matter(network):
    z = latents(4, 4, 4)
    outputs = [network(z, t, q) for t in (0.0, 0.5, 1.0) for q in (0, *QUALITY_SCORES)]
    outputs.append(network(z + 0.1, 0.5, 3))
    for i, a in enumerate(outputs):
        assert all((a - b).abs().max() > 1e-4 for b in outputs[:i])


@torch.no_grad()
def test_neighbouring_time_steps_differ(network):
    condition = Conditioning(32, 300)
    t = torch.arange(301) / 300
    rows = condition(t, torch.full((301,), 3))
    assert rows.shape == (301, 256)
    assert torch.cdist(rows, rows).fill_diagonal_(1).min() > 1e-3
    # The label is one half, the time the other.
    assert torch.equal(rows[0, 128:], rows[-1, 128:])
    assert torch.equal(rows[0, 128:], condition.label.weight[2])


@torch.no_grad()
def test_rows_of_a_batch_are_independent(network):
    z, t = latents(4, 5, 6, batch=3), torch.tensor([0.1, 0.5, 0.9])
    quality = torch.tensor([2, 4, NO_LABEL])
    together = network(z, t, quality)
    for i in range(3):
        alone = network(z[i : i + 1], t[i : i + 1], quality[i : i + 1])
        assert torch.allclose(together[i : i + 1], alone, atol=1e-5)


@torch.no_grad()
def test_numbers_stand_for_the_batch(network):
    z = latents(4, 4, 4, batch=2)
    rows = network(z, torch.full((2,), 0.3), torch.full((2,), 5))
    assert torch.equal(network(z, 0.3, 5), rows)


@pytest.mark.parametrize("quality", [1, 7, -1, torch.tensor([2, 1])])
def test_unknown_quality_scores_raise(network, quality):
    with pytest.raises(SkfmError, match="2 to 6"):
        network(latents(4, 4, 4, batch=2), 0.5, quality)


def test_every_weight_gets_a_gradient():
    torch.manual_seed(0)
    made = UNet3D(SETTINGS)
    made(
        latents(4, 4, 4, batch=6), 0.5, torch.tensor([0, 2, 3, 4, 5, 6])
    ).sum().backward()
    unused = [n for n, w in made.named_parameters() if w.grad is None]
    assert not unused


def test_the_paper_network_on_the_paper_latent():
    settings = preset("paper")
    with torch.device("meta"):
        made = UNet3D(settings.denoiser)
    widths = [level.block1.conv1.out_channels for level in made.down]
    assert widths == [32, 64, 128, 256] and len(made.downsample) == 3
    assert made.down[0].depth.heads == 8
    assert made.out.out_channels == settings.vqvae.code_dim


@torch.no_grad()
def test_a_step_size_changes_nothing_before_training(network):
    # Bit for bit, so that shortcut training starts from the very flow it is given.
    leaping = UNet3D(SETTINGS.but(width=8, multipliers=(1, 2, 4)), leaps=True).eval()
    leaping.load_state_dict({**leaping.state_dict(), **network.state_dict()})
    z, quality = latents(6, 5, 7, batch=2), torch.tensor([2, 5])
    plain = network(z, 0.5, quality)
    for d in (1.0, 0.25, 1 / 128, torch.tensor([0.5, 1 / 64])):
        assert torch.equal(leaping(z, 0.5, quality, d), plain)


@torch.no_grad()
def test_trained_step_sizes_differ():
    condition = Conditioning(16, 300, leaps=True)
    torch.nn.init.normal_(condition.leap[-1].weight)
    d = 2.0 ** -torch.arange(8)
    rows = condition(torch.full((8,), 0.5), torch.full((8,), 3), d)
    assert rows.shape == (8, 128)
    assert torch.cdist(rows, rows).fill_diagonal_(9).min() > 0.1


def test_a_step_size_goes_with_leaps_only(network):
    leaping = UNet3D(SETTINGS.but(width=8, multipliers=(1, 2)), leaps=True)
    for made, d in ((network, 0.5), (leaping, None)):
        with pytest.raises(SkfmError, match="step size"):
            made(latents(4, 4, 4), 0.5, 3, d)


def test_the_step_size_learns_from_the_first_step():
    leaping = UNet3D(SETTINGS.but(width=8, multipliers=(1, 2)), leaps=True)
    leaping(latents(4, 4, 4), 0.5, 3, 0.25).square().sum().backward()
    assert leaping.condition.leap[-1].weight.grad.abs().max() > 0


FIELDS = torch.tensor([[-40.0, 60.0], [-110.0, 120.0]])
WIDE = SETTINGS.but(width=8, multipliers=(1, 2, 4), field_of_view=True)


@torch.no_grad()
@pytest.mark.parametrize("leaps", [False, True])
def test_a_field_of_view_changes_nothing_before_training(network, leaps):
    # Bit for bit: a network without the condition is the same network.
    seeing = UNet3D(WIDE, leaps).eval()
    seeing.load_state_dict({**seeing.state_dict(), **network.state_dict()})
    z, quality = latents(6, 5, 7, batch=2), torch.tensor([2, 5])
    step = 0.5 if leaps else None
    found = seeing(z, 0.5, quality, step, field_of_view=FIELDS)
    assert torch.equal(found, network(z, 0.5, quality))


@torch.no_grad()
def test_trained_fields_of_view_differ():
    condition = Conditioning(32, 300, field_of_view=True)
    torch.nn.init.normal_(condition.heights[-1].weight)
    z = torch.arange(-120.0, 130, 5)
    fields = torch.cartesian_prod(z[:10], z[-10:])
    t, quality = torch.full((100,), 0.5), torch.full((100,), 3)
    rows = condition(t, quality, field_of_view=fields)
    plain = Conditioning(32, 300)
    plain.load_state_dict(condition.state_dict(), strict=False)
    assert rows.shape == plain(t, quality).shape == (100, 256)
    assert torch.cdist(rows, rows).fill_diagonal_(9).min() > 0.05
    # Heights of 1 mm apart are nearly the same.
    near = condition(t, quality, field_of_view=fields + 0.1)
    assert (near - rows).norm(dim=1).max() < 0.1 * torch.cdist(rows, rows).mean()


def test_a_field_of_view_goes_with_its_setting_only(network):
    for made, field in ((network, FIELDS), (UNet3D(WIDE), None)):
        with pytest.raises(SkfmError, match="field of view.*with this condition"):
            made(latents(4, 4, 4, batch=2), 0.5, 3, field_of_view=field)


def test_the_field_of_view_learns_from_the_first_step():
    made = UNet3D(WIDE)
    out = made(latents(4, 4, 4, batch=2), 0.5, 3, field_of_view=FIELDS)
    out.square().sum().backward()
    assert made.condition.heights[-1].weight.grad.abs().max() > 0


def test_a_copied_input_is_an_orthogonal_map_of_the_voxel():
    off = preset("tiny").denoiser
    torch.manual_seed(0)
    plain = UNet3D(off).first.weight
    torch.manual_seed(0)
    copied = UNet3D(off.but(copied=True)).first.weight
    extra = copied - OTHERS * plain
    centre = extra[:, :, 3, 3, 3]
    k, width = off.code_dim, off.width
    assert torch.allclose(centre.T @ centre, torch.eye(k) * width / k, atol=1e-5)
    extra[:, :, 3, 3, 3] = 0
    assert extra.abs().max() < 1e-7
