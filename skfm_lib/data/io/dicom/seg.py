"""A skull as a DICOM segmentation of the CT series that it belongs to.

A planning station shows it on the scan, since it has the series' study, slices and
frame of reference.  No other file of this library carries a patient's identifiers.
"""

import warnings
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyvista as pv
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid

import skfm_lib
from skfm_lib.data.io.dicom.files import open_dicom, read_dataset
from skfm_lib.data.io.dicom.headers import Slice
from skfm_lib.data.io.dicom.seg_header import TAGS, check_references, completed
from skfm_lib.data.io.dicom.series import ordered_slices
from skfm_lib.data.io.dicom.stacks import axes_of
from skfm_lib.data.io.volumes import LPS_TO_RAS
from skfm_lib.data.voxels import Grid, voxelise
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

if TYPE_CHECKING:  # an optional requirement
    from highdicom.seg import SegmentDescription

SKULL, IMPLANT = "skull", "implant"  # what a segmentation may show
STAND_IN = "2.25."  # identifiers under this root need no registration
SERIES_NUMBER = 1000  # beyond those of scanners
RESEARCH = "Research only, no medical device: not for diagnosis or treatment"


def check_installed() -> None:
    """SkfmError unless highdicom, an optional requirement, is installed."""
    try:
        import highdicom  # noqa: F401
    except ImportError as reason:
        found = "highdicom is not installed"
        remedy = 'pip install ".[dicom-seg]", or --out FILE.nii.gz'
        raise SkfmError(found, "it, to write DICOM segmentations", remedy) from reason


def write_segmentation(
    out: Path, mesh: pv.PolyData, files: list[Path], kind: str, network: bool
) -> str:
    """Write a mesh as a binary DICOM segmentation of a CT series; return a note.

    There is a frame for each slice of the series, with its position and pixels as they
    were acquired (see `on_slices`), and with a reference to it.  The file has the
    series' patient and study.  The note says what the series lacks, or is "".

    Args:
        mesh: A closed surface in the patient's RAS mm.
        files: The slices of the series, in any order.
        kind: SKULL or IMPLANT.
        network: Whether a network made it, rather than a threshold; the file says so.

    Raises:
        SkfmError: for files that `read_series` refuses, a series without the
            identifiers that a segmentation refers to, and a mesh outside of it.
    """
    stack = ordered_slices(files)
    slices, (_, path) = [piece for piece, _ in stack], stack[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote the header
        with open_dicom(path) as stream:
            first = read_dataset(stream, TAGS)
        check_references(first, slices)
        pixels = on_slices(mesh, slices)
        if not pixels.any():
            found = f"no part of the {kind} is on the slices of the scan"
            raise SkfmError(found, "the scan that it is of", "check --record")
        note = completed(first, slices)
        described = _description(kind, network)
        segmentation = _segmentation(first, slices, pixels, kind, described)
        with replacing(out) as temporary:
            segmentation.save_as(temporary)
    return note


def on_slices(mesh: pv.PolyData, slices: list[Slice]) -> np.ndarray:
    """Whether pixels of a stack lie within a mesh (RAS mm): (n, rows, columns) bool.

    A pixel counts by its centre on the slice as it was acquired, so that neither a
    tilted gantry nor uneven steps call for resampling.
    """
    first, axes, faces = slices[0], axes_of(slices), mesh.regular_faces
    unit = np.array([first.spacing[1], first.spacing[0], 1.0])  # columns, rows, normal
    points = mesh.points @ LPS_TO_RAS @ axes.T / unit
    lowest, highest = (f(points[faces, 2], axis=1) for f in (np.min, np.max))
    rows, columns = first.shape
    grid = Grid((rows, columns, 1), 1.0, (0.0, 0.0, 0.0))
    inside = np.zeros((len(slices), rows, columns), bool)
    for piece, pixels in zip(slices, inside):
        origin = axes @ piece.position / unit
        crossing = faces[(lowest <= origin[2]) & (highest >= origin[2])]
        if len(crossing):
            used, own = np.unique(crossing, return_inverse=True)
            near = (points[used] - origin).astype(np.float32)
            part = pv.PolyData.from_regular_faces(
                near, own.reshape(-1, 3).astype(faces.dtype)
            )
            pixels[:] = voxelise(part, grid)[:, :, 0]
    return inside


def _segmentation(
    first: Dataset,
    slices: list[Slice],
    pixels: np.ndarray,
    kind: str,
    described: "SegmentDescription",
) -> Dataset:
    import highdicom as hd

    # highdicom takes single slices of one series with equal axes; stand-ins for ours,
    # which may be frames of a file or have a series each, are referred to at first.
    stand_ins = []
    for number, piece in enumerate(slices):
        stand_in = deepcopy(first)
        stand_in.SOPClassUID = CTImageStorage
        stand_in.SOPInstanceUID = f"{STAND_IN}{number}"
        stand_in.ImagePositionPatient = list(piece.position)
        stand_ins.append(stand_in)
    segmentation = hd.seg.Segmentation(
        source_images=stand_ins,
        pixel_array=pixels,
        segmentation_type="BINARY",
        segment_descriptions=[described],
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="skfm",
        manufacturer_model_name="skfm",
        software_versions=skfm_lib.__version__,
        device_serial_number="none",
        content_label=kind.upper(),
        content_description=RESEARCH,
        series_description=f"skfm {kind}, research only",
        content_qualification="RESEARCH",
        omit_empty_frames=False,  # the same slices as the scan
        specific_character_set="ISO_IR 192",
    )
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        reference = frame.DerivationImageSequence[0].SourceImageSequence[0]
        number = int(reference.ReferencedSOPInstanceUID.removeprefix(STAND_IN))
        piece = slices[number]
        reference.update(_reference(first, piece))
        if piece.frames > 1:
            reference.ReferencedFrameNumber = piece.frame + 1
    by_series: dict[str, dict[str, Dataset]] = defaultdict(dict)
    for piece in slices:
        by_series[piece.series][piece.instance] = _reference(first, piece)
    segmentation.SourceImageSequence = [
        reference for own in by_series.values() for reference in own.values()
    ]
    segmentation.ReferencedSeriesSequence = []
    for series, own in by_series.items():
        item = Dataset()
        item.SeriesInstanceUID = series
        item.ReferencedInstanceSequence = list(own.values())
        segmentation.ReferencedSeriesSequence.append(item)
    return segmentation


def _reference(first: Dataset, piece: Slice) -> Dataset:
    """A DICOM reference to the file of a slice."""
    reference = Dataset()
    reference.ReferencedSOPClassUID = first.SOPClassUID
    reference.ReferencedSOPInstanceUID = piece.instance
    return reference


def _description(kind: str, network: bool) -> "SegmentDescription":
    """What the segment shows and what made it (DICOM PS3.16, CID 7150, 7151, 7162)."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    sct = codes.SCT
    category, concept = (
        (sct.PhysicalObject, sct.Implant)
        if kind == IMPLANT
        else (sct.AnatomicalStructure, sct.Skull)
    )
    dcm = codes.DCM
    family = dcm.ArtificialIntelligence if network else dcm.MorphologicalOperations
    return hd.seg.SegmentDescription(
        segment_number=1,
        segment_label=kind.capitalize(),
        segmented_property_category=category,
        segmented_property_type=concept,
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="skfm",
            family=family,
            version=skfm_lib.__version__,
        ),
    )
