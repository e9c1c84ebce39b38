"""Public sets in miniature: the same folders, names and headers as they come in."""

import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scan_files import write_dicom

from skfm_lib.prepare.discovery import find_sources
from skfm_lib.prepare.found import Found
from skfm_lib.prepare.other_files import PICTURES, TEXTS
from skfm_lib.prepare.public_datasets import Layout, owners
from skfm_lib.prepare.source import Item
from skfm_lib.utils.errors import SkfmError

SLICES = np.zeros((110, 4, 4), np.int16)
DEFECTS = ("bilateral", "frontoorbital", "parietotemporal", "random_1", "random_2")


@pytest.fixture
def found(sandbox) -> Callable[[Path], Found]:
    return lambda folder: find_sources(folder, folder / "-", sandbox)


def mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkUInt8), str(path))


def series(folder: Path, case: int, name: str, spacing: float, **tags: object) -> Path:
    """A series as CQ500 has it; headers name nobody but the case."""
    own = f"CQ500CT{case} CQ500CT{case}"
    location = folder / own / "Unknown Study" / f"CT {name}"
    values = SLICES[: round(100 / spacing) + 1]
    tags |= {"PatientID": f"CQ500-CT-{case}", "SeriesDescription": name}
    tags |= {"StudyInstanceUID": f"1.2.{case}"}
    write_dicom(location, values, (0.5, 0.5, spacing), **tags)
    return location


def zipped(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.dcm")):
            file.write(path, path.relative_to(folder))


@pytest.fixture(scope="module")
def cq500(tmp_path_factory) -> Path:
    folder, unpacked = tmp_path_factory.mktemp("cq500"), tmp_path_factory.mktemp("x")
    series(folder, 1, "PLAIN THIN", 1.0)
    series(folder, 1, "PRE CONTRAST 5MM STD", 5.0)
    series(folder, 172, "Thin Plain", 1.0)
    series(folder, 172, "55mm Plain", 2.5)
    series(folder, 241, "0.625mm", 1.0)
    series(unpacked, 12, "Thin Plain", 1.0)
    zipped(unpacked, folder / "CQ500-CT-12.zip")
    rows = ["name,Category,R1:Fracture,R2:Fracture,R3:Fracture,R1:OtherFracture"]
    rows += ["CQ500-CT-1,B1,0,0,0,1", "CQ500-CT-12,B2,1,0,1,0"]
    (folder / "reads.csv").write_text("\n".join(rows), "utf-8")
    return folder


def test_cq500(found, cq500):
    scans = found(cq500)
    assert not scans.problems
    by_patient = {source.patient: source for source in scans.sources}
    assert set(by_patient) == {"CQ500CT1", "CQ500CT12", "CQ500CT172"}
    assert len(scans.sources) == 3
    assert by_patient["CQ500CT1"].location.endswith("Unknown Study/CT PLAIN THIN")
    assert by_patient["CQ500CT172"].location.endswith("CT 55mm Plain")  # thin: a chest
    assert by_patient["CQ500CT12"].remark == "fracture (2 of 3 readers)"
    assert by_patient["CQ500CT1"].remark == ""
    assert scans.left_out.pop(TEXTS) == 1
    other = {why: n for why, n in scans.left_out.items() if "CQ500" not in why}
    assert list(other.values()) == [21]  # slices of the thicker series
    assert scans.left_out - Counter(other) == {
        "CQ500: a chest, known to its users": 101,
        "CQ500: a damaged scan, known to its users": 101,
    }


def test_a_damaged_table_of_readings_is_said(found, tmp_path):
    series(tmp_path, 3, "Plain", 2.0)
    (tmp_path / "reads.csv").write_text('name\n"' + "x" * 200_000, "utf-8")
    with pytest.raises(SkfmError, match="reads.csv is damaged"):
        found(tmp_path)


def autoimplant(folder: Path) -> None:
    for name in ("000", "001", "002"):
        mask(folder / "SkullBreak" / "complete_skull" / f"{name}.nrrd")
        for defect in DEFECTS:
            mask(folder / "SkullBreak" / "defective_skull" / defect / f"{name}.nrrd")
            mask(folder / "SkullBreak" / "implant" / defect / f"{name}.nrrd")
        for part in ("complete_skull", "defective_skull", "implant"):
            mask(folder / "SkullFix" / "training_set" / part / f"{name}.nrrd")


def test_skullbreak_and_skullfix(found, tmp_path):
    autoimplant(tmp_path)
    scans = found(tmp_path)
    assert sorted(source.key for source in scans.sources) == [
        f"{data_set}/complete_skull/{name}.nrrd"
        for data_set in ("SkullBreak", "SkullFix/training_set")
        for name in ("000", "001", "002")
    ]
    assert len({source.patient for source in scans.sources}) == 6
    why = "SkullBreak and SkullFix: defects and implants"
    assert scans.left_out == {why: 3 * (10 + 2)}


def test_beside_cq500_its_skulls_are_not_used_twice(found, tmp_path):
    """Nobody has published which of CQ500's patients they are."""
    autoimplant(tmp_path)
    series(tmp_path / "cq500", 1, "Plain", 2.0)
    scans = found(tmp_path)
    assert [source.patient for source in scans.sources] == ["CQ500CT1"]
    assert scans.left_out["SkullBreak and SkullFix: made of CQ500, which is here too"]


def test_mug500(found, tmp_path):
    for name in ("A0491", "A0492"):
        for file in (".nrrd", ".stl", "_clear.stl", ".png"):
            mask(tmp_path / "A0491-A0495" / name / f"{name}.nrrd")
            (tmp_path / "A0491-A0495" / name / f"{name}{file}").touch()
    (tmp_path / "A0491-A0495" / "A0492" / "A0492_clear.stl").unlink()
    for file in (".nrrd", ".stl", "_implant.stl"):
        mask(tmp_path / "craniotomy_skull" / "B0001" / "B0001.nrrd")
        (tmp_path / "craniotomy_skull" / "B0001" / f"B0001{file}").touch()
    scans = found(tmp_path)
    assert {
        source.key: (source.patient, source.remark) for source in scans.sources
    } == {
        "A0491-A0495/A0491/A0491_clear.stl": ("MUG500+ A0491", ""),
        "A0491-A0495/A0492/A0492.nrrd": ("MUG500+ A0492", ""),
        "craniotomy_skull/B0001/B0001.nrrd": ("MUG500+ B0001", "craniotomy"),
    }
    assert scans.left_out.pop(PICTURES) == 2
    assert sum(scans.left_out.values()) == 5


def test_folders_are_patients_where_there_are_several_with_few_scans():
    keys = [f"p{n}/{visit}/ct.nii.gz" for n in range(3) for visit in "ab"]
    keys += [f"many/{n}.nrrd" for n in range(7)] + ["flat.stl"]
    layout = Layout([Item(key, Path(key)) for key in keys])
    patients = [layout.patient(key) for key in keys]
    assert patients[:6] == [f"folder p{n}" for n in range(3) for _ in "ab"]
    assert set(patients[6:]) == {""}
    assert owners(["all/1.nii", "all/2.nii"]) == {}
