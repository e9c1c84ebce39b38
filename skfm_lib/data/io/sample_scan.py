"""Three public heads to try things on, from their own homes."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch
import pydicom
from pydicom.pixels import apply_rescale

from skfm_lib.data.io.sandbox import Sandbox, reading_time, time_limit
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

CACHE = Path(pooch.os_cache("skfm"))
TEST, DEVELOPMENT = "test head", "development data"
GITHUB = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Head:
    """A public head, one file or the slices of a DICOM series.

    Attributes:
        name: by which `skfm sample` offers it.
        about: what it shows.
        role: TEST: it only checks the study; or DEVELOPMENT: choices may rest on it.
        licence: of the data; the project ships none of them.
        size: MB to download.
        target: its file or folder among the samples.
        home: address of the file, or of the folder of the `slices`.
        sha256: of the file; of a series, its `halved_sha256`.
        elsewhere: how to get it without this program.
        slices: names of the files of a series.
        copies: SHA-256 of the same head converted to NIfTI, as the tests have it.
    """

    name: str
    about: str
    role: str
    licence: str
    size: float
    target: str
    home: str
    sha256: str
    elsewhere: str
    slices: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()


CRANIUM = Head(
    "cranium",
    "head CT of a patient with a surgical defect of the frontal bone, in a head "
    "holder; it ends at the upper teeth; 256×256×108 voxels of 0.96×0.96×1.5 mm",
    TEST,
    "GPL-2",
    19,
    "Cranium.inv3",
    "https://github.com/invesalius/invesalius3/raw/master/samples/Cranium.inv3",
    "3b34f11f7c4f557f4c65cd6543c412a2f6ceb0cfecfd9c41184420e02d9b7e2a",
    "samples/Cranium.inv3 of the InVesalius project (Debian and Ubuntu: package "
    "invesalius-examples)",
    copies=("bb3291d822939a9c35dd57a8f662af549e0b34fa5e9169b77bf92d2af5debd00",),
)
# No SHA-256 of the 140 files is published.  The commit is named in full, and the
# voxels are compared with those of a copy that was made before (`halved_sha256`).
PLASTIC = Head(
    "plastic",
    "CT of a plastic skull: real shape, thin vault, a saw cut around the cap, a "
    "holder and posts, no mandible; 140 slices, 1 mm apart",
    DEVELOPMENT,
    "BSD-2",
    75,
    "plastic",
    f"{GITHUB}/neurolabusc/dcm_qa_ct/aa3345842def37064539fb4e812233fd547f37eb"
    "/In/Philips/S21570/S2030",
    "61e27f8c70e058d8cfe608e728137aff3f415cfcc424374abb5daa16cabf2486",
    "In/Philips/S21570/S2030 of github.com/neurolabusc/dcm_qa_ct, commit aa33458",
    slices=tuple(f"I{10 * (number + 1)}" for number in range(140)),
    copies=("9a10edf9c5598dc6b9dd893da602005c4cab74805759e4c425b5d388d0af5450",),
)
CRANIOTOMY = Head(
    "craniotomy",
    "skull mask of a patient after craniotomy: the flap is back in place, the cut "
    "and the burr holes are open; 160×232×160 voxels of 1×0.9×0.9 mm",
    DEVELOPMENT,
    "MIT",
    0.1,
    "craniotomy.nrrd",
    f"{GITHUB}/CIBC-Internal/Seg3DData/8ac98fed23d22ae50dbfe013982e8361aa144140"
    "/Brain_DataSet/Skull.nrrd",
    "061fb5a2b7dfcdae822281ca621f4886b9cc9a0112cac359a5facccd74cb5d6b",
    "Brain_DataSet/Skull.nrrd of github.com/CIBC-Internal/Seg3DData, commit 8ac98fe",
)
HEADS = (CRANIUM, PLASTIC, CRANIOTOMY)


def fetch_sample(head: Head, folder: Path, file: Path | None = None) -> Path:
    """A head in `folder`: downloaded once, or copied from `file` (a folder of slices).

    What is there already is verified and kept.  An interrupted download of a series
    is resumed with the slices that are missing.

    Raises:
        SkfmError: without a network, without room, or if it is another file; it states
            where to get the head.
    """
    target = Path(folder) / head.target
    partial = target.with_name(f".{head.target}")  # hidden, so that no one takes it
    instead = f"get {head.elsewhere}, by other means, then skfm sample {head.name} "
    instead += f"--file {'FOLDER' if head.slices else 'FILE'}"
    try:
        if file is None and is_sample(head, target):
            return target
        if file is None:
            _download(head, partial)
        if not is_sample(head, file or partial):
            if file is None:
                _remove(partial)
            raise ValueError
        if file is not None:
            _copy(head, file, partial)
        _remove(target)
        os.replace(partial, target)
    except ValueError as reason:  # also pooch's, for another checksum
        found = f"{file or head.home} is not the sample {head.name}"
        expected = f"{'voxels' if head.slices else 'a file'} of SHA-256 {head.sha256}"
        raise SkfmError(found, expected, instead) from reason
    except OSError as reason:
        if reason.errno:  # those of a network have no number
            found = f"{reason.filename or folder}: {reason.strerror}"
            expected = "a file to read, and a folder with room that you may write to"
            remedy = "free some space or name another folder: --out FOLDER"
            raise SkfmError(found, expected, remedy) from reason
        found, expected = f"{head.home} cannot be fetched", "a network"
        raise SkfmError(found, expected, instead) from reason
    return target


def is_sample(head: Head, path: Path) -> bool:
    """Whether a file, or a folder of slices, has the checksum of this head."""
    if not head.slices:
        return path.is_file() and pooch.file_hash(str(path)) == head.sha256
    files = [path / name for name in head.slices]
    if not all(file.is_file() for file in files):
        return False
    try:
        with Sandbox() as sandbox:
            return sandbox(halved_sha256, files) == head.sha256
    except SkfmError:  # damaged slices
        return False


def head_of(files: Sequence[Path]) -> Head | None:
    """Which of the HEADS a scan's files are, by their content; None for others."""
    for head in HEADS:
        if head.slices and {file.name for file in files} == set(head.slices):
            return head if is_sample(head, files[0].parent) else None
    digest = pooch.file_hash(str(files[0])) if len(files) == 1 else ""
    known = (head for head in HEADS if digest in (head.sha256, *head.copies))
    return next(known, None)


