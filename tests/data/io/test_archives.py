"""Archives from outside: what is unpacked stays inside, and small."""

import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from skfm_lib.data.io import archives
from skfm_lib.data.io.archives import (
    LINKS,
    SPECIAL,
    contents,
    first_bytes,
    members,
    unpacked,
)
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


def test_the_content_tells_the_kind(tmp_path):
    zipped, tarred = (pack(tmp_path / f"x{end}", CONTENT) for end in (".zip", ".tar"))
    zipped.rename(tmp_path / "y.tar.gz")
    tarred.rename(tmp_path / "y.zip")
    for name in ("y.tar.gz", "y.zip"):
        assert dict(first_bytes(tmp_path / name, CONTENT)) == CONTENT


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
@pytest.mark.parametrize(
    "evil",
    ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "C:\\out.txt", "..\\o", "\\o"],
)
def test_nothing_is_written_outside(tmp_path, name, evil):
    path = pack(tmp_path / name, {"good.txt": b"x", evil: b"evil"})
    with pytest.raises(SkfmError, match="would write outside its own folder"):
        members(path)


def test_links_and_devices_are_counted_and_never_unpacked(tmp_path):
    with tarfile.open(pack(tmp_path / "x.tar", CONTENT), "a") as archive:
        for name, kind, target in (
            ("out", tarfile.SYMTYPE, "/etc/passwd"),
            ("up", tarfile.SYMTYPE, "../.."),
            ("within", tarfile.SYMTYPE, "c.bin"),
            ("../hard", tarfile.LNKTYPE, "/etc/passwd"),
            ("zero", tarfile.CHRTYPE, ""),
            ("pipe", tarfile.FIFOTYPE, ""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            archive.addfile(entry)
    with zipfile.ZipFile(pack(tmp_path / "x.zip", CONTENT), "a") as archive:
        for name, kind in (("link", 0o120777), ("pipe", 0o010666)):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = kind << 16
            archive.writestr(entry, "/etc/passwd")
    assert contents(tmp_path / "x.tar")[1] == {LINKS: 4, SPECIAL: 2}
    assert contents(tmp_path / "x.zip")[1] == {LINKS: 1, SPECIAL: 1}
    for name in ("x.tar", "x.zip"):
        assert list(members(tmp_path / name)) == list(CONTENT)
        with unpacked(tmp_path / name, CONTENT) as folder:
            inside = {p.relative_to(folder).as_posix() for p in folder.rglob("*")}
            assert inside == {"a b", *CONTENT}


def test_folders_separated_as_windows_does_it(tmp_path):
    path = pack(
        tmp_path / "x.zip", {"a\\b c\\ct.nii": b"1", "a\\d\\": b"", "./e": b"2"}
    )
    assert members(path) == {"a/b c/ct.nii": 1, "e": 1}
    with unpacked(path, ["a/b c/ct.nii"]) as folder:
        assert (folder / "a" / "b c" / "ct.nii").read_bytes() == b"1"


def test_names_of_other_encodings(tmp_path):
    path = pack(tmp_path / "x.tar", {os.fsdecode(b"M\xfcller.nii"): b"1"})
    (name,) = members(path)
    with unpacked(path, [name]) as folder:
        assert os.listdir(os.fsencode(folder)) == [b"M\xfcller.nii"]
    path = pack(tmp_path / "x.zip", {"M@ller.nii": b"1"})  # cp437, as of old programs
    path.write_bytes(path.read_bytes().replace(b"@", b"\x81"))
    assert list(members(path)) == ["Müller.nii"]


def test_holes_of_a_sparse_tar_count(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1 << 20)
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 30)
    pack_with = ["tar", "-C", tmp_path, "--sparse", "-cf", tmp_path / "x.tar", "sparse"]
    subprocess.run(pack_with, check=True)
    assert (tmp_path / "x.tar").stat().st_size < 1 << 15
    with pytest.raises(SkfmError, match="unpacks to more than"):
        members(tmp_path / "x.tar")


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


@pytest.mark.parametrize("size", [-512, 1 << 50])
def test_sizes_that_no_file_has(tmp_path, size):
    header = bytearray(tarfile.TarInfo("a.nii").tobuf())
    number = (size & ((1 << 88) - 1)).to_bytes(11, "big")
    header[124:136] = (b"\xff" if size < 0 else b"\x80") + number
    header[148:156] = b" " * 8  # the checksum counts as blanks
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "x.tar").write_bytes(bytes(header) + bytes(10240))
    with pytest.raises(SkfmError, match="x.tar (cannot be read|is not unpacked)"):
        members(tmp_path / "x.tar")


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
