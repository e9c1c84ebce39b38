"""Batches ahead of time: the same ones, once each, and errors where they belong."""

import threading

import pytest
import torch

from skfm_lib.utils import prefetch
from skfm_lib.utils.device import Device
from skfm_lib.utils.prefetch import Prefetch

CPU = Device(torch.device("cpu"), torch.float32)


class Elsewhere(Device):
    """A CPU that is taken for a GPU."""

    def to_device(self, item):
        return item


@pytest.fixture(params=["cpu", "gpu"])
def device(request):
    if request.param == "cpu":
        return CPU
    return Elsewhere(torch.device("meta"), torch.float32)


def test_every_step_gets_its_batch(device):
    made = []

    def make(step):
        made.append((step, threading.current_thread()))
        return torch.tensor(step), torch.tensor(-step)

    batches = Prefetch(make, 4, device)
    for step in (2, 3, 4):
        assert [t.item() for t in batches(step)] == [step, -step]
    batches.close()
    assert [step for step, _ in made] == [2, 3, 4]  # none beyond the last
    own = threading.current_thread()
    ahead = device is not CPU
    assert [thread is own for _, thread in made] == [True, not ahead, not ahead]


def test_an_error_is_raised_by_the_step_that_it_belongs_to(device):
    def make(step):
        if step == 1:
            raise ValueError("step 1")
        return (torch.zeros(1),)

    batches = Prefetch(make, 4, device)
    batches(0)
    with pytest.raises(ValueError, match="step 1"):
        batches(1)
    batches.close()


def test_waiting_is_measured_and_hidden_behind_the_step(device, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(prefetch.time, "monotonic", lambda: clock[0])

    def make(step):
        clock[0] += 1  # a second
        return (torch.zeros(1),)

    ahead = Prefetch(make, 5, device)
    for step in range(4):
        ahead(step)
        if ahead._next:
            ahead._next[1].result()  # the step's own work takes longer
    ahead.close()
    assert ahead.waited == (4 if device is CPU else 1)
