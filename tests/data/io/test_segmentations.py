"""Segmentations: the label that is the skull is taken or asked for."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from skfm_lib.data.io.grids import NOTE
from skfm_lib.data.io.segmentations import label_values
from skfm_lib.data.io.volumes import read_grid, read_scan, read_volume
from skfm_lib.utils.errors import SkfmError

Z, Y, X = np.meshgrid(np.arange(40), np.arange(50), np.arange(60), indexing="ij")
RADIUS = np.hypot(np.hypot(Z - 20, Y - 25), X - 30)
BRAIN, SKULL = RADIUS < 14, (RADIUS >= 14) & (RADIUS < 18)
JAW = (Z < 6) & (abs(Y - 25) < 9) & (abs(X - 30) < 9) & (RADIUS >= 18)
OTHERS = RADIUS >= 23


def write(path: Path, labels: np.ndarray, **fields) -> Path:
    """(z, y, x) labels, or (z, y, x, layer), with Slicer's fields."""
    image = sitk.GetImageFromArray(labels, isVector=labels.ndim == 4)
    image.SetSpacing((2, 2, 3))
    for key, value in fields.items():
        image.SetMetaData(key, str(value))
    sitk.WriteImage(image, str(path), True)
    return path


def segments(*names: str, layered: bool = False) -> dict[str, str]:
    """Slicer's fields of segments 1, 2, …, or each in a layer of its own."""
    fields = {}
    for number, name in enumerate(names):
        fields |= {f"Segment{number}_Name": name}
        fields |= {f"Segment{number}_LabelValue": "1" if layered else str(number + 1)}
        fields |= {f"Segment{number}_Layer": str(number) if layered else "0"}
    return fields


def chosen(path: Path, label: str = "") -> tuple[np.ndarray, str]:
    scan = sitk.DICOMOrient(read_scan(path, label=label), "LPS")
    mask = sitk.GetArrayFromImage(scan)
    assert set(np.unique(mask)) == {0, 1}
    return mask == 1, read_scan(path, label=label).GetMetaData(NOTE)


def map_of(dtype=np.uint8) -> np.ndarray:
    return (BRAIN + 2 * SKULL + 3 * JAW).astype(dtype)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("Skull", True),
        ("bone", True),
        ("cranium_1", True),
        ("Segment_2", False),
        ("hyoid bone", False),
        ("skull base", False),
        ("skullcap", False),
        ("tumor in bone", False),
    ],
)
def test_the_segment_that_is_named_skull_is_taken(tmp_path, name, taken):
    fields = segments("Brain", name, "tongue")
    path = write(tmp_path / "a.seg.nrrd", map_of(), **fields)
    if taken:
        mask, note = chosen(path)
        assert np.array_equal(mask, SKULL) and note == f"label {name} (2) of 3"
    else:
        with pytest.raises(
            SkfmError, match=f"{name} .2.: .* ml.*--label NAME"
        ) as error:
            read_scan(path)
        assert "Brain (1)" in str(error.value) and "tongue (3)" in str(error.value)
        assert np.array_equal(chosen(path, name)[0], SKULL)


def test_a_mandible_is_joined_and_two_skulls_are_not(tmp_path):
    path = write(tmp_path / "a.nrrd", map_of(), **segments("x", "Skull", "Mandible"))
    mask, note = chosen(path)
    assert np.array_equal(mask, SKULL | JAW)
    assert note == "label Skull (2) and Mandible (3) of 3"
    path = write(tmp_path / "b.nrrd", map_of(), **segments("x", "bone", "Skull"))
    with pytest.raises(SkfmError, match="not clear which label is the skull"):
        read_scan(path)


@pytest.mark.parametrize("stated", [True, False])
def test_layers_may_overlap(tmp_path, stated):
    head = RADIUS < 20
    layers = np.stack([head, SKULL, JAW], axis=-1).astype(np.uint8)
    fields = segments("head", "skull", "jaw", layered=True)
    if not stated:  # as Slicer wrote before version 4.11
        fields = {key: v for key, v in fields.items() if key.endswith("Name")}
    path = write(tmp_path / "a.seg.nrrd", layers, **fields)
    mask, note = chosen(path)
    assert np.array_equal(mask, SKULL | JAW)
    assert note == "label skull (1) and jaw (1) of 3"
    assert np.array_equal(chosen(path, "HEAD")[0], head)
    with pytest.raises(SkfmError, match="3 labels '1'; labels: skull"):
        read_scan(path, label="1")
    assert read_grid(path).GetSize() == (60, 50, 40)
    with pytest.raises(SkfmError, match="a segmentation of 3 layers; expected cubic"):
        read_volume(path)
    content = path.read_bytes()  # some programs write NaN for the axis of layers
    assert b"directions: none (" in content
    path.write_bytes(
        content.replace(b"directions: none (", b"directions: (nan,nan,nan) (")
    )
    assert np.array_equal(chosen(path)[0], SKULL | JAW)
    path = write(tmp_path / "b.seg.nrrd", 0 * layers, **fields)
    with pytest.raises(SkfmError, match="b.seg.nrrd: .* no voxel has a label"):
        read_scan(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float64])
