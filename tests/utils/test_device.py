"""Which device is picked; networks by the algorithms of a GPU, run on a CPU."""

import pytest
import torch

from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.models.aligner import Aligner
from skfm_lib.models.pointattn import PointAttN
from skfm_lib.presets import preset
from skfm_lib.utils import accelerator
from skfm_lib.utils.device import gpu_sizes, pick_device, planned
from skfm_lib.utils.errors import SkfmError

TINY = preset("tiny")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine without a GPU, and functions that give it one."""
    for name in ("SKFM_DEVICE", "CUDA_VISIBLE_DEVICES", *accelerator.GIVEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(accelerator, "NODE", tmp_path / "nvidia0")
    monkeypatch.setattr(accelerator, "DRIVER", tmp_path / "version")
    return tmp_path


def install_driver(machine, version="550.54.14"):
    (machine / "nvidia0").touch()
    text = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Thu Feb 22\n"
    (machine / "version").write_text(text, encoding="utf-8")


def test_a_machine_without_a_gpu_computes_on_its_cpu(machine):
    assert accelerator.device_type() == "cpu"
    assert pick_device().device == torch.device("cpu")
    assert accelerator.driver() is None


def test_a_gpu_that_cannot_be_used_is_not_passed_over(machine, monkeypatch):
    install_driver(machine)
    with pytest.raises(SkfmError, match="PyTorch cannot use.*SKFM_DEVICE=cpu"):
        pick_device()
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(SkfmError, match=r"driver 550\.54\.14, PyTorch for CUDA 13\.0"):
        pick_device()
    (machine / "version").unlink()
    with pytest.raises(SkfmError, match="there is no driver"):
        pick_device()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # hidden on purpose
    assert pick_device().device.type == "cpu"


def test_a_job_that_was_given_gpus_does_not_run_on_the_cpu(machine, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_GPUS", "0,1")
    with pytest.raises(SkfmError, match="PyTorch cannot use"):
        pick_device()
    monkeypatch.setenv("SKFM_DEVICE", "cpu")
    assert pick_device().device.type == "cpu"


def test_what_pytorch_warns_of_is_part_of_the_error(machine, monkeypatch):
    def old_driver():
        import warnings

        warnings.warn("the driver is too old (Triggered internally)", stacklevel=1)
        return False

    install_driver(machine)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", old_driver)
    with pytest.raises(SkfmError, match="too old; expected a driver for CUDA 13.0"):
        pick_device()


@pytest.mark.parametrize("wanted", ["cuda", "gpu"])
def test_another_device_than_there_is(machine, monkeypatch, wanted):
    monkeypatch.setenv("SKFM_DEVICE", wanted)
    with pytest.raises(SkfmError, match=f"SKFM_DEVICE={wanted}"):
        pick_device()


def test_old_gpus_are_named_and_bf16_is_for_new_ones():
    assert accelerator.check_capability((8, 0), "A100") == torch.bfloat16
    assert accelerator.check_capability((7, 5), "T4") == torch.float32
    with pytest.raises(SkfmError, match="V100 has compute capability 7.0.*7.5"):
        accelerator.check_capability((7, 0), "V100")


def test_a_gpu_computes_float32_in_float32(machine, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert pick_device().device == torch.device("cuda", 0)
    assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    with torch.backends.cudnn.flags(enabled=True):  # as other packages do
        pass
    assert not torch.backends.cudnn.allow_tf32


def gradients(network, loss):
    network.zero_grad()
    loss.backward()
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


def results(kind):
    """(output, gradients) of a network in float32."""
    torch.manual_seed(0)
    if kind == "vqvae":
        network = VQVAE(TINY.vqvae)
        v = (torch.rand(2, 1, *TINY.vqvae.output_shape) > 0.8).float() * 2 - 1
        found = network.loss(v)
        return found.v_hat, gradients(network, found.reconstruction + found.commitment)
    if kind == "unet":
        network = UNet3D(TINY.denoiser)
        z = torch.randn(2, TINY.vqvae.code_dim, *TINY.vqvae.latent_shape)
        out = network(z, torch.tensor([0.2, 0.7]), torch.tensor([3, 0]))
    elif kind == "aligner":
        network = Aligner(TINY.aligner)
        out = network(60 * torch.randn(2, TINY.aligner.points, 3))[0] / 60
    else:
        network = PointAttN(TINY.completer)
        out = network(60 * torch.randn(2, TINY.completer.points, 3))[2] / 60
    return out, gradients(network, out.square().mean())


@pytest.mark.parametrize("kind", ["vqvae", "unet", "aligner", "completer"])
def test_networks_by_the_algorithms_of_a_gpu_give_the_same(kind):
    wanted, of_wanted = results(kind)
    with planned(1 << 20):  # so small that maps are cut and recomputed
        found, of_found = results(kind)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert of_found.keys() == of_wanted.keys()
    for name, gradient in of_wanted.items():
        close = 1e-4 * gradient.abs().max() + 1e-7
        assert (of_found[name] - gradient).abs().max() < close, name


def test_sizes_grow_with_the_card():
    small, large = gpu_sizes(8 << 30), gpu_sizes(80 << 30)
    assert small.slab < large.slab and small.part < large.part
    assert small.saved < 2.95e9 < large.saved  # a map at the paper's full resolution
