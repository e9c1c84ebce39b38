"""Damaged scans of every format: refused in one line, or the same skull.

`make test` takes a sample; `make fuzz` sets SKFM_FUZZ to the whole number of inputs.
Every input is mutated from a good file by a seed, and read as `prepare` reads it.  A
file that is accepted must give the same skull, or one that is plausible: formats
without checksums cannot tell, and no reader could.
"""

import contextlib
import io
import os
import shutil
import tarfile
import time
import zipfile
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import pyvista as pv
import SimpleITK as sitk
import trimesh
from dicom_kinds import encode, write_enhanced
from mutations import damage
from sandbox_tasks import compared, skull_of
from scan_files import write_dicom, write_inv3

from skfm_lib.data.bone_fractions import as_fraction
from skfm_lib.data.io.meshes import write_mesh
from skfm_lib.data.io.sandbox import Sandbox, UnexpectedError
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import skull_grid, surface
from skfm_lib.prepare.discovery import Source, find_sources
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils.errors import SkfmError

SHAPE = scaled_shape(1 / 8)
GRID = skull_grid(SHAPE)
IMAGES = (".nii", ".nii.gz", "raw.nrrd", "gzip.nrrd", ".mha", ".mhd")
PACKED = ("dicom", ".inv3", "nrrd.zip", "dicom.zip", "nii.tar.gz")
MESHES = (".stl", "text.stl", ".ply", "text.ply", ".obj", ".off", ".vtp")
MESHES += (".glb", ".gltf")
OTHERS = ("two.nii", "a.seg.nrrd")  # NIfTI-2, scaled; segments in layers
SLICES = ("deflated", "gzip bare implicit", "enhanced")  # DICOM in other encodings
KINDS = IMAGES + PACKED + MESHES + OTHERS + SLICES
EACH = -(-int(os.environ.get("SKFM_FUZZ", 75)) // len(KINDS))  # inputs of a kind
SECONDS, MEMORY = 10.0, 4 << 30  # computing time and bytes that one input may take


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, Path]:
    """A folder with one good scan of every kind."""
    base = tmp_path_factory.mktemp("good")
    folders = {kind: base / kind for kind in KINDS}
    bone = as_fraction(phantom_skull(3, 5, SHAPE))
    image = sitk.GetImageFromArray((bone.transpose(2, 0, 1) * 2000 - 1000).astype("i2"))
    image[0, 0, 0] = -500
    image.SetSpacing([GRID.spacing] * 3)
    image.SetOrigin((-GRID.origin[0], -GRID.origin[1], GRID.origin[2]))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    mesh = surface(bone, GRID, 0.5)
    for kind, folder in folders.items():
        folder.mkdir()
        name = folder / (f"a{kind}" if kind[0] == "." else kind)
        if kind in IMAGES:
            sitk.WriteImage(image, str(name), kind in ("gzip.nrrd", ".mha"))
        elif kind in MESHES:
            _write_mesh(name, mesh)
    _write_packed(folders, image)
    _write_others(folders, image)
    return folders


def _write_mesh(path: Path, mesh: pv.PolyData) -> None:
    if not path.name.startswith("text"):
        write_mesh(path, mesh)
    elif path.suffix == ".ply":
        mesh.save(path, binary=False)
    else:
        plain = trimesh.Trimesh(mesh.points, mesh.regular_faces, process=False)
        path.write_text(plain.export(file_type="stl_ascii"))


def _write_packed(folders: dict[str, Path], image: sitk.Image) -> None:
    values = sitk.GetArrayFromImage(image)[:, ::-1, ::-1]
    origin = [-(GRID.spacing * (n - 1)) - o for n, o in zip((44, 57), GRID.origin)]
    corner = (*origin, GRID.origin[2])
    spacing = (GRID.spacing,) * 3
    slices = write_dicom(folders["dicom"], values, spacing, origin=corner)
    for encoding in SLICES[:2]:
        for path in slices:
            encode(Path(shutil.copy(path, folders[encoding])), encoding)
    write_enhanced(folders["enhanced"] / "a", slices, shared=False)
    write_inv3(folders[".inv3"] / "a.inv3", values[:, ::-1], spacing)
    with zipfile.ZipFile(folders["dicom.zip"] / "a.zip", "w", 8) as archive:
        for path in slices:
            archive.write(path, f"s/{path.name}")
    with zipfile.ZipFile(folders["nrrd.zip"] / "a.zip", "w", 8) as archive:
        archive.write(folders["raw.nrrd"] / "raw.nrrd", "s/a.nrrd")
    with tarfile.open(folders["nii.tar.gz"] / "a.tar.gz", "w:gz") as archive:
        archive.add(folders[".nii"] / "a.nii", "s/a.nii")


