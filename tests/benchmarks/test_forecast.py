"""Plans: what is counted on tensors without data is what real ones take."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from skfm_lib.benchmarks import forecast
from skfm_lib.benchmarks.forecast import GIB, Forecast, as_text, count, parts
from skfm_lib.cli import main
from skfm_lib.presets import preset
from skfm_lib.training.memory_plan import denoiser_step, gpu_cost
from skfm_lib.utils.counters import FlopCount, MemoryCount
from skfm_lib.utils.device import Device, pick_device, planned


def test_alive_sees_the_largest_sum_of_tensors_alive_at_once():
    with MemoryCount() as alive:
        a = torch.zeros(1000, dtype=torch.float64)
        b = a + 1
        del a
        c = b.view(10, 100)[0] * 2
        del b, c
        torch.ones(500, dtype=torch.float64)
    assert alive.peak == 16_000
    assert alive.now == 0


@pytest.mark.parametrize("number", range(9))
def test_counted_without_data_as_with(number):
    part, device = parts(preset("tiny"))[number], pick_device()
    part.to_device(device)
    with MemoryCount() as alive, FlopCount() as flops:
        part.run(device)
    cost = count(part, device.dtype)
    assert cost.flops == flops.total
    # Gradients of weights stay with real networks; casts come in another order.
    assert cost.peak == pytest.approx(alive.peak, rel=0.1)


def test_the_rehearsal_is_smaller_and_never_larger():
    full, small = parts(preset("paper")), parts(preset("paper"), forecast.REHEARSAL)
    assert [p.stage for p in full] == [p.stage for p in small]
    tiny = preset("tiny")
    one, other = parts(tiny)[4], parts(tiny, tiny.data.size)[4]
    assert count(one, torch.float32) == count(other, torch.float32)


def test_the_weights_of_discriminators_count():
    plain, *_, gan = parts(preset("tiny"))
    assert gan.stage.startswith("10 VQ-GAN") and len(gan.others) == 2
    assert gan.weights > 2 * plain.weights


def test_a_step_with_fields_of_view_is_counted_with_their_embedding():
    settings = preset("tiny").denoiser
    plain, seeing = (
        denoiser_step(settings.but(field_of_view=on), (6, 5, 7)) for on in (False, True)
    )
    assert seeing.weights > plain.weights
    more, less = (count(part, torch.float32).flops for part in (seeing, plain))
    assert more > less


def test_what_does_not_fit_is_said():
    tera = 10**12
    found = [
        Forecast("a", 10 * GIB, tera, 2.0, 3),
        Forecast("b", 30 * GIB, tera, 1.0, 1),
        Forecast("c", 1 * GIB, tera, None, 7),
    ]
    lines = as_text(found, limit=24).splitlines()
    assert "fits" in lines[0] and "2 s × 3 = 6 s" in lines[0]
    assert "TOO LARGE" in lines[1]
    assert lines[2].endswith("1 TFLOP × 7")  # no time without a rate
    assert "fits" not in as_text(found)


@pytest.fixture
def few(monkeypatch):
    """Two parts of preset tiny in place of all."""
    some = [part for part in parts(preset("tiny")) if part.stage[:2] in ("05", "09")]
    monkeypatch.setattr(forecast, "parts", lambda *settings: some[1:])


def test_command(few, capsys):
    assert main.main(["plan", "--preset", "tiny", "--memory", "1000"]) == 0
    assert "05 a skull decoded" in capsys.readouterr().out
    assert main.main(["plan", "--preset", "tiny", "--memory", "0.01"]) == 1
    assert main.main(["plan", "--tflops", "20"]) == 1
    assert "--tflops without --gpu" in capsys.readouterr().err


def test_a_gpu_that_is_elsewhere(few, capsys):
    assert main.main(["plan", "--preset", "tiny", "--gpu", "0.5"]) == 1
    out = capsys.readouterr().out
    assert "09 completer" in out and "TFLOP ×" in out and "TOO LARGE" in out
    assert main.main(["plan", "--preset", "tiny", "--gpu", "8", "--tflops", "20"]) == 0
    assert "TFLOP ×" not in capsys.readouterr().out


def test_the_papers_largest_step_fits_on_a_gpu_of_40_gib():
    peak, _ = gpu_cost(parts(preset("paper"))[0], 40 * GIB)
    assert 10 * GIB < peak < 40 * GIB


class Launches(TorchDispatchMode):
    """Counts operations that launch a kernel."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        quiet = func.is_view or func.overloadpacket.__name__ in ("device", "empty")
        self.count += not quiet
        return func(*args, **(kwargs or {}))


def test_steps_of_the_papers_size_launch_few_kernels():
    device = Device(torch.device("cpu"), torch.bfloat16)
    limits = {
        "02 VQ-VAE, a training step": 2_000,  # 1,777: borders are small kernels
        "03, 04, 17 U-Net, a training step": 8_000,
    }
    for part in parts(preset("paper")):
        if part.stage in limits:
            device.to_device(part.network)
            fake = FakeTensorMode(allow_non_fake_inputs=True)
            with planned(80 * GIB), fake, Launches() as launches:
                part.run(device)
            assert launches.count <= limits[part.stage]
