"""No patient in any output: names, identifiers, dates planted wherever they can be."""

import contextlib
import io
import logging
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
import SimpleITK as sitk
from scan_files import write_dicom, write_inv3

from skfm_lib.data.bone_fractions import as_fraction, skull_surface
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import skull_grid
from skfm_lib.prepare.pipeline import prepare, who_is_who
from skfm_lib.prepare.pseudonyms import pseudonym, read_salt, salt_path
from skfm_lib.prepare.source import redact
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import unreadable

SHAPE = scaled_shape(1 / 8)
PLANTED = ("Qworple", "Zydeco", "PID-77031", "19630214", "1.2.3.77031", "Grünwald")
TAGS = {
    "PatientName": "Qworple^Zydeco",
    "PatientID": "PID-77031",
    "PatientBirthDate": "19630214",
    "StudyDate": "19630214",
    "StudyInstanceUID": "1.2.3.77031.1",
    "SeriesInstanceUID": "1.2.3.77031.2",
    "SeriesDescription": "Qworple head",
    "InstitutionName": "Grünwald",
    "SpecificCharacterSet": "ISO_IR 192",
}


def ct() -> sitk.Image:
    bone = as_fraction(phantom_skull(3, 4, SHAPE)).transpose(2, 0, 1)
    image = sitk.GetImageFromArray((bone * 2000 - 1000).astype(np.int16))
    image[0, 0, 0] = -500
    image.SetSpacing([skull_grid(SHAPE).spacing] * 3)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    return image


def plant(folder: Path) -> None:
    """Scans of every kind, good and bad, with a patient's name in all they hold."""
    image = ct()
    values, spacing = sitk.GetArrayFromImage(image), image.GetSpacing()
    home = folder / "Qworple Zydeco 19630214"
    turned = values[:, ::-1, ::-1]
    write_dicom(home / "PID-77031", turned, spacing, **TAGS)
    bad = write_dicom(home / "bad", turned[:20], spacing, **TAGS | {"PatientID": "b"})
    bad[5].write_bytes(bad[5].read_bytes()[:-99])
    other = {"Modality": "MR", "StudyInstanceUID": "1.2.3.77031.3"}
    write_dicom(home / "mr", turned[:20], spacing, **TAGS | other)
    with zipfile.ZipFile(folder / "Qworple.zip", "w") as archive:
        for path in bad:
            archive.write(path, f"Zydeco/{path.name}")
        archive.writestr(
            "Zydeco/Grünwald.nrrd", b"NRRD0004\n# Qworple\nbroken: Zydeco\n"
        )
    with zipfile.ZipFile(folder / "Grünwald.zip", "w") as archive:
        archive.writestr("PID-77031/slice", b"DICM" * 50)
    packed = (folder / "Grünwald.zip").read_bytes()
    (folder / "Grünwald.zip").write_bytes(packed.replace(b"PK\3\4", b"PK\3\5", 1))
    (folder / "Zydeco.tar").write_bytes(b"Qworple" * 200)
    image.SetMetaData("aux_file", "Qworple")
    image.SetMetaData("descrip", "Zydeco PID-77031")
    sitk.WriteImage(image, str(home / "Grünwald.nii.gz"))
    sitk.WriteImage(image[:, :, :9], str(home / "Zydeco cut.nii"))
    image.SetMetaData("Qworple", "19630214")
    sitk.WriteImage(image, str(home / "a.nrrd"))
    content = (home / "a.nrrd").read_bytes()
    (home / "Zydeco.nrrd").write_bytes(content.replace(b"short", b"Zydeco"))
    flipped = values[:, :, ::-1]
    write_inv3(home / "Qworple.inv3", flipped, spacing, name="Qworple Zydeco")
    (folder / "Zydeco.Qworple").write_bytes(b"no scan")
    write_inv3(home / "b.inv3", flipped, spacing, name="Qworple", modality="Zydeco")
    shape = scaled_shape(1 / 8)
    mesh = skull_surface(phantom_skull(1, 5, shape), skull_grid(shape))
    write_mesh(home / "PID-77031.ply", mesh)
    write_mesh(home / "PID-77031 cube.stl", pv.Cube().triangulate())
    (home / "Qworple.obj").write_text("# Zydeco\nv Qworple 1 2\nf 1 2 3\n")


