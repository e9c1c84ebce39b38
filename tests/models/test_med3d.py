"""Med3D has MedicalNet's shape and names, and reads its files."""

import pytest
import torch

from skfm_lib.errors import SkfmError
from skfm_lib.models.med3d import Med3D


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Med3D().eval()


def as_medicalnet(network):
    """The state as MedicalNet saves it: prefixed, without batch counters."""
    return {
        f"module.{name}": value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def test_parameter_count(network):
    """ResNet-50's 3-4-6-3 bottlenecks with 3-D kernels, counted by hand."""
    count, inputs = 64 * 343 + 2 * 64, 64
    for blocks, width in [(3, 64), (4, 128), (6, 256), (3, 512)]:
        for _ in range(blocks):
            count += inputs * width + 27 * width**2 + 4 * width**2 + 2 * 6 * width
            inputs = 4 * width
        before = 64 if width == 64 else 2 * width
        count += 4 * width * before + 2 * 4 * width
    assert sum(p.numel() for p in network.parameters()) == count


def test_output_stride_is_8_and_pooling_averages(network):
    v = torch.rand(2, 1, 24, 17, 32) * 2 - 1
    with torch.no_grad():
        maps, features = network.maps(v), network(v)
    assert maps.shape == (2, 2048, 3, 3, 4)
    assert features.shape == (2, 2048)
    assert torch.allclose(features, maps.mean(dim=(2, 3, 4)))


def test_the_last_stages_are_dilated_not_strided(network):
    steps = [
        [(b.conv2.stride[0], b.conv2.dilation[0], b.conv2.padding[0]) for b in stage]
        for stage in (network.layer1, network.layer2, network.layer3, network.layer4)
    ]
    assert steps[0] == [(1, 1, 1)] * 3
    assert steps[1] == [(2, 1, 1)] + [(1, 1, 1)] * 3
    assert steps[2] == [(1, 2, 2)] * 6
    assert steps[3] == [(1, 4, 4)] * 3


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
