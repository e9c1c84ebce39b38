"""`skfm check-device` on a CPU, and with ``pytest -m cuda`` on a GPU."""

import json

import pytest
import torch

from skfm_lib.benchmarks.device_check import CHECKS, agreement, as_page, check, report
from skfm_lib.cli.main import main
from skfm_lib.utils.device import Device, pick_device

QUICK = [
    "hardware",
    "networks agree with the CPU's",
    "operations agree with the CPU's",
    "large bf16 convolutions",
    "samplers",
    "rendering",
]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
@pytest.mark.parametrize("name", CHECKS)
def test_the_gpu(name):
    (finding,) = check(pick_device(), [name])
    assert not finding.failure


def test_a_cpu_passes(tmp_path, capsys):
    findings = check(pick_device(), QUICK)
    assert [one.failure for one in findings] == [""] * len(QUICK)
    page = as_page(findings)
    assert "6 of 6 checks passed" in page and "nearest code: equal" in page


def test_the_command_writes_its_results(tmp_path, capsys):
    path = tmp_path / "found.json"
    assert main(["check-device", "--only", "operations", "--json", str(path)]) == 0
    assert "1 of 1 checks passed" in capsys.readouterr().out
    (found,) = json.loads(path.read_text(encoding="utf-8")).values()
    assert found["values"]["ball query"] == "equal"
    assert main(["check-device", "--only", "nothing"]) == 1


def test_a_device_that_computes_wrongly_is_found(monkeypatch):
    monkeypatch.setattr(agreement, "farthest_points", wrong(agreement.farthest_points))
    monkeypatch.setattr(agreement.F, "conv3d", wrong(torch.nn.functional.conv3d))
    names = ["operations agree with the CPU's", "large bf16 convolutions"]
    first, second = check(Device(torch.device("cpu"), torch.bfloat16), names)
    assert "farthest points: " in first.failure and "differ" in first.failure
    assert "is off by" in second.failure
    assert "0 of 2 checks passed" in as_page([first, second])


def wrong(function):
    """The function, whose every second result is shifted by one."""
    calls = iter(range(10**6))
    return lambda *given, **more: function(*given, **more) + next(calls) % 2


def test_one_failure_does_not_stop_the_others(monkeypatch):
    def fails(device):
        raise RuntimeError("CUDA error: out of luck\nmore lines")

    monkeypatch.setitem(report.CHECKS, "hardware", fails)
    findings = check(pick_device(), ["hardware", "operations agree with the CPU's"])
    assert [one.failure for one in findings] == ["CUDA error: out of luck", ""]
    assert "FAILED  hardware" in as_page(findings)
