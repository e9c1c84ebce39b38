"""Names for skulls that do not identify a patient.

File names, folder names and DICOM tags may contain a patient's name.  In a data set,
a scan is therefore named by a salted hash.  The salt prevents anyone from testing
names against the hash; it is stored beside the data set, not in it.
"""

import hashlib
import hmac
import secrets
from collections import Counter
from pathlib import Path

from skfm_lib.prepare.found import Found
from skfm_lib.prepare.source import one_line
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

DIGITS = 10  # hexadecimal; two of 10,000 scans collide in one of 20,000 data sets


def salt_path(out: Path) -> Path:
    """The file with the salt of the data set `out`: ``OUT.salt``, beside it."""
    out = Path(out).resolve()
    return out.with_name(out.name + ".salt")


def read_salt(out: Path) -> bytes:
    """The salt of the data set `out`; created, if there is no data set yet.

    The file is readable by its owner only.  SkfmError if the salt of an existing data
    set is missing, or a new one cannot be written.
    """
    path = salt_path(out)
    if path.is_file():
        return bytes.fromhex(path.read_text(encoding="ascii"))
    if (Path(out) / "settings.json").exists():
        found = f"{path} is missing, with which {out} was made"
        remedy = "put it back, or prepare into another folder"
        raise SkfmError(found, "the salt beside its data set", remedy)
    salt = secrets.token_bytes(16)
    with replacing(path) as temporary:
        temporary.touch(0o600)
        temporary.write_text(salt.hex(), encoding="ascii")
    return salt


def pseudonym(salt: bytes, text: str) -> str:
    """The code for a name: the first digits of its HMAC-SHA-256.

    >>> pseudonym(b"salt", "Jane Doe")
    '47b3aaa110'
    """
    name = text.encode("utf-8", "surrogateescape")
    return hmac.new(salt, name, hashlib.sha256).hexdigest()[:DIGITS]


def names_of(found: Found, salt: bytes, keep_names: bool) -> dict[str, str]:
    """Key or patient → name in the data set: a code, or the name of the file.

    SkfmError with `keep_names`, if two scans have one name.
    """
    keys = [s.key for s in found.sources] + list(found.problems)
    patients = [source.patient for source in found.sources]
    if not keep_names:
        return {text: pseudonym(salt, text) for text in keys + patients}
    own = {source.key: one_line(source.name) for source in found.sources}
    own |= {
        source.key: one_line(f"{source.patient} {source.name}".replace("/", "-"))
        for source in found.sources
        if source.suffix == "dicom"  # series of several patients may share a name
    }
    twice = [name for name, n in Counter(own.values()).items() if n > 1]
    if twice:
        found_twice = f"{len(twice)} names are of several scans, such as {twice[0]}"
        remedy = "rename them, or omit --keep-names"
        raise SkfmError(found_twice, "a unique name for every scan", remedy)
    return {text: text for text in patients + list(found.problems)} | own
