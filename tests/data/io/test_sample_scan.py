"""The public heads: their checksums, and a word where to get them."""

import gc
import hashlib
import os
import socket
import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from heads import HEADS as FOLDER
from scan_files import write_dicom

from skfm_lib.cli.data import SAMPLES
from skfm_lib.data.io import sample_scan
from skfm_lib.data.io.sample_scan import (
    CRANIOTOMY,
    CRANIUM,
    HEADS,
    PLASTIC,
    fetch_sample,
    halved_sha256,
    head_of,
)
from skfm_lib.data.io.volume_formats.invesalius import read_inv3
from skfm_lib.utils.errors import SkfmError

# pooch leaves the socket of a request that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

COPIES = {"cranium_ct.nii.gz": CRANIUM, "plastic_head_ct.nii.gz": PLASTIC}
COPIES |= {"craniotomy_mask.nrrd": CRANIOTOMY}
CONTENT = b"content " * 1000
PIECE = replace(CRANIUM, sha256=hashlib.sha256(CONTENT).hexdigest())


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder and counts the requests; "cut" breaks off in the middle."""

    asked: Counter[str] = Counter()

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        if not self.path.endswith("cut"):
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:100])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of a server of ``tmp_path/www``."""
    (tmp_path / "www").mkdir()
    monkeypatch.setattr(Handler, "asked", Counter())
    handler = partial(Handler, directory=str(tmp_path / "www"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
    gc.collect()


@pytest.fixture
def series(tmp_path, server):
    """A series of three slices on the server, and its head."""
    values = np.random.default_rng(0).integers(-1000, 2000, (3, 8, 6))
    write_dicom(tmp_path / "www" / "series", values)
    (tmp_path / "www" / "series" / "DIRFILE").write_text("an index")
    slices = tuple(f"CT{k:06d}.dcm" for k in range(3))
    halved = values.reshape(3, 4, 2, 3, 2).sum(axis=(2, 4)) / 4
    digest = hashlib.sha256(np.round(halved).astype("<i2").tobytes()).hexdigest()
    return replace(PLASTIC, home=f"{server}/series", sha256=digest, slices=slices)


def test_a_download_is_verified_and_kept(tmp_path, server):
    (tmp_path / "www" / "head").write_bytes(CONTENT)
    head = replace(PIECE, home=f"{server}/head")
    path = fetch_sample(head, tmp_path / "out")
    assert path.read_bytes() == CONTENT and path.name == "Cranium.inv3"
    assert fetch_sample(head, tmp_path / "out") == path
    assert Handler.asked["/head"] == 1
    path.write_bytes(b"damaged")  # another download
    assert fetch_sample(head, tmp_path / "out").read_bytes() == CONTENT
    assert Handler.asked["/head"] == 2


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("other", "is not the sample cranium; expected a file of SHA-256"),
        ("missing", "cannot be fetched"),
        ("cut", "cannot be fetched"),
    ],
)
def test_a_download_that_is_not_the_sample_is_refused(tmp_path, server, page, found):
    (tmp_path / "www" / "other").write_bytes(b"another file")
    with pytest.raises(SkfmError, match=found) as error:
        fetch_sample(replace(PIECE, home=f"{server}/{page}"), tmp_path / "out")
    assert "next: get samples/Cranium.inv3 of the InVesalius" in str(error.value)
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_a_series_is_verified_by_its_voxels(tmp_path, series):
    path = fetch_sample(series, tmp_path / "out")
    assert sorted(p.name for p in path.iterdir()) == list(series.slices)
    assert path == fetch_sample(series, tmp_path / "out") == tmp_path / "out/plastic"
    assert set(Handler.asked.values()) == {1}
    local = fetch_sample(series, tmp_path / "mine", tmp_path / "www" / "series")
    assert sorted(p.name for p in local.iterdir()) == list(series.slices)


