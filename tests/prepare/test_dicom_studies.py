"""Which DICOM series of a folder are used, and what becomes of everything else."""

import gzip
import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_kinds import encode, write_enhanced
from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MediaStorageDirectoryStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)
from scan_files import change, write_dicom

from skfm_lib.data.io.archives import BEGINNING
from skfm_lib.data.io.dicom.headers import read_slices
from skfm_lib.data.io.dicom.series import read_series
from skfm_lib.prepare.discovery import find_source, find_sources
from skfm_lib.prepare.source import on_disk
from skfm_lib.utils.errors import SkfmError

SPACING = (4.0, 5.0, 3.0)
VALUES = np.random.default_rng(0).integers(-1000, 2000, (10, 12, 13)).astype(np.int16)
OTHERS = {  # class → modality as such objects state it, and as it is counted
    BasicTextSRStorage: ("SR", "SR"),
    GrayscaleSoftcopyPresentationStateStorage: ("PR", "PR"),
    KeyObjectSelectionDocumentStorage: ("KO", "KO"),
    EncapsulatedPDFStorage: ("DOC", "DOC"),
    RTStructureSetStorage: ("RTSTRUCT", "RTSTRUCT"),
    SegmentationStorage: ("SEG", "SEG"),
    SecondaryCaptureImageStorage: ("CT", "SC"),  # pages of an exam summary
    MediaStorageDirectoryStorage: (None, "index"),
}


def values_of(source) -> np.ndarray:
    with on_disk(source) as paths:
        return sitk.GetArrayFromImage(read_series(paths))


@pytest.fixture
def found(sandbox):
    return lambda folder, out: find_sources(folder, out, sandbox)


def write_others(folder) -> None:
    """An object of each of OTHERS, as `write_dicom`'s slices without what makes one."""
    folder.mkdir(parents=True)
    (piece,) = write_dicom(folder, VALUES[:1], SPACING)
    for k, (kind, (modality, _)) in enumerate(OTHERS.items()):
        path = folder / f"object{k}"
        path.write_bytes(piece.read_bytes())
        no = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
        change(path, SOPClassUID=kind, SOPInstanceUID=generate_uid(), **no)
        change(path, Modality=modality, SeriesInstanceUID=generate_uid())
    piece.unlink()


def test_other_objects_are_counted_and_no_problem(tmp_path, sandbox, found):
    write_dicom(tmp_path / "in" / "CT", VALUES, SPACING)
    write_others(tmp_path / "in" / "others")
    result = found(tmp_path / "in", tmp_path / "out")
    kinds = ", ".join(sorted(name for _, name in OTHERS.values()))
    reason = f"DICOM objects that are no CT slices ({kinds})"
    assert not result.problems and result.left_out == {reason: len(OTHERS)}
    assert len(result.sources) == 1
    source = find_source(tmp_path / "in", sandbox)
    assert np.array_equal(values_of(source), VALUES)


def test_scouts_within_a_series_and_beside_it(tmp_path, sandbox):
    files = write_dicom(tmp_path, VALUES, SPACING)
    for name, tags in {
        "zzz": {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "Rows": 6},
        "aaa": {"SeriesInstanceUID": "1.2.3"},
    }.items():
        (tmp_path / name).write_bytes(files[0].read_bytes())
        kind = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        change(tmp_path / name, SOPInstanceUID=generate_uid(), ImageType=kind, **tags)
    result = find_sources(tmp_path, tmp_path / "out", sandbox)
    assert result.left_out == {"scouts of CT scans": 2} and not result.problems
    assert np.array_equal(values_of(find_source(tmp_path, sandbox)), VALUES)


def test_nothing_but_other_objects_is_an_error(tmp_path, found):
    write_others(tmp_path / "in")
    with pytest.raises(SkfmError, match="8 × DICOM objects that are no CT slices .*SR"):
        found(tmp_path / "in", tmp_path / "out")


def test_a_study_without_ct_is_left_out(tmp_path, found):
    write_dicom(tmp_path / "ct", VALUES, SPACING, PatientID="a")
    write_dicom(tmp_path / "mr", VALUES, SPACING, PatientID="b", Modality="MR")
    result = found(tmp_path, tmp_path / "out")
    assert result.left_out == {"DICOM objects that are no CT slices (MR)": 10}
    assert [source.location for source in result.sources] == ["ct"]


