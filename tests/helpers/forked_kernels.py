"""Kernels of chapters without the time that the third-party libraries take to load.

A kernel spends 5 s of CPU time on them, most of what a chapter at preset tiny takes.
Here a server (`multiprocessing.forkserver`) loads them once and forks the kernels: each
is a process of its own, which imports `skfm_lib` and runs its notebook as always.
"""

import multiprocessing
import os
import runpy
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

import pytest

LOADED = ["skfm_lib"]  # before torch: sets its environment
LOADED += ["ipykernel.kernelapp", "IPython.core.completer", "matplotlib.pyplot"]
LOADED += ["torch", "torch._dynamo", "safetensors.torch", "jaxtyping", "pandas"]
LOADED += ["scipy.stats", "scipy.interpolate", "skimage.measure", "trimesh", "pyvista"]
LOADED += ["SimpleITK", "nibabel", "pydicom", "yaml"]
LAUNCHER = "jupyter_client.provisioning.local_provisioner.launch_kernel"
INLINE = "module://matplotlib_inline.backend_inline"  # as kernels have


class Kernel(ForkServerProcess):
    """A kernel with those methods of `subprocess.Popen` that Jupyter calls."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


@contextmanager
def forked_kernels() -> Iterator[None]:
    """Inside, the kernels that this process starts are forked (on Linux)."""
    if sys.platform != "linux":  # libraries of macOS do not survive a fork
        yield
        return
    multiprocessing.set_forkserver_preload(LOADED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", INLINE)
        forkserver.ensure_running()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LAUNCHER, _launch)
        yield


def _launch(cmd: list[str], *, env: dict[str, str], **_: object) -> Kernel:
    grouped, there = multiprocessing.Pipe(duplex=False)
    kernel = Kernel(target=_kernel, args=(cmd, env, there))  # in this one's folder
    kernel.start()
    there.close()
    grouped.recv()  # Jupyter signals the group that it finds now
    return kernel


def _kernel(cmd: list[str], env: dict[str, str], grouped: Connection) -> None:
    """``python -m MODULE …`` in this process, which leads a group of its own."""
    os.setsid()
    grouped.send(None)
    threading.Thread(target=_end_with_its_starter, daemon=True).start()
    _fork_what_is_spawned()
    os.environ.clear()
    os.environ.update(env)
    _, _, module, *sys.argv[1:] = cmd
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_its_starter() -> None:
    """As `JPY_PARENT_PID` has it, which here would be the server's."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _fork_what_is_spawned() -> None:
    """Processes that this one spawns are forked by the server that forked this one."""
    context = multiprocessing.get_context("forkserver")
    multiprocessing.get_context = lambda method: context
    forkserver._forkserver.ensure_running = lambda: None
