"""DICOM files as archives hold them: without preamble, deflated, gzipped one by one."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from skfm_lib.utils.errors import SkfmError

MAGIC, PREAMBLE = b"DICM", 128  # and where it stands, DICOM part 10
GZIP = b"\x1f\x8b"
START = 1 << 12  # bytes that hold the meta header
MOST_BYTES = 1 << 29  # of an unpacked file: 1,000 frames of 512×512
GZIP_BITS, DEFLATE_BITS = 31, -15  # zlib's names of the two formats
# First elements of a file without preamble: of the meta header and of a data set.
FIRST = {2: (0x00, 0x01, 0x02, 0x10), 8: (0x00, 0x01, 0x05, 0x08, 0x12, 0x16, 0x18)}
FIRST_VR = (b"UL", b"OB", b"UI", b"CS", b"DA")
Stream = io.BufferedReader | io.BytesIO
EXPORT = "export the series again, from the archive it came from"


@contextmanager
def open_dicom(source: Path | bytes) -> Iterator[Stream | None]:
    """The content of a DICOM file, or of its first bytes; None for any other file.

    Gzip and the deflated transfer syntax are undone, in memory, as far as the bytes go.

    Raises:
        SkfmError: if it unpacks to more than MOST_BYTES.
        zlib.error: if it is damaged.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        start = file.read(START)
        packed = start[:2] == GZIP
        if packed:
            start = zlib.decompressobj(GZIP_BITS).decompress(start, START)
        if not _is_dicom(start):
            yield None
            return
        meta = _deflated_from(start)
        if not (packed or meta):
            file.seek(0)
            yield file
            return
        file.seek(0)
        content = file.read(MOST_BYTES)
        if packed:
            content = _unpacked(content, GZIP_BITS)
        if meta:
            # The same file with its data set inflated, and the name of that syntax.
            plain = ExplicitVRLittleEndian.encode()
            deflated = DeflatedExplicitVRLittleEndian.encode()
            header = content[:meta].replace(deflated, plain.ljust(len(deflated), b"\0"))
            content = header + _unpacked(content[meta:], DEFLATE_BITS)
        yield io.BytesIO(content)


def read_dataset(
    stream: Stream | None, tags: list[str] | None = None
) -> pydicom.FileDataset:
    """The data set of a stream of `open_dicom`; with `tags`, these without the pixels.

    SkfmError if there is none.  The syntax is guessed where none is stated.  pydicom
    raises many types for damaged files; its warnings quote the header: suppressed.
    """
    if stream is None:
        raise SkfmError("a file that is no DICOM slice", "CT slices", EXPORT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(
            stream,
            stop_before_pixels=tags is not None,
            specific_tags=tags,
            force=True,
        )


def _is_dicom(start: bytes) -> bool:
    """Whether these are the first bytes of a DICOM file, with or without preamble."""
    if start[PREAMBLE : PREAMBLE + 4] == MAGIC:
        return True
    if len(start) < 8:
        return False
    words = ">HH" if start[:1] == b"\0" else "<HH"
    group, element = struct.unpack(words, start[:4])
    short = int.from_bytes(start[4:8], "little") <= START  # implicit syntax: a length
    return element in FIRST.get(group, ()) and (start[4:6] in FIRST_VR or short)


def _deflated_from(start: bytes) -> int:
    """The byte from which a file is deflated, 0 if it is not."""
    at = PREAMBLE + 4 if start[PREAMBLE : PREAMBLE + 4] == MAGIC else 0
    if start[at : at + 4] != b"\2\0\0\0":  # the length of the meta header
        return 0
    end = at + 12 + int.from_bytes(start[at + 8 : at + 12], "little")
    return end if DeflatedExplicitVRLittleEndian.encode() in start[at:end] else 0


def _unpacked(packed: bytes, bits: int) -> bytes:
    inflater = zlib.decompressobj(bits)
    content = inflater.decompress(packed, MOST_BYTES)
    if inflater.unconsumed_tail:
        found = f"a slice that unpacks to more than {MOST_BYTES >> 20} MiB"
        raise SkfmError(found, "a series of CT slices", EXPORT)
    return content
