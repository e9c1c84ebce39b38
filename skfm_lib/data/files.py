"""Files that are either whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skfm_lib.errors import SkfmError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends.

    The temporary name keeps the whole suffix, because readers and writers choose
    the format by it.  Missing folders are made.  If the block fails, `path` stays
    as it was, nothing is left beside it, and OSError and ITK's RuntimeError (full
    disk, no permission) become SkfmError.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as reason:
        raise SkfmError(
            f"{path} could not be written ({_last_line(reason)})",
            "a folder with room that you may write to",
            "free some space or name another output folder",
        ) from reason
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def _last_line(reason: Exception) -> str:
    return (str(reason).strip() or type(reason).__name__).splitlines()[-1]