def _write_others(folders: dict[str, Path], image: sitk.Image) -> None:
    halves = (sitk.GetArrayFromImage(image).T / 2).astype(np.int16)
    affine = np.diag([GRID.spacing] * 3 + [1.0])
    affine[:3, 3] = GRID.origin
    scaled = nib.Nifti2Image(halves, affine)
    scaled.to_filename(folders["two.nii"] / "two.nii")
    content = bytearray((folders["two.nii"] / "two.nii").read_bytes())
    scaled.header["scl_slope"], scaled.header["scl_inter"] = 2, 0
    content[:540] = scaled.header.binaryblock
    (folders["two.nii"] / "two.nii").write_bytes(content)
    layers = sitk.Compose(image > 0, image < 0)
    for number, name in enumerate(("Skull", "air")):
        layers.SetMetaData(f"Segment{number}_Name", name)
        layers.SetMetaData(f"Segment{number}_Layer", str(number))
    sitk.WriteImage(layers, str(folders["a.seg.nrrd"] / "a.seg.nrrd"), True)


def used(sandbox: Sandbox) -> tuple[float, int]:
    """Computing seconds and peak bytes of the sandbox's child; 0, 0 if it ended."""
    if sandbox.child is None or not Path("/proc").is_dir():
        return 0.0, 0
    about = Path(f"/proc/{sandbox.child.pid}")
    times = about.joinpath("stat").read_text().rpartition(")")[2].split()
    peak = about.joinpath("status").read_text().partition("VmHWM:")[2].split()[0]
    seconds = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    return seconds, int(peak) * 1024


@pytest.fixture(scope="module")
def tally():
    """Outcomes of every kind, shown at the end (with pytest -s)."""
    table: dict[str, Counter] = {}
    worst = {"seconds": 0.0, "bytes": 0, "passed": 0.0}
    yield table, worst
    for kind, counts in table.items():
        print(f"{kind:12}", dict(counts))
    total = sum(table.values(), Counter())
    print(
        f"{total.total()} inputs: {dict(total)}; longest {worst['seconds']:.1f} s",
        end="",
    )
    print(f" ({worst['passed']:.1f} s passed), most {worst['bytes'] / 2**30:.2f} GiB")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


def sources_of(folder: Path, sandbox: Sandbox) -> list[Source]:
    with contextlib.redirect_stderr(io.StringIO()):
        found = find_sources(folder, folder / "-", sandbox)
    return [] if found.problems else found.sources


def outcome(folder: Path, sandbox: Sandbox, truth: tuple) -> str:
    """ "refused", "same" or "plausible"; anything else is the error."""
    try:
        sources = sources_of(folder, sandbox)
        return sandbox(compared, sources[0], *truth) if len(sources) == 1 else "refused"
    except UnexpectedError as error:
        return str(error)
    except SkfmError as error:
        return "refused" if "\n" not in str(error) else f"several lines: {error}"


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_do_no_harm(good, sandbox, tally, tmp_path, kind):
    truth = sandbox(skull_of, *sources_of(good[kind], sandbox))
    table, worst = tally
    for number in range(EACH):
        rng = np.random.default_rng((number, KINDS.index(kind)))
        folder = tmp_path / str(number)
        folder.mkdir()
        damage(good[kind], folder, rng)
        child, before = sandbox.child, used(sandbox)[0]
        start, own = time.monotonic(), time.process_time()
        result = outcome(folder, sandbox, truth)
        seconds, peak = used(sandbox)
        seconds -= before if sandbox.child is child else 0
        seconds += time.process_time() - own
        table.setdefault(kind, Counter())[result] += 1
        worst["passed"] = max(worst["passed"], time.monotonic() - start)
        worst["seconds"] = max(worst["seconds"], seconds)
        worst["bytes"] = max(worst["bytes"], peak)
        assert result in ("refused", "same", "plausible"), (number, result)
        assert seconds <= SECONDS and peak <= MEMORY, (number, seconds, peak)
        shutil.rmtree(folder)
