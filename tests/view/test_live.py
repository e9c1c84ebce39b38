"""The live view: one output, at most its share of the time, only in a browser."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from skfm_lib.training import trainer
from skfm_lib.view import live
from skfm_lib.view.live import LiveView

VOLUME = np.linspace(-1, 1, 6 * 5 * 4, dtype=np.float32).reshape(6, 5, 4)
ROWS = {"skull": {"QS 2": VOLUME, "QS 4": VOLUME}, "net": {"QS 2": -VOLUME}}


class Trainer(trainer.Trainer):
    """As much of a trainer as is looked at."""

    def __init__(self, steps):
        self.settings = SimpleNamespace(steps=steps)
        self.step, self.history, self.used = 0, {"loss": []}, 0

    def averaged(self):
        self.used += 1
        return torch.no_grad()  # any context


class Output:
    """What the notebook shows in the place of the view, one after the other."""

    def __init__(self):
        self.shown = []

    def display(self, image, display_id):
        assert display_id and not self.shown  # only once: then it is updated
        self.shown.append(image)
        return self

    def update(self, content, raw=False):
        self.shown.append(content["text/plain"] if raw else content)


@pytest.fixture
def undrawn(output, monkeypatch):
    """Pictures without content, which take a moment."""

    def picture(view, trainer):
        output.now += 0.05
        return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR\0\0\0\2\0\0\0\2"

    monkeypatch.setattr(LiveView, "_picture", picture)


@pytest.fixture
def output(monkeypatch):
    """JupyterLab, as it seems, and a clock that every step moves by a second."""
    made = Output()
    made.now = 0.0
    monkeypatch.setattr(live, "in_jupyterlab", lambda: True)
    monkeypatch.setattr(live, "display", made.display)
    monkeypatch.setattr(live.time, "monotonic", lambda: made.now)
    draw = live.draw_losses

    def slow(*given):
        made.now += 1.0
        draw(*given)

    monkeypatch.setattr(live, "draw_losses", slow)
    return made


def train(view, output, steps):
    made = Trainer(steps)
    for step in range(steps):
        output.now += 1.0
        made.step += 1
        made.history["loss"].append(1.0 / (1 + step))
        view(made)
    return made


def sampled(output, seconds):
    """A sample of a network that takes so long."""

    def sample(network):
        output.now += seconds
        return ROWS

    return sample


def test_one_output_is_updated_and_ends_as_a_line(output):
    view = LiveView("loss", sampled(output, 2.0))
    made = train(view, output, 200)
    *pictures, last = output.shown
    assert len(pictures) == view.pictures > made.used > 0
    assert all(picture.data.startswith(b"\x89PNG") for picture in pictures)
    assert last.startswith(f"Pictures while training: {view.pictures}, ")
    assert not plt.get_fignums()  # no figure for the notebook to show once more


@pytest.mark.parametrize("seconds", [0.1, 0.5, 3.0])
def test_pictures_take_their_share_of_the_time_and_no_more(output, undrawn, seconds):
    view = LiveView("loss", sampled(output, seconds))
    train(view, output, 400)
    assert 0.01 < view.spent / output.now <= live.SHARE
    most = max(view.of_pictures.spent, view.of_samples.spent)
    assert most <= live.SHARE / 2 * output.now


def test_a_training_of_a_few_seconds_has_no_picture(output):
    train(LiveView("loss", sampled(output, 1.0)), output, 4)
    assert output.shown == []


def test_nothing_is_computed_where_no_browser_shows_it(output, monkeypatch):
    monkeypatch.setattr(live, "in_jupyterlab", lambda: False)
    made = train(LiveView("loss", lambda _: pytest.fail("sampled")), output, 200)
    assert output.shown == [] and made.used == 0


def test_samples_that_do_not_fit_into_memory_end_no_training(output, undrawn):
    calls = []

    def sample(network):
        calls.append(network)
        raise torch.OutOfMemoryError("CUDA out of memory")

    view = LiveView("loss", sample)
    made = train(view, output, 200)
    assert made.step == 200 and len(calls) == 1 and view.too_large
    assert output.shown[-1].startswith("Pictures while training")


def test_another_error_of_a_sample_is_not_hidden(output):
    with pytest.raises(ZeroDivisionError):
        train(LiveView("loss", lambda _: 1 / 0), output, 200)


def test_the_picture_holds_the_curve_and_every_slice(output, monkeypatch):
    figures = []
    make = live.Figure

    def kept(*given, **more):
        figures.append(make(*given, **more))
        return figures[-1]

    monkeypatch.setattr(live, "Figure", kept)
    train(LiveView("loss", sampled(output, 9.0)), output, 100)
    curve, *panels = [a for part in figures[-1].subfigs for a in part.axes]
    assert curve.get_title() == "step 11 of 100" and curve.get_ylabel() == "loss"
    assert [axis.get_title() for axis in panels] == ["QS 2", "QS 4", "", ""]
    assert [axis.get_ylabel() for axis in panels] == ["skull", "", "net", ""]
    assert [len(axis.images) for axis in panels] == [1, 1, 1, 0]
