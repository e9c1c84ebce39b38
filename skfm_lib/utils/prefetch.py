"""The data of the next step, prepared while a GPU computes this one."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from skfm_lib.utils.device import Device

Batch = tuple[Tensor, ...]


class Prefetch:
    """``prefetch(step)`` is ``make(step)`` on the device; one step ahead on a GPU.

    For a GPU, `make` runs in a thread of its own, and its tensors are copied from
    pinned memory.  On a CPU a thread would compete with the step for the cores.

    Attributes:
        waited: seconds for which steps have waited for data.
    """

    def __init__(self, make: Callable[[int], Batch], last: int, device: Device) -> None:
        self.make, self.last, self.device = make, last, device
        self.waited = 0.0
        ahead = device.device.type != "cpu"
        self._thread = ThreadPoolExecutor(1) if ahead else None
        self._next: tuple[int, Future[Batch]] | None = None

    def __call__(self, step: int) -> Batch:
        started = time.monotonic()
        if self._next and self._next[0] == step:
            batch = self._next[1].result()
        else:
            batch = self._made(step)
        self.waited += time.monotonic() - started
        self._next = None
        if self._thread and step < self.last:
            self._next = step + 1, self._thread.submit(self._made, step + 1)
        return tuple(map(self.device.to_device, batch))

    def close(self) -> None:
        """End the thread."""
        if self._thread:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def _made(self, step: int) -> Batch:
        batch = self.make(step)
        if self.device.device.type != "cuda":
            return batch
        return tuple(part.pin_memory() for part in batch)
