"""Sets whose skulls are screened: what is redrawn, bounded, kept and resumed."""

import csv
import json

import pytest
from packed_model import TINY

from skfm_lib.data.manifest import read_manifest
from skfm_lib.generation import (
    Outcome,
    Screening,
    generate_skulls,
    sample_seed,
    summary,
    usual_sampler,
)
from skfm_lib.reference_model import find_package, load_generator
from skfm_lib.utils.errors import SkfmError

SAMPLER = usual_sampler("ours", TINY.sampling)
SCORES = [4, 4, 5]


def contents(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def columns(folder):
    with (folder / "manifest.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def generator(packed):
    return load_generator(find_package())


def failing(*numbers):
    """A screening by which these skulls fail, in the order in which they are drawn."""
    drawn = []

    def screen(volume, quality):
        drawn.append(volume)
        return Outcome(("tunnels 9",) if len(drawn) - 1 in numbers else ())

    return screen


def test_all_skulls_are_kept_with_their_results(generator, tmp_path):
    screening = Screening(failing(1))
    given = SCORES, 7, SAMPLER, 2, None, None, screening
    skulls = generate_skulls(generator, tmp_path / "set", *given)
    assert [skull.checks for skull in skulls] == ["ok", "tunnels 9", "ok"]
    rows = columns(tmp_path / "set")
    assert [row["screening"] for row in rows] == ["passed", "failed", "passed"]
    assert [int(row["seed"]) for row in rows] == [sample_seed(7, i) for i in range(3)]
    assert read_manifest(tmp_path / "set") == skulls
    text = summary(tmp_path / "set", skulls)
    assert "of 3 drawn, 1 failed the screening, 2 of those kept passed" in text
    plain = generate_skulls(generator, tmp_path / "plain", *given[:4])
    volumes = [
        {k: v for k, v in contents(tmp_path / name).items() if "volumes" in k}
        for name in ("set", "plain")
    ]
    assert volumes[0] == volumes[1] and len(plain) == 3
    assert {row["screening"] for row in columns(tmp_path / "plain")} == {"not screened"}


def test_a_skull_that_fails_is_drawn_again_with_another_seed(generator, tmp_path):
    screening = Screening(failing(1, 3), redraw=True)
    given = SCORES, 7, SAMPLER, 2, "ply", None, screening
    skulls = generate_skulls(generator, tmp_path, *given)
    seeds = [sample_seed(7, 0), sample_seed(7, 1, 2), sample_seed(7, 2)]
    assert [int(row["seed"]) for row in columns(tmp_path)] == seeds
    assert all(str(seed) in skull.source for seed, skull in zip(seeds, skulls))
    record = json.loads((tmp_path / "screening.json").read_text())
    assert record["ours-qs4-0002"] == [["tunnels 9"], ["tunnels 9"], []]
    assert "of 5 drawn, 2 failed the screening, 3 of" in summary(tmp_path, skulls)
    with pytest.raises(SkfmError, match="another data set: screened is True there"):
        generate_skulls(generator, tmp_path, *given[:6], Screening(failing()))


@pytest.mark.parametrize("at", [1, 3, 4])
def test_an_interrupted_set_resumes_to_the_same_skulls(generator, tmp_path, at):
    given = SCORES, 7, SAMPLER, 2, "ply", None
    refused = {sample_seed(7, 1), sample_seed(7, 1, 1), sample_seed(7, 2)}
    latents, calls, seeds = type(generator).latents, [], []

    def noted(self, qualities, own, *rest):
        seeds.extend(own)
        return latents(self, qualities, own, *rest)

    def screen(volume, quality):
        calls.append(1)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return Outcome(("tunnels 9",) if seeds.pop(0) in refused else ())

    whole, stop = Screening(screen, redraw=True), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(generator), "latents", noted)
        generate_skulls(generator, tmp_path / "a", *given, whole)
        assert len(calls) == 6
        calls.clear()
        stop = at
        with pytest.raises(KeyboardInterrupt):
            generate_skulls(generator, tmp_path / "b", *given, whole)
        stop = 0
        seeds.clear()
        generate_skulls(generator, tmp_path / "b", *given, whole)
        patch.setattr(type(generator), "latents", lambda *given: pytest.fail("again"))
        generate_skulls(generator, tmp_path / "b", *given, whole)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_drawing_ends_where_too_few_pass(generator, tmp_path, monkeypatch):
    monkeypatch.setattr("skfm_lib.generation.skull_sets.MOST", 3)
    screening = Screening(lambda volume, quality: Outcome(("tunnels 9",)), True)
    found = "9 skulls drawn, of which 0 passed.*3 are missing.*next: leave out"
    with pytest.raises(SkfmError, match=found):
        generate_skulls(
            generator, tmp_path, SCORES, 7, SAMPLER, 2, None, None, screening
        )
    some = Screening(failing(0, 2, 3, 4, 5, 6, 7, 8), True)
    given = SCORES, 7, SAMPLER, 2, None, None, some
    with pytest.raises(SkfmError, match="of which 1 passed"):
        generate_skulls(generator, tmp_path / "some", *given)
    (skull,) = read_manifest(tmp_path / "some")
    assert skull.name == "ours-qs4-0002" and len(columns(tmp_path / "some")) == 1
