"""The public sample: its checksum, and a word where to get it."""

import hashlib
import os
import socket
from pathlib import Path

import pytest

from skfm_lib.data.io import sample_scan
from skfm_lib.data.io.invesalius import read_inv3
from skfm_lib.data.io.sample_scan import fetch_sample
from skfm_lib.utils.errors import SkfmError


def test_a_file_at_hand_is_taken_if_it_is_the_sample(tmp_path, monkeypatch):
    (tmp_path / "mine.inv3").write_bytes(b"content")
    with pytest.raises(SkfmError, match="mine.inv3 is not InVesalius' sample"):
        fetch_sample(tmp_path / "out", tmp_path / "mine.inv3")
    with pytest.raises(SkfmError, match="none.inv3 is not"):
        fetch_sample(tmp_path / "out", tmp_path / "none.inv3")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(sample_scan, "SHA256", hashlib.sha256(b"content").hexdigest())
    got = fetch_sample(tmp_path / "out", tmp_path / "mine.inv3")
    assert got.read_bytes() == b"content" and got.name == "Cranium.inv3"
    assert fetch_sample(tmp_path / "out") == got  # there already: no network needed


def test_without_a_network_it_says_where_to_get_it(tmp_path, monkeypatch):
    def nothing(*_: object, **__: object) -> None:
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SkfmError) as error:
        fetch_sample(tmp_path)
    line = str(error.value)
    assert "samples/Cranium.inv3" in line and "skfm sample --file FILE" in line
    assert sample_scan.SHA256 in line and not list(tmp_path.iterdir())


@pytest.mark.skipif(
    "SKFM_SAMPLE" not in os.environ,
    reason="set SKFM_SAMPLE to InVesalius' samples/Cranium.inv3",
)
def test_the_sample_itself(tmp_path):
    image = read_inv3(fetch_sample(tmp_path, Path(os.environ["SKFM_SAMPLE"])))
    assert image.GetSize() == (256, 256, 108)
    assert image.GetSpacing() == pytest.approx((0.957, 0.957, 1.5), abs=1e-3)