@pytest.mark.parametrize("tags", [["SeriesInstanceUID"], ["StudyInstanceUID"]])
def test_an_identifier_for_each_slice(tmp_path, sandbox, tags):
    for path in write_dicom(tmp_path, VALUES, SPACING):
        change(path, **{tag: generate_uid() for tag in (*tags, "SeriesInstanceUID")})
    source = find_source(tmp_path, sandbox)
    assert source.note == "10 series of single slices joined by their geometry"
    assert np.array_equal(values_of(source), VALUES)


def test_a_series_in_two_folders(tmp_path, sandbox):
    files = write_dicom(tmp_path / "a", VALUES, SPACING)
    (tmp_path / "b").mkdir()
    for path in files[:7]:
        path.rename(tmp_path / "b" / path.name)
    assert np.array_equal(values_of(find_source(tmp_path, sandbox)), VALUES)


@pytest.mark.parametrize("name", ["CT{}.dcm.gz", "{}.gz", "IM{}", "{}.IMA", "1.2.{}"])
def test_gzipped_slices_of_any_name(tmp_path, sandbox, name):
    for k, path in enumerate(write_dicom(tmp_path, VALUES, SPACING)):
        path.rename(tmp_path / name.format(k))
        encode(tmp_path / name.format(k), "gzip")
    (tmp_path / "notes.gz").write_bytes(gzip.compress(b"a table"))
    source = find_source(tmp_path, sandbox)
    assert source.suffix == "dicom" and np.array_equal(values_of(source), VALUES)


def test_the_thin_plain_series_is_chosen_and_said_why(tmp_path, found):
    def series(name, spacing, slices, **tags):
        values = np.zeros((slices, 4, 4), np.int16)
        same = {"PatientID": "x7", "StudyInstanceUID": "1.2"}
        write_dicom(tmp_path / name, values, (1, 1, spacing), **same, **tags)

    series("a", 5.0, 30, SeriesDescription="CT 5mm")
    series("b", 1.1, 100, SeriesDescription="CT PLAIN THIN")
    series("c", 1.0, 120, SeriesDescription="CT POST-CONTRAST")
    series("d", 0.5, 80, SeriesDescription="CT BONE", ImageType=["ORIGINAL", "AXIAL"])
    series("e", 1.2, 110, ContrastBolusAgent="APPLIED")
    series("f", 1.0, 2, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    result = found(tmp_path, tmp_path / "out")
    (source,) = result.sources
    assert source.location == "b" and len(source.items) == 100
    assert source.note == (
        "of 5 series the one with slices every 1.1 mm over 109 mm, plain; not "
        "1 with thicker slices, 2 with contrast, 1 shorter"
    )
    others = "slices of other CT series of the same studies"
    assert result.left_out == {"scouts of CT scans": 2, others: 340}


def test_copies_of_a_series_are_one(tmp_path, found):
    files = write_dicom(tmp_path / "in" / "a", VALUES, SPACING)
    with zipfile.ZipFile(tmp_path / "in" / "x.zip", "w") as archive:
        for path in files:
            archive.write(path, f"copy/{path.name}")
    result = found(tmp_path / "in", tmp_path / "out")
    assert len(result.sources) == 1
    assert result.left_out == {"copies of CT series": 10}


def test_two_patients_in_one_folder_are_two_scans(tmp_path, found):
    write_dicom(tmp_path, VALUES, SPACING, PatientID="one")
    for path in sorted(tmp_path.iterdir()):
        path.rename(path.with_name(f"x{path.name}"))
    write_dicom(tmp_path, VALUES + 1, SPACING, PatientID="two")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + b"x" * 99)
    (tmp_path / "readme").write_text("no scan")
    result = found(tmp_path, tmp_path / "out")
    assert sorted(s.patient for s in result.sources) == ["one", "two"]
    assert not result.problems
    firsts = set()
    for source in result.sources:
        firsts.add(int(values_of(source)[0, 0, 0]))
    assert firsts == {int(VALUES[0, 0, 0]), int(VALUES[0, 0, 0]) + 1}


