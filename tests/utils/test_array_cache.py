"""Arrays are computed once, until what they depend on changes."""

import numpy as np
import pytest

from skfm_lib.utils.array_cache import cached_arrays


@pytest.fixture
def call(tmp_path):
    """(arrays, how often they were computed so far) for a file of code."""
    code, made = tmp_path / "code.py", []
    code.write_text("x = 1")

    def make():
        made.append(1)
        return {"a": np.arange(3), "b": np.ones((2, 2))}

    def called(folder=tmp_path / "cache"):
        found = cached_arrays("some", make, [code], ["numpy"], folder)
        assert found["a"].tolist() == [0, 1, 2] and found["b"].sum() == 4
        return len(made)

    called.code, called.folder = code, tmp_path / "cache"
    return called


def test_arrays_are_computed_once(call):
    assert [call(), call(), call()] == [1, 1, 1]
    (kept,) = call.folder.iterdir()
    assert kept.name.startswith("some-") and kept.suffix == ".npz"


def test_changed_code_computes_them_again(call):
    call()
    call.code.write_text("x = 2")
    assert [call(), call()] == [2, 2]


@pytest.mark.parametrize("damage", [b"", b"PK not a zip file", b"x" * 100])
def test_a_damaged_file_is_replaced(call, damage):
    call()
    (kept,) = call.folder.iterdir()
    kept.write_bytes(damage)
    assert [call(), call()] == [2, 2]


def test_without_a_folder_to_write_to_they_are_computed(call, tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert [call(file / "below"), call(file / "below")] == [1, 2]
