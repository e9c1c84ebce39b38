"""Plans: what is counted on tensors without data is what real ones take."""

import pytest
import torch

from skfm_lib.benchmarks import forecast
from skfm_lib.benchmarks.counters import FlopCount, MemoryCount
from skfm_lib.benchmarks.forecast import GIB, Forecast, as_text, count, parts
from skfm_lib.cli import main
from skfm_lib.presets import preset
from skfm_lib.utils.device import pick_device


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


@pytest.mark.parametrize("number", range(5))
def test_counted_without_data_as_with(number):
    part, device = parts(preset("tiny"))[number], pick_device()
    device.to_device(part.network)
    with MemoryCount() as alive, FlopCount() as flops:
        part.run(device)
    cost = count(part, device)
    assert cost.flops == flops.total
    # Gradients of weights stay with real networks; casts come in another order.
    assert cost.peak == pytest.approx(alive.peak, rel=0.1)


def test_the_rehearsal_is_smaller_and_never_larger():
    full, small = parts(preset("paper")), parts(preset("paper"), forecast.REHEARSAL)
    assert [p.stage for p in full] == [p.stage for p in small]
    tiny = preset("tiny")
    assert count(parts(tiny)[4], pick_device()) == count(
        parts(tiny, tiny.data.size)[4], pick_device()
    )


def test_what_does_not_fit_is_said():
    found = [Forecast("a", 10 * GIB, 2.0, 3), Forecast("b", 30 * GIB, 1.0, 1)]
    lines = as_text(found, limit=24).splitlines()
    assert "fits" in lines[0] and "2 s × 3 = 6 s" in lines[0]
    assert "TOO LARGE" in lines[1]
    assert "fits" not in as_text(found)


def test_command(capsys, monkeypatch):
    found = forecast.forecast(preset("tiny"))
    monkeypatch.setattr(forecast, "forecast", lambda settings: found)
    assert main.main(["plan", "--preset", "tiny", "--memory", "1000"]) == 0
    assert "VQ-VAE" in capsys.readouterr().out
    assert main.main(["plan", "--preset", "tiny", "--memory", "0.01"]) == 1