@pytest.mark.parametrize("copied", [False, True])
def test_a_series_is_of_one_patient(tmp_path, found, copied):
    """Where the patient is missing in every second slice, or another in a copy."""
    files = write_dicom(tmp_path, VALUES, SPACING, PatientID="Jane Doe")
    for path in files[::2]:
        if copied:
            copy = path.with_name(f"x{path.name}")
            copy.write_bytes(path.read_bytes())
            change(copy, PatientID="ANON77")
        else:
            change(path, PatientID=None)
    (source,) = found(tmp_path, tmp_path / "out").sources
    assert source.note == "several patient identifiers"
    assert np.array_equal(values_of(source), VALUES)


def test_patients_that_share_identifiers_by_mistake_are_told_apart(tmp_path, found):
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    write_dicom(tmp_path / "a", VALUES, SPACING, PatientID="one", **uids)
    beside = dict(origin=(0.0, 0.0, 1.5), PatientID="two")
    write_dicom(tmp_path / "b", VALUES + 1, SPACING, **beside, **uids)
    result = found(tmp_path, tmp_path / "out")
    assert sorted(s.patient for s in result.sources) == ["one", "two"]


def test_patients_without_a_name_of_their_own_are_told_apart_by_study(tmp_path, found):
    for name in "ab":
        write_dicom(tmp_path / name, VALUES, SPACING, PatientID="Anonymous")
    patients = {s.patient for s in found(tmp_path, tmp_path / "out").sources}
    assert len(patients) == 2


@pytest.mark.parametrize("kept", [140, 250, 400])
def test_damaged_slices_at_the_end_are_not_passed_over(tmp_path, found, kept):
    files = write_dicom(tmp_path / "s", VALUES, SPACING)
    content = files[-1].read_bytes()
    files[-1].write_bytes(content[:kept] + b"\xff" * 300 + content[kept + 300 :])
    assert list(found(tmp_path, tmp_path / "out").problems) == ["s"]


@pytest.mark.parametrize("tag", ["ImageOrientationPatient", "ImagePositionPatient"])
def test_a_series_with_a_slice_out_of_space_is_reported(tmp_path, found, tag):
    files = write_dicom(tmp_path / "s", VALUES, SPACING)
    change(files[3], **{tag: None})
    assert list(found(tmp_path, tmp_path / "out").problems) == ["s"]


@pytest.mark.parametrize("encoding", ["plain", "deflated", "gzip", "enhanced"])
def test_a_series_in_an_archive(tmp_path, found, encoding):
    files = write_dicom(tmp_path / "s", VALUES, SPACING)
    for path in files if encoding in ("deflated", "gzip") else []:
        encode(path, encoding)
    if encoding == "enhanced":
        write_enhanced(tmp_path / "ct", files, shared=False)
        files = [tmp_path / "ct"]
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "x.zip", "w") as archive:
        for path in files:
            archive.write(path, f"A B/CT plain/{path.name}")
    (source,) = found(tmp_path / "in", tmp_path / "out").sources
    assert source.location == "x.zip/A B/CT plain"
    assert len(source.items) == len(files)
    assert np.array_equal(values_of(source), VALUES)


def test_headers_longer_than_the_beginning_of_a_file(tmp_path, found):
    files = write_dicom(tmp_path / "s", VALUES, SPACING)
    write_enhanced(tmp_path / "ct", files, shared=False)
    data = pydicom.dcmread(tmp_path / "ct")
    data.add_new(0x00291010, "OB", bytes(2 * BEGINNING))  # before the frames' headers
    data.save_as(tmp_path / "ct")
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "x.zip", "w", 8) as archive:
        archive.write(tmp_path / "ct", "ct")
    (source,) = found(tmp_path / "in", tmp_path / "out").sources
    assert np.array_equal(values_of(source), VALUES)


def test_headers_hold_no_more_than_is_needed(tmp_path):
    (path, *_) = write_dicom(tmp_path, VALUES, SPACING, PatientName="Doe^Jane")
    assert "Doe" not in repr(read_slices(path))
