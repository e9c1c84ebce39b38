"""The sampled measures agree with their citations, all of which are in the book."""

from pathlib import Path

import numpy as np
import pytest

from skfm_lib.evaluation.population import cited, tables
from skfm_lib.evaluation.population.measures import HOLES, UNITS
from skfm_lib.evaluation.population.region import Population

BOOK = Path(__file__).parents[3] / "book"


@pytest.fixture(scope="module")
def sampled():
    return tables.sampled_measures(range(726))


@pytest.mark.parametrize("name", cited.SAMPLED)
def test_sampled_measures_agree_with_their_citations(sampled, name):
    values = sampled[name][sampled[name] != 0]
    assert tables.agrees(values, cited.SAMPLED[name])


def test_agreement_is_of_mean_and_deviation():
    values = np.random.default_rng(0).normal(50, 3, 5000)
    for mean, deviation, agreed in ((50, 3, 1), (44, 3, 0), (50, 4.5, 0), (50, 2, 0)):
        assert tables.agrees(values, cited.Cited(mean, deviation, "")) == agreed


def test_all_citations_are_in_the_book():
    published = [c for several in cited.PUBLISHED.values() for c in several]
    every = [*cited.SAMPLED.values(), *published, *cited.SHAPE_MODELS]
    sources = [one.source for one in every]
    bibliography = (BOOK / "references.bib").read_text(encoding="utf-8")
    keys = {key for source in sources for key in source.split(",")}
    assert not {key for key in keys if f"{{{key}," not in bibliography}


def test_heads_beside_the_population():
    rng = np.random.default_rng(0)
    rows = [dict(zip(UNITS, rng.normal(100, 5, len(UNITS)))) for _ in range(40)]
    population = Population(rows, apart=[HOLES])
    heads = {
        "mean": {n: v.mean() for n, v in population.values.items()},
        "giant": dict.fromkeys(UNITS, 140.0),
    }
    table = tables.measured(population, heads)
    assert len(table) == len(UNITS) and table["length, mm"]["giant"] == "140"
    located = {label: population.locate(head) for label, head in heads.items()}
    where = tables.positions(located)
    assert where["within 95 %"] == {"mean": "yes", "giant": "no"}
    assert where["length, SD"]["mean"] == "+0.0"
