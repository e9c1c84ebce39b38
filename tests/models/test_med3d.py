"""Med3D has MedicalNet's shape, names and values, and reads its files."""

import pytest
import torch
import torch.nn.functional as F
from monai.networks.nets import resnet50

from skfm_lib.models.med3d import Med3D
from skfm_lib.utils.errors import SkfmError


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Med3D().eval()


@pytest.fixture(scope="module")
def lively():
    """Random weights and statistics that use every term of the normalisation."""
    rng = torch.Generator().manual_seed(1)
    network = Med3D()
    for name, value in network.state_dict().items():
        if name.endswith("running_var") or ("bn" in name and name.endswith("weight")):
            value.uniform_(0.5, 1.5, generator=rng)
        elif value.ndim == 1:
            value.normal_(0, 0.2, generator=rng)
        elif value.ndim == 5:
            value.normal_(0, (1 / value[0].numel()) ** 0.5, generator=rng)
    return network.eval()


def literal(state, v):
    """MedicalNet's ResNet-50 (type B) up to its head, one published line at a time."""

    def conv(x, name, **how):
        return F.conv3d(x, state[f"{name}.weight"], **how)

    def norm(x, name):
        shape = (1, -1, 1, 1, 1)
        mean, var, gain, shift = (
            state[f"{name}.{part}"].view(shape)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * gain + shift

    x = norm(conv(v, "conv1", stride=2, padding=3), "bn1").relu()
    x = F.max_pool3d(x, kernel_size=3, stride=2, padding=1)
    for layer, blocks, stride, dilation in [
        (1, 3, 1, 1), (2, 4, 2, 1), (3, 6, 1, 2), (4, 3, 1, 4),
    ]:  # fmt: skip
        for block in range(blocks):
            at, step = f"layer{layer}.{block}", stride if block == 0 else 1
            y = norm(conv(x, f"{at}.conv1"), f"{at}.bn1").relu()
            how = {"stride": step, "padding": dilation, "dilation": dilation}
            y = norm(conv(y, f"{at}.conv2", **how), f"{at}.bn2").relu()
            y = norm(conv(y, f"{at}.conv3"), f"{at}.bn3")
            if block == 0:
                x = conv(x, f"{at}.downsample.0", stride=step)
                x = norm(x, f"{at}.downsample.1")
            x = (y + x).relu()
    return x


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def test_equals_the_published_network_written_out(lively):
    torch.manual_seed(2)
    v = torch.rand(2, 1, 33, 28, 40) * 2 - 1
    with torch.no_grad():
        expected = literal(lively.state_dict(), v)
        assert relative(lively.maps(v), expected) <= 1e-5
        assert relative(lively(v), expected.mean(dim=(2, 3, 4))) <= 1e-5
    assert expected.mean(dim=(2, 3, 4)).std(dim=0).max() > 1e-3


def test_equals_monai_resnet_dilated_as_medicalnet(lively):
    other = resnet50(
        spatial_dims=3, n_input_channels=1, feed_forward=False, shortcut_type="B",
        bias_downsample=False, conv1_t_stride=2,
    ).eval()  # fmt: skip
    other.load_state_dict(lively.state_dict())
    for stage, dilation in ((other.layer3, 2), (other.layer4, 4)):
        stage[0].downsample[0].stride = (1, 1, 1)
        for block in stage:
            block.conv2.stride = (1, 1, 1)
            block.conv2.padding = block.conv2.dilation = (dilation,) * 3
    v = torch.rand(1, 1, 24, 32, 17)
    with torch.no_grad():
        assert relative(lively(v), other(v)) <= 1e-5


def test_features_are_taken_at_the_papers_input(tmp_path, network):
    assert Med3D().input_shape == (192, 148, 216)
    torch.save({"state_dict": as_medicalnet(network)}, tmp_path / "resnet_50.pth")
    small = Med3D.load(tmp_path / "resnet_50.pth", input_shape=(16, 12, 18))
    assert small.description == "Med3D features (resnet_50.pth, at 16×12×18)"
    blocks = torch.rand(2, 1, 8, 6, 9) < 0.4
    fine = blocks.repeat_interleave(6, 2).repeat_interleave(6, 3)
    fine = fine.repeat_interleave(6, 4).float() * 2 - 1
    coarse = blocks.repeat_interleave(2, 2).repeat_interleave(2, 3)
    coarse = coarse.repeat_interleave(2, 4).float() * 2 - 1
    with torch.no_grad():
        expected = small(coarse)
        assert torch.allclose(small.features(coarse), expected)
        assert torch.allclose(small.features(0.1 * fine), expected)
        assert not torch.allclose(small(fine), expected)


def as_medicalnet(network):
    """The state as MedicalNet saves it: prefixed, without batch counters."""
    return {
        f"module.{name}": value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def test_reads_medicalnet_files(network, tmp_path):
    state = as_medicalnet(network)
    assert {"module.conv1.weight", "module.layer3.5.bn3.running_var"} < set(state)
    assert "module.layer1.0.downsample.1.weight" in state
    state["module.conv_seg.0.weight"] = torch.zeros(3)
    torch.save({"state_dict": state}, tmp_path / "resnet_50.pth")
    loaded = Med3D.load(tmp_path / "resnet_50.pth")
    v = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        assert not loaded.training and torch.equal(loaded(v), network(v))


def test_other_files_are_refused(network, tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(SkfmError, match="no file .*weights.pth.*download"):
        Med3D.load(path)
    small = {"module.conv1.weight": torch.zeros(64, 1, 7, 7, 7)}
    torch.save({"state_dict": small}, path)
    with pytest.raises(SkfmError, match="other weights.*Missing key"):
        Med3D.load(path)
    torch.save(small, path)
    with pytest.raises(SkfmError, match="no 'state_dict'"):
        Med3D.load(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(SkfmError, match="cannot be read as weights"):
        Med3D.load(path)
    path.write_text("not weights")
    with pytest.raises(SkfmError, match="cannot be read as weights"):
        Med3D.load(path)


def test_one_weight_too_many_or_of_another_shape_is_refused(network, tmp_path):
    state = as_medicalnet(network)
    for name in ("module.fc.weight", "module.bn1.bias"):
        wrong = {"state_dict": {**state, name: torch.zeros(3)}}
        torch.save(wrong, tmp_path / "x.pth")
        with pytest.raises(SkfmError, match=f"other weights.*{name[7:]}"):
            Med3D.load(tmp_path / "x.pth")
