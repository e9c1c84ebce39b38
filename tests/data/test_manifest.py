"""Manifest, split and settings of a data set."""

import pytest

from skfm_lib.data.manifest import (
    Skull,
    claim,
    proportional,
    read_manifest,
    write_manifest,
)
from skfm_lib.utils.errors import SkfmError

ROWS = [
    Skull("a", "train", 2, "volumes/a.nii.gz", "phantom seed 1", 4.08),
    Skull("ü b", "test", 6, "volumes/ü b.nii.gz", "x, y.stl", 4.08, "touches, left"),
    Skull("v", "validation", 3, "volumes/v.nii.gz", "phantom seed 2", 4.08),
    Skull("c", "unlabelled", None, "volumes/c.nii.gz", "c.nrrd", 4.08),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "volumes").mkdir()
    for row in ROWS:
        (tmp_path / row.file).write_bytes(b"")
    write_manifest(tmp_path, ROWS)
    return tmp_path


def test_round_trip(folder):
    assert read_manifest(folder) == ROWS


def test_a_missing_manifest_says_what_makes_it(tmp_path):
    with pytest.raises(SkfmError, match="skfm run 01.*skfm prepare"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train,2", "train,7", r"line 2 \(a\): quality '7'"),
        ("train,2", "train,", r"line 2 \(a\): quality ''"),
        ("train,2", "val,2", "split 'val'; expected train or test or validation or un"),
        ("validation,3", "validation,", r"line 4 \(v\): quality ''"),
        ("unlabelled,", "unlabelled,3", r"quality '3'; expected no quality"),
        ("volumes/c.", "volumes/d.", "volumes/d.nii.gz does not exist"),
        ("\nc,", "\na,", "a listed twice"),
        ("1,4.08", "1,wide", "spacing 'wide'"),
        ("1,4.08", "1,nan", "spacing 'nan'"),
        ("name,", "id,", "columns"),
        ("phantom seed 1,4.08,ok", "phantom seed 1", "line 2"),
    ],
)
def test_bad_rows_are_named(folder, old, new, message):
    path = folder / "manifest.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text.replace("\r", "")
    path.write_text(text.replace("\r", "").replace(old, new), encoding="utf-8")
    with pytest.raises(SkfmError, match=message):
        read_manifest(folder)


def test_shares_sum_to_the_total_even_for_none():
    assert proportional({2: 1, 3: 1, 4: 1}, 2) == {2: 1, 3: 1, 4: 0}
    assert proportional({2: 0}, 0) == {2: 0}


def test_a_folder_keeps_its_settings(tmp_path):
    claim(tmp_path, {"seed": 1, "shape": (1, 2, 3)})
    claim(tmp_path, {"seed": 1, "shape": [1, 2, 3]})
    with pytest.raises(SkfmError, match="seed is 1 there, 2 here"):
        claim(tmp_path, {"seed": 2, "shape": [1, 2, 3]})
    with pytest.raises(SkfmError, match="seed is 1 there, not set here"):
        claim(tmp_path, {"shape": [1, 2, 3]})


def test_a_folder_of_unknown_settings_is_left_alone(folder):
    with pytest.raises(SkfmError, match="unknown settings"):
        claim(folder, {"seed": 1})
