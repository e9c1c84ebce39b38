"""Comparison of sets: equal sizes, the mix of scores, and what is concluded."""

from collections import Counter

import pytest

from skfm_lib import evaluation, material, paper
from skfm_lib.metrics import Interval


def rows(otfm, ddpm):
    return {"OTFM": {"FID ↓": Interval(*otfm)}, "DDPM": {"FID ↓": Interval(*ddpm)}}


@pytest.mark.parametrize(
    ("otfm", "ddpm", "here"),
    [
        ((1.0, 0.5, 1.5), (3.0, 2.0, 4.0), "OTFM"),
        ((3.0, 2.0, 4.0), (1.0, 0.5, 1.5), "DDPM"),
        ((1.0, 0.5, 2.5), (3.0, 2.0, 4.0), "undecided"),
    ],
)
def test_a_difference_within_chance_is_undecided(otfm, ddpm, here):
    answer = evaluation.reading(rows(otfm, ddpm), paper.TABLE_1)
    assert answer == {"FID ↓": {"here": here, "paper": "OTFM"}}


def test_higher_is_better_where_the_arrow_points_up():
    better = {
        "OTFM": {"IR ↑": Interval(0.9, 0.8, 1.0), "KID ↓": Interval(0.0, 0.0, 0.0)},
        "DDPM": {"IR ↑": Interval(0.5, 0.4, 0.6), "KID ↓": Interval(1.0, 0.9, 1.1)},
    }
    answer = evaluation.reading(better, paper.TABLE_1)
    assert answer["IR ↑"] == {"here": "OTFM", "paper": "OTFM"}
    assert answer["KID ↓"] == {"here": "OTFM", "paper": "not given"}


def test_an_equal_part_keeps_the_mix_of_scores(phantoms):
    skulls = phantoms
    part = evaluation.equal_part(skulls, len(skulls), 0)
    assert sorted(part) == list(range(len(skulls)))
    volumes = evaluation.volumes_of(skulls, part[:2])
    assert volumes.shape == (2, 1, *skulls.shape)
    assert (volumes[0, 0].numpy() == skulls.occupancy(part[0])).all()


def test_examples_are_the_first_of_each_score(phantoms):
    skulls = phantoms
    found = [skulls.qualities[i] for i in material.examples(skulls)]
    assert found == sorted(set(skulls.qualities))
    assert material.counts(skulls) == dict(sorted(Counter(skulls.qualities).items()))