def halved_sha256(files: Sequence[Path]) -> str:
    """SHA-256 of the HU of axial DICOM slices, upwards, with half the rows and columns.

    Each value is the mean of 2×2 voxels, a half rounded to the even number, as int16.
    So was the copy made from which PLASTIC's checksum is: its origin is moved by half
    a voxel, and even values are 5/3 times as frequent as odd ones.
    """
    with time_limit(reading_time(sum(file.stat().st_size for file in files))):
        slices = [pydicom.dcmread(file) for file in files]
        digest = hashlib.sha256()
        for piece in sorted(slices, key=lambda s: float(s.ImagePositionPatient[2])):
            values = apply_rescale(piece.pixel_array, piece)
            rows, columns = values.shape
            blocks = values.reshape(rows // 2, 2, columns // 2, 2)
            digest.update(np.rint(blocks.mean(axis=(1, 3))).astype("<i2").tobytes())
    return digest.hexdigest()


def _download(head: Head, partial: Path) -> None:
    pooch.get_logger().setLevel("WARNING")
    if not head.slices:
        known = f"sha256:{head.sha256}"
        pooch.retrieve(head.home, known, partial.name, partial.parent)
        return
    for stray in partial.glob("tmp*"):  # of a download that was killed
        stray.unlink()
    store = pooch.create(partial, f"{head.home}/", registry=dict.fromkeys(head.slices))
    for name in track(head.slices, f"Sample {head.name}"):
        store.fetch(name)


def _copy(head: Head, source: Path, partial: Path) -> None:
    (partial if head.slices else partial.parent).mkdir(parents=True, exist_ok=True)
    for name in head.slices or ("",):  # a path with "" behind it is the path
        shutil.copyfile(source / name, partial / name)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
