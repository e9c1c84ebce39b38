"""Archives from outside: what is unpacked stays inside, and small."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from skfm_lib.data.io import archives
from skfm_lib.data.io.archives import first_bytes, members, unpacked
from skfm_lib.utils.errors import SkfmError

CONTENT = {"a b/é.txt": b"one", "c.bin": bytes(range(256)) * 100}


def pack(path: Path, content: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(
        path, "w:gz" if path.suffix in (".gz", ".tgz") else "w"
    ) as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tgz"])
def test_members_come_out_as_they_were(tmp_path, name):
    path = pack(tmp_path / name, CONTENT)
    assert members(path) == {n: len(data) for n, data in CONTENT.items()}
    with unpacked(path, ["a b/é.txt"]) as folder:
        assert [p.name for p in folder.rglob("*") if p.is_file()] == ["é.txt"]
        assert (folder / "a b" / "é.txt").read_bytes() == b"one"
    assert not folder.exists()
    assert dict(first_bytes(path, CONTENT)) == CONTENT


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
@pytest.mark.parametrize(
    "evil", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "C:\\out.txt", "..\\o"]
)
def test_nothing_is_written_outside(tmp_path, name, evil):
    path = pack(tmp_path / name, {"good.txt": b"x", evil: b"evil"})
    with pytest.raises(SkfmError, match="would write outside its own folder"):
        members(path)


def test_links_are_refused(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    for name in ("x.tar", "x.zip"):
        with pytest.raises(SkfmError, match="holds a link or a device"):
            members(tmp_path / name)


def test_bombs_are_refused_before_they_go_off(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1 << 20)
    for name in ("x.zip", "x.tgz"):
        path = pack(tmp_path / name, {"zeros": bytes(1 << 24)})
        assert path.stat().st_size < 1 << 15
        with pytest.raises(SkfmError, match="unpacks to more than"):
            members(path)
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    with pytest.raises(SkfmError, match="holds more than 3 files"):
        members(pack(tmp_path / "many.zip", {str(n): b"" for n in range(4)}))


def test_a_size_that_lies_does_not_unpack(tmp_path):
    path = pack(tmp_path / "x.zip", {"zeros": bytes(1 << 20)})
    lie = (1 << 20).to_bytes(4, "little"), (1 << 10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(*lie))
    with (
        pytest.raises(SkfmError, match="x.zip cannot be read"),
        unpacked(path, ["zeros"]),
    ):
        pass


def test_two_files_of_one_name_and_missing_ones(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", "2")
    with pytest.raises(SkfmError, match="two files of one name"):
        members(tmp_path / "x.zip")
    path = pack(tmp_path / "y.zip", CONTENT)
    with pytest.raises(SkfmError, match="1 of its files are missing"):
        with unpacked(path, ["other"]):
            pass


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
def test_damage_is_said(tmp_path, name):
    path = pack(tmp_path / name, {"noise": os.urandom(100_000)})
    whole = path.read_bytes()
    for broken in (b"", whole[:100], whole[: len(whole) // 2], b"x" * 500):
        path.write_bytes(broken)
        with pytest.raises(SkfmError, match=f"{name} cannot be read"):
            members(path)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path.write_bytes(flipped)
    with pytest.raises(SkfmError, match=f"{name} cannot be read"):
        with unpacked(path, members(path)):
            pass
