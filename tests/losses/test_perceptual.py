"""LPIPS against a literal evaluation, and what files it refuses."""

import pytest
import torch
from torch.nn import functional as F

from skfm_lib.losses.perceptual import HEADS, LPIPS, VGG, StudyDistance
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.utils.errors import SkfmError

# torchvision's VGG-16: the numbers of its convolutions and what goes in and out.
NUMBERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
READ_AT = {2: 64, 7: 128, 14: 256, 21: 512, 28: 512}  # relu1_2, 2_2, 3_3, 4_3, 5_3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Random weights in files of the published names, keys and shapes."""
    folder = tmp_path_factory.mktemp("lpips")
    rng, vgg = torch.Generator().manual_seed(0), {}
    for number, inputs, outputs in zip(NUMBERS, WIDTHS, WIDTHS[1:]):
        weight = torch.randn(outputs, inputs, 3, 3, generator=rng)
        vgg[f"features.{number}.weight"] = weight * (2 / (9 * inputs)) ** 0.5
        vgg[f"features.{number}.bias"] = torch.randn(outputs, generator=rng) / 10
    vgg["classifier.0.bias"] = torch.zeros(4096)  # there, and not wanted
    heads = {
        f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1, generator=rng)
        for i, c in enumerate(READ_AT.values())
    }
    torch.save(vgg, folder / VGG)
    torch.save(heads, folder / HEADS)
    return folder


def literal(folder, a, b):
    """LPIPS of two grey images (H, W), as in its paper."""
    vgg, heads = (torch.load(folder / name, weights_only=True) for name in (VGG, HEADS))
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    x = (torch.stack([a, b])[:, None].expand(2, 3, *a.shape) - shift) / scale
    total, level = 0.0, 0
    for number in range(29):
        if f"features.{number}.weight" in vgg:
            given = (vgg[f"features.{number}.{k}"] for k in ("weight", "bias"))
            x = F.relu(F.conv2d(x, *given, padding=1))
            if number in READ_AT:
                unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
                squares = (unit[0] - unit[1]).square()
                head = heads[f"lin{level}.model.1.weight"][0]
                total, level = total + (head * squares).sum(0).mean().item(), level + 1
        elif number in (4, 9, 16, 23):
            x = F.max_pool2d(x, 2)
    return total


def test_lpips_equals_the_published_formula(folder):
    network, rng = LPIPS.load(folder), torch.Generator().manual_seed(1)
    v, v_hat = (torch.rand(2, 1, 3, 33, 40, generator=rng) * 2 - 1 for _ in "ab")
    items = torch.tensor([2, 0])
    each = [literal(folder, v[i, 0, k], v_hat[i, 0, k]) for i, k in enumerate(items)]
    assert network(v, v_hat, items).item() == pytest.approx(sum(each) / 2, rel=1e-5)
    assert network(v, v, items).item() == 0


def test_gradients_are_finite_and_reach_the_slices_only(folder):
    network = LPIPS.load(folder)
    v = -torch.ones(1, 1, 3, 32, 32)  # empty slices have many features that are zero
    v_hat = v.clone().requires_grad_()
    network(v, v_hat, torch.tensor([1])).backward()
    assert v_hat.grad.isfinite().all()
    v_hat = (v + torch.rand(v.shape)).requires_grad_()
    network(v, v_hat, torch.tensor([1])).backward()
    assert v_hat.grad[:, :, 1].abs().sum() > 0
    assert v_hat.grad[:, :, [0, 2]].abs().sum() == 0
    assert not any(w.requires_grad for w in network.parameters())


@pytest.fixture
def copy(folder, tmp_path):
    for name in (VGG, HEADS):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", [VGG, HEADS])
def test_a_missing_file_is_named_with_its_source(copy, name):
    (copy / name).unlink()
    with pytest.raises(SkfmError, match=f"no file .*{name}.*next: put"):
        LPIPS.load(copy)


@pytest.mark.parametrize("name", [VGG, HEADS])
def test_a_damaged_file_is_reported(copy, name):
    (copy / name).write_bytes((copy / name).read_bytes()[:-300])
    with pytest.raises(SkfmError, match=f"{name} cannot be read as weights"):
        LPIPS.load(copy)


def test_other_weights_are_reported(copy):
    torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, copy / VGG)
    with pytest.raises(SkfmError, match="other weights.*features.0.bias.*next: put"):
        LPIPS.load(copy)
    torch.save([1, 2], copy / VGG)
    with pytest.raises(SkfmError, match="no weights by name"):
        LPIPS.load(copy)


def test_heads_of_another_network_are_reported(copy):
    torch.save({"lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}, copy / HEADS)
    with pytest.raises(SkfmError, match="other weights.*Missing key.*heads.1"):
        LPIPS.load(copy)
    five = {f"lin{i}.model.1.weight": torch.zeros(1, 64, 1, 1) for i in range(5)}
    torch.save(five, copy / HEADS)
    with pytest.raises(SkfmError, match="other weights.*size mismatch for heads.1"):
        LPIPS.load(copy)


class Code:
    def __reduce__(self):
        return (print, ("run",))


def test_a_file_that_would_run_code_is_refused(copy, capsys):
    torch.save({"features.0.weight": Code()}, copy / VGG)
    with pytest.raises(SkfmError, match="cannot be read as weights"):
        LPIPS.load(copy)
    assert "run" not in capsys.readouterr().out


def test_the_offline_distance_is_between_unit_features_of_volumes():
    torch.manual_seed(0)
    network = StudyFeatures().eval()
    v, v_hat = torch.randn(2, 1, 16, 16, 16), torch.randn(2, 1, 16, 16, 16)
    wanted = 0.0
    for a, b in zip(network.maps(v), network.maps(v_hat)):
        wanted += (1 - F.cosine_similarity(a, b, dim=1)).mean().item() / 3
    distance = StudyDistance(network)
    items = torch.zeros(2, dtype=torch.long)
    assert distance(v, v_hat, items).item() == pytest.approx(wanted, rel=1e-4)
    assert distance(v, v, items).item() == 0