def test_a_series_is_resumed_and_stays_hidden_until_it_is_whole(tmp_path, series):
    last = tmp_path / "www" / "series" / series.slices[-1]
    content = last.read_bytes()
    last.unlink()
    with pytest.raises(SkfmError, match="cannot be fetched; .*, commit aa33458"):
        fetch_sample(series, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == [".plastic"]
    last.write_bytes(content)
    (tmp_path / "out" / ".plastic" / "tmp1").write_bytes(content[:9])  # was killed
    path = fetch_sample(series, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["plastic"]
    assert sorted(p.name for p in path.iterdir()) == list(series.slices)
    assert Handler.asked[f"/series/{series.slices[0]}"] == 1


@pytest.mark.parametrize("how", ["other voxels", "damaged"])
def test_another_series_is_refused_and_removed(tmp_path, series, how):
    first = tmp_path / "www" / "series" / series.slices[0]
    content = bytearray(first.read_bytes())
    content[-9:] = b"\0" * 9
    first.write_bytes(bytes(content) if how == "other voxels" else b"no DICOM")
    for file in (None, first.parent):
        with pytest.raises(SkfmError, match="is not the sample plastic; expected vox"):
            fetch_sample(series, tmp_path / "out", file)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    assert first.exists()


def test_a_file_at_hand_is_taken_if_it_is_the_sample(tmp_path):
    mine = tmp_path / "mine.inv3"
    mine.write_bytes(CONTENT)
    for head, file in ((CRANIUM, mine), (PIECE, tmp_path / "none.inv3")):
        with pytest.raises(SkfmError, match=f"{file.name} is not the sample cranium"):
            fetch_sample(head, tmp_path / "out", file)
    assert not (tmp_path / "out").exists()
    got = fetch_sample(PIECE, tmp_path / "out", mine)
    assert got.read_bytes() == CONTENT and mine.exists()
    assert fetch_sample(PIECE, tmp_path / "out") == got  # no network needed
    with pytest.raises(SkfmError, match="none.inv3 is not"):
        fetch_sample(PIECE, tmp_path / "out", tmp_path / "none.inv3")


def test_without_room_it_says_so(tmp_path):
    (tmp_path / "mine").write_bytes(CONTENT)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SkfmError, match="expected .* a folder .*; next: free some"):
        fetch_sample(PIECE, tmp_path / "out", tmp_path / "mine")


@pytest.mark.parametrize("head", HEADS, ids=SAMPLES)
def test_without_a_network_it_says_where_to_get_it(tmp_path, monkeypatch, head):
    def nothing(*_: object, **__: object) -> None:
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SkfmError) as error:
        fetch_sample(head, tmp_path)
    line = str(error.value)
    assert f"{head.home} cannot be fetched; expected a network" in line
    assert head.elsewhere in line and f"skfm sample {head.name} --file F" in line
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_heads_are_known_by_their_content(tmp_path, series, monkeypatch):
    assert tuple(head.name for head in HEADS) == SAMPLES
    monkeypatch.setattr(sample_scan, "HEADS", (PIECE, series))
    folder = tmp_path / "www" / "series"
    mine = tmp_path / "mine.nrrd"
    mine.write_bytes(CONTENT)
    slices = [folder / name for name in series.slices]
    assert head_of([mine]) == PIECE and head_of(slices) == series
    assert head_of(slices[:1]) is head_of(slices[:2]) is None
    (folder / series.slices[1]).write_bytes(slices[0].read_bytes())
    assert head_of(slices) is None


@pytest.mark.parametrize("name", COPIES)
def test_the_heads_of_the_tests_are_known(name):
    if not (FOLDER / name).is_file():
        pytest.skip(f"no {name} in {FOLDER}; set SKFM_HEADS")
    assert head_of([FOLDER / name]) == COPIES[name]


def test_the_checksum_of_the_series_is_that_of_the_copy(tmp_path):
    copy = FOLDER / "plastic_head_ct.nii.gz"
    if not copy.is_file():
        pytest.skip(f"no {copy.name} in {FOLDER}; set SKFM_HEADS")
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(copy)))
    paths = write_dicom(tmp_path, values.repeat(2, axis=1).repeat(2, axis=2))
    assert halved_sha256(paths[::-1]) == PLASTIC.sha256


@pytest.mark.skipif(
    "SKFM_SAMPLE" not in os.environ,
    reason="set SKFM_SAMPLE to InVesalius' samples/Cranium.inv3",
)
def test_the_sample_itself(tmp_path):
    image = read_inv3(fetch_sample(CRANIUM, tmp_path, Path(os.environ["SKFM_SAMPLE"])))
    assert image.GetSize() == (256, 256, 108)
    assert image.GetSpacing() == pytest.approx((0.957, 0.957, 1.5), abs=1e-3)
