"""Names that say nothing of a patient.

File and folder names, like the tags inside, may hold a patient's name.  In a data set
a scan is called by a code: a hash, salted so that nobody can try names against it.
The salt lies beside the data set, not in it: whoever has the data set alone cannot
tell whose skull it is.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from skfm_lib.utils.errors import SkfmError

DIGITS = 10  # hexadecimal: two of 10,000 scans share a code once in 20,000 data sets


def salt_path(out: Path) -> Path:
    """Where the salt of the data set `out` lies: ``OUT.salt``, beside it."""
    out = Path(out).resolve()
    return out.with_name(out.name + ".salt")


def read_salt(out: Path) -> bytes:
    """The salt of the data set `out`, made where there is no data set yet.

    Only its owner can read it.  SkfmError where a data set has lost its salt, or the
    salt cannot be written.
    """
    path = salt_path(out)
    if path.is_file():
        return bytes.fromhex(path.read_text(encoding="ascii"))
    if (Path(out) / "settings.json").exists():
        raise SkfmError(
            f"{path} is gone, with which {out} was made",
            "the salt beside its data set",
            "put it back, or prepare into another folder",
        )
    salt = secrets.token_bytes(16)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
            file.write(salt.hex())
    except OSError as reason:
        raise SkfmError(
            f"{path} could not be written",
            "a folder with room that you may write to",
            "name another output folder",
        ) from reason
    return salt


def code(salt: bytes, text: str) -> str:
    """The code of a name: the first digits of its salted SHA-256 (HMAC)."""
    name = text.encode("utf-8", "surrogateescape")
    return hmac.new(salt, name, hashlib.sha256).hexdigest()[:DIGITS]
