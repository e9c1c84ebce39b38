"""Run the study's notebooks by papermill, and say how far they are."""

import contextlib
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from skfm_lib.utils.errors import Interrupted, SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.paths import project_root
from skfm_lib.utils.progress import clock


def find_notebook(number: str) -> Path:
    """The source notebook whose name starts with `number`, such as ``03``."""
    folder = project_root() / "notebooks"
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    chosen = [p for p in found if p.stem == number or p.stem[:2] == number.zfill(2)]
    if not chosen:
        numbers = ", ".join(p.stem for p in found)
        raise SkfmError(f"no notebook {number!r}", f"one of {numbers}")
    return chosen[0]


def run_notebook(source: Path, target: Path, parameters: Mapping[str, object]) -> float:
    """Execute `source` with `parameters`; the record goes to `target`.

    A record that ended in an error is kept beside it as ``NAME.failed.ipynb``, and
    leaves a former good one alone.

    Returns:
        The seconds that it took.

    Raises:
        SkfmError: for a parameter that the notebook does not have and, in one line, for
            whatever the notebook itself raised (Interrupted for that), and for a
            kernel that died.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    known = papermill.inspect_notebook(str(source))
    for name in parameters:
        if name not in known:
            raise SkfmError(
                f"{source.stem} has no parameter {name!r}", f"one of {', '.join(known)}"
            )
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, _live_line(source.stem):
        record = Path(folder) / source.name
        try:
            papermill.execute_notebook(
                str(source),
                str(record),
                dict(parameters),
                cwd=str(project_root()),
                progress_bar=False,
                # A kernel that is ended while it works reports a trace of its sockets.
                extra_arguments=["--log-level=CRITICAL"],
            )
        except papermill.PapermillExecutionError as error:
            if (target.parents[1] / "run.json").is_file():  # a stage had begun
                _keep(record, target.with_suffix(".failed.ipynb"))
            kind = Interrupted if error.ename == Interrupted.__name__ else SkfmError
            raise kind(f"{source.stem}: {error.evalue}") from error
        except DeadKernelError as error:
            raise SkfmError(
                f"{source.stem}: its kernel died without a message",
                "enough memory, and a library that draws without a display",
                "skfm plan; skfm check-device --only rendering",
            ) from error
        except KeyboardInterrupt:
            # The cell's task is left behind; its long trace would follow our one line.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            raise
        _keep(record, target)
        target.with_suffix(".failed.ipynb").unlink(missing_ok=True)
    seconds = time.monotonic() - started
    print(f"{source.stem} · {clock(seconds)} → {_relative(target)}", flush=True)
    return seconds


def _keep(record: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(record, temporary)


@contextlib.contextmanager
def _live_line(label: str) -> Iterator[None]:
    """Show the progress line of the kernel, unless another process will."""
    if "SKFM_PROGRESS" in os.environ:
        yield
        return
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        line = Path(folder) / "progress"
        os.environ["SKFM_PROGRESS"] = str(line)
        watcher = threading.Thread(target=_watch, args=(label, line, stop))
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            del os.environ["SKFM_PROGRESS"]


def _watch(label: str, line: Path, stop: threading.Event) -> None:
    terminal = sys.stderr.isatty()
    while not stop.wait(0.5 if terminal else 30.0):
        text = line.read_text(encoding="utf-8") if line.is_file() else "starting"
        start, end = ("\r\033[K", "") if terminal else ("", "\n")
        print(f"{start}{label} · {text}", end=end, file=sys.stderr, flush=True)
    if terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _relative(path: Path) -> Path:
    root = project_root()
    return path.relative_to(root) if path.is_relative_to(root) else path
