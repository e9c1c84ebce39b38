"""Files that are either whole or not there."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from skfm_lib.utils.errors import SkfmError

DOUBLE_SUFFIXES = (".nii.gz", ".tar.gz")


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


def write_json(path: Path, content: Mapping) -> None:
    """Write JSON so that the file is whole or absent; named tuples become objects."""
    text = json.dumps(_plain(content), indent=2)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _plain(value: object) -> object:
    """Named tuples within `value` as dictionaries, which JSON would make lists."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(i) for i in value] if isinstance(value, (list, tuple)) else value


def read_json(path: Path, *keys: str) -> dict:
    """The content of a JSON file with these keys; SkfmError if missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not content.keys() >= set(keys):
            raise ValueError(f"it lacks {' or '.join(keys) or 'an object'}")
        return content
    except (OSError, ValueError) as error:
        raise SkfmError(
            f"{path}: {error}", "a JSON record", "remove it and run the stage again"
        ) from error


def clear_leftovers(folder: Path) -> None:
    """Remove temporary files of `replacing` in a folder whose process was killed."""
    for path in folder.glob(".*-*"):
        process = path.name[1:].partition("-")[0]
        if process.isdigit() and not _lives(int(process)):
            path.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    """Whether there is a process of that number; True where one cannot ask."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def suffix(path: Path | str) -> str:
    """The suffix that names the format, in lower case: ``.nii.gz``, ``.stl`` …"""
    name = os.path.basename(path).lower()  # a Path per file would be slow
    last = os.path.splitext(name)[1]
    return next((s for s in DOUBLE_SUFFIXES if name.endswith(s)), last)


def stem(path: Path) -> str:
    """The file name without the suffix that names the format."""
    return Path(path).name[: -len(suffix(path)) or None]


def check_present(path: Path, suffixes: tuple[str, ...]) -> None:
    """SkfmError unless `path` is a file of one of the types, with something in it."""
    if not path.is_file():
        raise SkfmError(f"{path} does not exist", "a file", "check the name")
    check_suffix(path, suffixes)
    if path.stat().st_size == 0:
        raise unreadable(path, "it is empty")


def check_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    """SkfmError unless the name of `path` ends in one of the suffixes."""
    if suffix(path) not in suffixes:
        raise SkfmError(
            f"{path}: unknown file type {suffix(path) or '(no suffix)'}",
            " ".join(suffixes),
            "convert or rename the file",
        )


def unreadable(path: Path, reason: str = "it is damaged") -> SkfmError:
    """The error for a file that a reader gave up on.

    `reason` is this library's: what a reader says may quote a patient's data.
    """
    return SkfmError(
        f"{path} cannot be read ({reason})",
        "a whole " + suffix(path) + " file",
        "copy or export it again",
    )


def _last_line(reason: object) -> str:
    return (str(reason).strip() or type(reason).__name__).splitlines()[-1]