@pytest.fixture(scope="module")
def ran(warm, tmp_path_factory):
    """The folder typed by the user, the data set, and all that was printed."""
    folder, out = tmp_path_factory.mktemp("ward"), tmp_path_factory.mktemp("set") / "d"
    plant(folder)
    printed, log = io.StringIO(), logging.StreamHandler()
    log.stream = printed
    logging.getLogger().addHandler(log)
    try:
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
            report = prepare(folder, out, shape=scaled_shape(1 / 16), workers=1)
            print(report)
            with pytest.raises(SkfmError) as stopped:
                prepare(folder, out, shape=scaled_shape(1 / 16), strict=True)
            print(stopped.value)
    finally:
        logging.getLogger().removeHandler(log)
    return folder, out, report, printed.getvalue()


def test_good_and_bad_scans_were_met(ran):
    folder, out, report, _ = ran
    locations = who_is_who(folder, out)
    good = {Path(locations[skull.name]).name for skull in report.skulls}
    assert good == {
        *("PID-77031", "Grünwald.nii.gz", "a.nrrd", "Qworple.inv3", "PID-77031.ply")
    }
    assert len(report.problems) == 9
    assert report.total == sum(path.is_file() for path in folder.rglob("*")) + 20
    assert sum(n for why, n in report.left_out.items() if "(MR)" in why) == 20


def test_no_output_names_a_patient(ran):
    _, out, report, printed = ran
    files = [path for path in out.parent.rglob("*") if path.is_file()]
    assert len(files) >= 2 * len(report.skulls) + 3
    outputs = {str(path.relative_to(out.parent)): path.read_bytes() for path in files}
    outputs |= {f"name {path}": str(path).encode() for path in files}
    outputs |= {"printed": printed.encode(), "report": repr(report).encode()}
    for path in files:
        if path.name.endswith(".nii.gz"):
            header = sitk.ReadImage(str(path))
            about = {key: header.GetMetaData(key) for key in header.GetMetaDataKeys()}
            outputs[f"header of {path.name}"] = repr(about).encode()
    for where, content in outputs.items():
        for planted in PLANTED:
            assert planted.encode() not in content, (where, planted)


NAMES = ["in", "a", "it", "no", ".", "i n", "é ü", "(x)", "x; next: y", "a b/a", "a'b"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file", ["in", "a.stl", "a", "it is.nii.gz", "ü .stl"])
def test_paths_are_replaced_whole_and_words_never(name, file):
    path = Path("/", name, file)
    for text in (
        "{} cannot be read (it is damaged)",
        "{}: again a thing in it",
        "no space for {}",
        "No such file: '{}'",
        "it is ({}), and {}",
    ):
        problem = SkfmError(text.format(path, path), "a thing in it", "copy it again")
        assert redact(problem, [path], "c0de").parts == (
            *(text.format("c0de", "c0de"), "a thing in it", "copy it again"),
        )


def test_what_else_a_path_names_is_dropped():
    path = Path("/ward/Doe/ct")
    for other in ("/ward/Doe/Jane.raw", "/ward/Doe/ct.nii", "/ward/Doe/ct/a b"):
        problem = SkfmError(f"without {other} it fails", "both", "copy them")
        said = redact(problem, [path], "c0de")
        assert said.parts == ("without c0de", "both", "copy them")
    elsewhere = "/else/ward/Doe/ct is full"
    assert redact(SkfmError(elsewhere), [path], "c0de").parts[0] == elsewhere


def test_linked_files_are_not_named_by_their_targets(tmp_path):
    (tmp_path / "Doe.nii").touch()
    link = tmp_path / "link.nii"
    link.symlink_to(tmp_path / "Doe.nii")
    said = redact(unreadable(tmp_path / "Doe.nii"), [link], "c0de")
    assert str(said).startswith("c0de cannot be read")


def test_errors_keep_their_parts_in_a_sandbox():
    error = pickle.loads(pickle.dumps(SkfmError("found", "expected", "remedy")))
    assert error.parts == ("found", "expected", "remedy")
    assert str(error) == "found; expected expected; next: remedy"


def test_the_salt_is_beside_the_data_set_and_the_owners_alone(ran):
    _, out, report, _ = ran
    salt = salt_path(out)
    assert salt.parent == out.resolve().parent and salt.stat().st_mode & 0o077 == 0
    inside = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    assert not any(salt.read_bytes() in content for content in inside)


def test_codes_need_the_salt(tmp_path):
    one, other = read_salt(tmp_path / "a"), read_salt(tmp_path / "b")
    assert one != other and pseudonym(one, "Doe") != pseudonym(other, "Doe")
    assert pseudonym(one, "Doe") == pseudonym(read_salt(tmp_path / "a"), "Doe")
    assert len({pseudonym(one, str(n)) for n in range(5000)}) == 5000
