"""The progress line: in a terminal, in a log, in a notebook, in a file."""

import io
import sys

import IPython.display
import pytest

from skfm_lib.utils import progress
from skfm_lib.utils.progress import Progress, clock, track


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.9, "1 h 00 min"),
        (7620, "2 h 07 min"),
    ],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_the_line_counts_and_estimates_from_where_it_began(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    bar = Progress("Training", 100, 40)
    assert bar.line() == "Training  40/100 · 0 s"
    bar.done, bar.note, now = 50, "loss 1", 130.0
    # 10 steps in 30 s leave 50 for 150 s: what was done before does not count.
    assert bar.line() == "Training  50/100 · 30 s, 2 min 30 s left · loss 1"
    assert bar.line(final=True) == "Training  50/100 · 30 s · loss 1"


def test_a_log_gets_a_line_at_both_ends_only(capsys):
    with Progress("Work", 1000) as bar:
        for _ in range(1000):
            bar.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Work  0/1000") and lines[1].startswith(
        "Work  1000/1000"
    )


def test_a_terminal_gets_one_line_that_rewrites_itself(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    list(track(range(3), "Work"))
    text = sys.stderr.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n") and "3/3" in text
    assert text.count("\r\033[KWork") == text.count("Work") >= 2


def test_a_notebook_gets_one_output_updated_in_place(monkeypatch):
    shown, updates = [], []

    class Handle:
        def update(self, content, raw):
            updates.append(content["text/plain"])

    def display(content, raw, display_id):
        shown.append((content["text/plain"], display_id))
        return Handle()

    monkeypatch.setattr(IPython.display, "display", display)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    list(track(range(5), "Work"))
    assert len(shown) == 1 and shown[0][1] is True
    assert updates[-1].startswith("Work  5/5")


def test_the_line_is_kept_in_a_file_where_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("SKFM_PROGRESS", str(tmp_path / "line"))
    list(track(iter("ab"), "Work", 2))
    assert (tmp_path / "line").read_text().startswith("Work  2/2")


def test_track_yields_its_items_and_ends_after_an_error(capsys):
    assert list(track("abc", "Letters")) == ["a", "b", "c"]
    with pytest.raises(ZeroDivisionError):
        for item in track(range(4), "Work"):
            assert 1 / (2 - item)
    assert "3/3" in capsys.readouterr().err