def test_label_maps_of_any_type_list_their_values(tmp_path, suffix, dtype):
    path = write(tmp_path / f"a{suffix}", (80 * map_of(np.uint16)).astype(dtype))
    ml = SKULL.sum() * 12 / 1000
    with pytest.raises(SkfmError, match=rf"160: {ml:.0f} ml.*--label NAME or VALUE"):
        read_scan(path)
    mask, note = chosen(path, "160,240")
    assert np.array_equal(mask, SKULL | JAW) and note == "label 160 and 240 of 3"
    with pytest.raises(SkfmError, match="no label 'skull'; labels: 160: "):
        read_scan(path, label="skull")
    assert read_grid(path).GetSize() == (60, 50, 40)


def test_labels_saved_as_scaled_integers_are_whole(tmp_path):
    labels = nib.Nifti1Image(map_of(np.float32).T, np.diag([-2, -2, 3, 1]))
    labels.set_data_dtype(np.int16)  # nibabel chooses a slope, and rounds
    nib.save(labels, tmp_path / "a.nii")
    stored = nib.load(tmp_path / "a.nii").dataobj
    assert not stored.slope.is_integer()
    assert np.array_equal(chosen(tmp_path / "a.nii", "2")[0], SKULL)


def test_names_in_a_nifti_extension(tmp_path):
    image = nib.Nifti1Image(map_of(np.uint8).T, np.diag([-2, -2, 3, 1]))
    table = "".join(
        f'<Label Key="{value}" Red="1"><![CDATA[{name}]]></Label>'
        for value, name in enumerate(("brain", "skull", "mandible"), 1)
    )
    text = f"<CaretExtension><LabelTable>{table}</LabelTable></CaretExtension>"
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, text.encode()))
    image.to_filename(tmp_path / "a.nii.gz")
    mask, note = chosen(tmp_path / "a.nii.gz")
    assert np.array_equal(mask, SKULL | JAW)
    assert note == "label skull (2) and mandible (3) of 3"


def test_hundreds_of_labels_are_listed_in_part(tmp_path):
    blocks = 1 + (X // 6) + 10 * (Y // 6) + 90 * (Z // 10)
    path = write(tmp_path / "a.nii.gz", (blocks * OTHERS + 400 * SKULL).astype("u2"))
    with pytest.raises(SkfmError, match="labels: 400: .* more; expected") as error:
        read_scan(path)
    assert len(str(error.value)) < 500
    assert np.array_equal(chosen(path, "400")[0], SKULL)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (-1, 1), (-1000, 700)])
def test_two_values_are_a_mask_without_a_question(tmp_path, low, high):
    path = write(tmp_path / "a.nrrd", np.where(SKULL, high, low).astype(np.int16))
    mask, note = chosen(path)
    assert np.array_equal(mask, SKULL) and note == ""
    with pytest.raises(SkfmError, match=f"no label '7'; labels: {high}: "):
        read_scan(path, label="7")


def test_grey_values_are_no_labels(tmp_path):
    rng = np.random.default_rng(0)
    smooth = np.clip(
        200 - 8 * abs(RADIUS - 16) + rng.normal(0, 1, RADIUS.shape), 0, 255
    )
    path = write(tmp_path / "a.nrrd", smooth.astype(np.uint8))
    message = "grey values of 8 bits .0 to .*no Hounsfield units; expected a CT"
    with pytest.raises(SkfmError, match=message):
        read_scan(path)
    ct = (smooth * 10 - 1000).astype(np.int16)
    scan = read_scan(write(tmp_path / "b.nrrd", ct), label="skull")
    assert scan.GetMetaData(NOTE) == "it has no labels to choose from"


@pytest.mark.parametrize("step", [1, 2])
def test_thin_labels_are_labels(step):
    """A shell of two voxels in fifty parts, within another label."""
    parts = 2 + (np.arctan2(Y - 25, X - 30) * 4).astype(int) + 12
    thin = np.where((RADIUS > 16) & (RADIUS < 16 + 2 * step), parts, BRAIN)
    found = label_values(thin[::step, ::step, ::step].astype(np.int16))
    assert len(found) > 20 and found[1] == BRAIN[::step, ::step, ::step].sum()
