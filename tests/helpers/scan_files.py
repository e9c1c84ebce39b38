"""Scans as a scanner or a program writes them, for tests: DICOM series and .inv3."""

import io
import plistlib
import tarfile
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

INTERCEPT = -1024


def write_dicom(
    folder: Path,
    values: np.ndarray,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    *,
    axes: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    step: np.ndarray | None = None,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    at: np.ndarray | None = None,
    order: list[int] | None = None,
    **tags: object,
) -> list[Path]:
    """Write HU `values` (z, y, x) as a series of CT slices, one file each.

    spacing  (x, y, z) mm; axes  ImageOrientationPatient; step  from slice to slice,
    mm in LPS (default: along the normal); at  which step each slice is (default: 0, 1,
    2 …); order  of the instance numbers; tags  are written into every slice
    """
    folder.mkdir(parents=True, exist_ok=True)
    if step is None:
        step = np.cross(axes[:3], axes[3:]) * spacing[2]
    at = np.arange(len(values)) if at is None else at
    common = {"PatientID": "1", "StudyInstanceUID": generate_uid()}
    common |= {"SeriesInstanceUID": generate_uid(), "Modality": "CT"} | tags
    paths = []
    for k, pixels in enumerate(values):
        about = common | {
            "SOPInstanceUID": generate_uid(),
            "InstanceNumber": order[k] if order else k + 1,
            "ImagePositionPatient": list(np.add(origin, at[k] * np.asarray(step))),
            "ImageOrientationPatient": list(map(float, axes)),
            "PixelSpacing": [spacing[1], spacing[0]],
        }
        paths.append(folder / f"CT{k:06d}.dcm")
        _slice(about, pixels - INTERCEPT).save_as(paths[-1], enforce_file_format=True)
    return paths


def _slice(about: dict[str, object], stored: np.ndarray) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = about["SOPInstanceUID"]
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID = CTImageStorage
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = stored.shape
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = 0
    data.RescaleSlope, data.RescaleIntercept = 1, INTERCEPT
    for keyword, value in about.items():
        setattr(data, keyword, value)
    data.PixelData = stored.astype("<u2").tobytes()
    return data


def change(path: Path, **tags: object) -> None:
    """Set tags of one slice; None removes one."""
    data = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    data.save_as(path)


def write_inv3(
    path: Path, values: np.ndarray, spacing: tuple[float, ...], **about: object
) -> None:
    """Write HU `values` (z, y, x), rows from back to front, as InVesalius does."""
    description = {
        "format_version": 1.1,
        "modality": "CT",
        "orientation": 1,
        "name": "",
        "spacing": list(spacing),
        "matrix": {
            "filename": "matrix.dat",
            "shape": list(values.shape),
            "dtype": str(values.dtype),
        },
    } | about
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (
            ("main.plist", plistlib.dumps(description)),
            ("matrix.dat", values.tobytes()),
        ):
            entry = tarfile.TarInfo(f"project/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
