"""DICOM slices in other encodings, and as frames of one file, for tests."""

import gzip
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

ENCODINGS = (
    *("deflated", "implicit", "big endian", "gzip", "gzip deflated", "no syntax"),
    *("no syntax implicit", "mislabelled implicit"),
    *("bare", "bare implicit", "bare big endian", "gzip bare implicit"),
)


def encode(path: Path, encoding: str) -> None:
    """Write a slice again in one of ENCODINGS; bare: without preamble and header."""
    data = pydicom.dcmread(path)
    words = encoding.split()
    syntax = ExplicitVRLittleEndian
    if "implicit" in words:
        syntax = ImplicitVRLittleEndian
    if "big" in words:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
        syntax = ExplicitVRBigEndian
    if "deflated" in words:
        syntax = DeflatedExplicitVRLittleEndian
    if "mislabelled" not in words:
        data.file_meta.TransferSyntaxUID = syntax
    way = {"implicit_vr": "implicit" in words, "little_endian": "big" not in words}
    if "bare" in words:
        data.preamble, data.file_meta = None, FileMetaDataset()
    pydicom.dcmwrite(path, data, force_encoding=True, **way)
    content = path.read_bytes()
    if "no" in words:  # the tag of the syntax becomes that of a private one
        content = content.replace(b"\2\0\x10\0UI", b"\2\0\x11\0UI", 1)
    path.write_bytes(gzip.compress(content, 1) if "gzip" in words else content)


def write_enhanced(path: Path, files: list[Path], shared: bool = True) -> None:
    """Write slices as the frames of one enhanced CT file, with what they state.

    Axes, spacing and rescale are shared, or stated by each frame.
    """
    slices = [pydicom.dcmread(file) for file in files]
    data = slices[0].copy()
    data.file_meta = slices[0].file_meta
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    data.SOPInstanceUID = generate_uid()
    data.NumberOfFrames = len(slices)
    data.PixelData = b"".join(piece.PixelData for piece in slices)
    groups = [_groups(piece) for piece in slices]
    frames = [own if not shared else _only(own, "PlanePosition") for own in groups]
    data.PerFrameFunctionalGroupsSequence = frames
    data.SharedFunctionalGroupsSequence = [groups[0] if shared else Dataset()]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(data, keyword)
    del data.RescaleSlope, data.RescaleIntercept
    if shared:
        del data.SharedFunctionalGroupsSequence[0].PlanePositionSequence
    data.save_as(path)


def _groups(piece: FileDataset) -> Dataset:
    """The functional groups of one frame."""
    own = Dataset()
    for macro, keywords in {
        "PlanePosition": ("ImagePositionPatient",),
        "PlaneOrientation": ("ImageOrientationPatient",),
        "PixelMeasures": ("PixelSpacing",),
        "PixelValueTransformation": ("RescaleSlope", "RescaleIntercept"),
    }.items():
        item = Dataset()
        for keyword in keywords:
            setattr(item, keyword, piece[keyword].value)
        setattr(own, f"{macro}Sequence", [item])
    return own


def _only(own: Dataset, macro: str) -> Dataset:
    part = Dataset()
    part.add(own[f"{macro}Sequence"])
    return part
