"""The data card of a set states what was measured, and what was not."""

import pytest
from packed_model import TINY

from skfm_lib.cli.main import main
from skfm_lib.generation import Outcome, Screening, generate_skulls, usual_sampler
from skfm_lib.reference_model import cards, find_package, load_generator
from skfm_lib.reference_model.cards import write_card
from skfm_lib.study import open_study
from skfm_lib.utils.errors import SkfmError

SAMPLER = usual_sampler("ours", TINY.sampling)


@pytest.fixture
def made(packed, tmp_path):
    """A set of three skulls, for the second of which one more was drawn."""
    reasons = iter([(), ("vault holes 12.3 cm²", "shows QS 4"), (), ()])
    screening = Screening(lambda volume, quality: Outcome(next(reasons)), redraw=True)
    given = [4, 5, 5], 7, SAMPLER, 2, None, None, screening
    generate_skulls(load_generator(find_package()), tmp_path / "set", *given)
    return tmp_path / "set"


def test_a_card_holds_counts_screening_copies_and_origin(made, capsys):
    assert main(["card", str(made)]) == 0
    assert capsys.readouterr().out.strip().endswith("set/card.md")
    text = (made / "card.md").read_text(encoding="utf-8")
    assert "|  | QS 4 | QS 5 | all |\n| --- | --- | --- | --- |\n" in text
    assert "| skulls | 1 | 2 | 3 |" in text
    assert "| drawn | 4 | 25 % (4.6–70) |" in text
    assert "| in this set | 3 | 0 % (0.0–56) |" in text
    assert (
        "Reasons, of which a skull may have several: vault holes 1, shows QS 1" in text
    )
    assert "another skull of this set" in text
    assert "a training skull of the packed model" in text
    assert "Left out: it needs at least 22 skulls" in text
    assert "trained on phantoms" in text and "Not a medical device" in text
    assert "| seed | 7 |" in text and "6 phantom skulls" in text


def test_of_another_model_nothing_is_said_of_the_packed_one(made, packed, monkeypatch):
    monkeypatch.setattr(cards, "find_package", lambda: None)
    text = write_card(made).read_text(encoding="utf-8")
    assert "not the packed model" in text and "phantoms" not in text
    assert "Not compared with training skulls" in text


def test_what_is_no_set_is_refused(project, tmp_path, made, phantoms):
    with pytest.raises(SkfmError, match="settings.json"):
        write_card(tmp_path / "none")
    with pytest.raises(SkfmError, match="holds no set of skfm generate"):
        write_card(phantoms.folder)
    study = open_study("young", "tiny")
    with pytest.raises(SkfmError, match="no finished 07_failures"):
        write_card(made, study)
    assert not (made / "card.md").exists()
