"""Comparison of sets: equal sizes, the mix of scores, the features, the columns."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from skfm_lib import metrics
from skfm_lib.data.bone_fractions import network_values
from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.data.io.volumes import write_volume
from skfm_lib.data.manifest import Skull, write_manifest
from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation import table1, table1_columns
from skfm_lib.evaluation.screening.anatomical_distance import anatomical_distance
from skfm_lib.evaluation.screening.measures import measure_skulls
from skfm_lib.evaluation.table1_protocol import Protocol, features_caption
from skfm_lib.models import Med3D
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.study import data_stage, open_study
from skfm_lib.training.feature_net import feature_cache, study_features
from skfm_lib.utils.errors import SkfmError

MANY = {2: 6, 3: 7, 4: 5, 5: 5, 6: 1}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Twice 24 hollow boxes of 30×26×32 voxels, with scores, as a data set."""
    folder, rng = tmp_path_factory.mktemp("many"), np.random.default_rng(0)
    grid, skulls = Grid((30, 26, 32), 8.0, (0.0, 0.0, 0.0)), []
    for split in ("train", "test"):
        for quality in (q for q, n in MANY.items() for _ in range(n)):
            name, bone = f"{split}-{len(skulls)}", np.zeros(grid.shape, bool)
            low, high = rng.integers(1, 8, 3), rng.integers(18, 25, 3)
            bone[tuple(map(slice, low, high))] = True
            bone[tuple(map(slice, low + 2, high - 2))] = False
            write_volume(folder / f"{name}.nii.gz", bone, grid)
            skulls.append(Skull(name, split, quality, f"{name}.nii.gz", "box", 8.0))
    write_manifest(folder, skulls)
    return SkullSet(folder, "train"), SkullSet(folder, "test")


@pytest.fixture
def stage(project):
    """A stage of a study whose skulls are made."""
    study = open_study("mine", "tiny")
    study.stage("01_preprocess", {}).finish(folder="skulls")
    return study.stage("06_metrics", {}, after=("01_preprocess",))


def test_an_equal_part_keeps_the_mix_of_scores(many):
    skulls, _ = many
    assert table1.stratified_sample(skulls, len(skulls), 0) == list(range(len(skulls)))
    part = table1.stratified_sample(skulls, 12, 0)
    found = Counter(skulls.qualities[i] for i in part)
    assert found == {2: 3, 3: 4, 4: 3, 5: 2}
    assert part != table1.stratified_sample(skulls, 12, 1)
    volumes = volumes_of(skulls, part[:2])
    assert len(volumes) == 2 and volumes[1].shape == (1, *skulls.shape)
    assert torch.equal(volumes[1:][0], volumes[1])
    assert (volumes[0][0].numpy() == skulls.volume(part[0])).all()


def test_a_part_without_some_scores(many):
    skulls, _ = many
    part = table1.stratified_sample(skulls, 8, 0, without=[3, 6])
    assert Counter(skulls.qualities[i] for i in part).keys() == {2, 4, 5}
    assert len(part) == 8
    with pytest.raises(SkfmError, match="17 of 16 skulls"):
        table1.stratified_sample(skulls, 17, 0, without=[3, 6])


def test_sets_are_as_large_as_the_smallest_and_not_too_small(many, phantoms):
    assert table1.common_size(*many) == 24
    with pytest.raises(SkfmError, match="a set of 6 skulls; expected at least 22"):
        table1.common_size(*many, phantoms)


STUDY = Protocol("study", 20)


@pytest.fixture(scope="module")
def measured(many, tmp_path_factory):
    """Table 1 of a copy of the test set and of the training set twice, as models."""
    train, test = many
    torch.manual_seed(0)
    folder, network = tmp_path_factory.mktemp("table1"), StudyFeatures().eval()
    models = {"copies": test, "OTFM": train, "DDPM": train}
    sets = STUDY.pairs_of_sets(train, test, models, seed=0)
    found = table1.table_1(sets, network, folder / "cache", folder, STUDY.pairs, 0)
    return sets, found


def test_the_table_has_every_column_and_knows_its_best(measured):
    sets, found = measured
    rows = {name: result.row() for name, result in found.items()}
    columns = (*table1_columns.BETWEEN_SETS, *table1_columns.WITHIN_SET)
    assert list(rows) == ["ref", "copies", "OTFM", "DDPM"]
    for row in rows.values():
        assert tuple(row) == (*columns, table1_columns.ANATOMY)
        assert all(low <= value <= high for value, low, high in row.values())
        for column, (_, low, high) in row.items():
            least, most = table1_columns.RANGES.get(column, (0, 1))
            assert least <= low and high <= most
    best = {column: round(row.value, 9) for column, row in rows["copies"].items()}
    assert best["FID ↓"] == best[table1_columns.ANATOMY] == 0 and best["KID ↓"] <= 0
    shares = ("IP ↑", "IR ↑", "PP ↑", "PR ↑", "Coverage ↑")
    assert {best[c] for c in shares} == {1}
    assert 0 < rows["ref"]["FID ↓"].value and 0 < rows["ref"]["MS-SSIM ↓"].value < 1
    _, sample = sets["ref"]
    v = network_values(torch.stack(list(sample.volumes)))
    window, scales = metrics.fitting(v.shape)
    similarity = metrics.ms_ssim_of_set(
        (v + 1) / 2, 20, 0, data_range=1.0, window=window, scales=scales
    )
    assert rows["ref"]["MS-SSIM ↓"].value == pytest.approx(similarity.mean())
    variant = metrics.ms_ssim_of_set(v, 20, 0, measure=metrics.ms_ssim_fork)
    value = rows["ref"]["MS-SSIM (variant) ↓"].value
    assert value == pytest.approx(np.nanmean(variant))


def test_the_anatomical_column_is_that_of_the_measures_of_the_same_skulls(measured):
    sets, found = measured
    values = [measure_skulls(sample, sample.name).values for sample in sets["ref"]]
    expected = anatomical_distance(*values)
    row = found["ref"].row()
    assert row[table1_columns.ANATOMY].value == pytest.approx(expected)


def test_equal_models_differ_by_nothing_and_the_reference_cancels(measured):
    _, found = measured
    same = found["OTFM"].minus(found["DDPM"])
    assert all(value == low == high == 0 for value, low, high in same.values())
    gap = found["OTFM"].minus(found["copies"])
    for column, (value, low, high) in gap.items():
        if "variant" in column:  # of pairs that are defined in both
            continue
        one, other = (found[name].row()[column] for name in ("OTFM", "copies"))
        assert value == pytest.approx(one.value - other.value, abs=1e-9)
        assert low <= value <= high


def test_the_papers_protocol_compares_complete_sets(many, project, measured):
    train, test = many
    study = open_study("mine", "tiny")
    study.stage("01_preprocess", {}).finish(folder="skulls", made_from="phantoms")
    how = Protocol.choose(study, "paper", None, "resnet_50.pth")
    assert how == ("paper", 1000) and Protocol.choose(study, "paper", 7, "x").pairs == 7
    made = [replace(s, source="otfm, 4 euler steps, seed 9") for s in train.skulls]
    generated = {"OTFM": SkullSet(train.folder, "train", made)}
    sets = how.pairs_of_sets(train, test, generated, seed=0)
    shown = {
        row: [(one.name, list(one.items)) for one in pair] for row, pair in sets.items()
    }
    every = list(range(24))
    assert shown == {
        "ref": [("test", every), ("ref", every)],
        "OTFM": [("ref", every), ("OTFM", every)],
    }
    caption = how.caption(study, sets, StudyFeatures())
    for words in (
        "protocol paper", "phantoms, seed 0", "OTFM: 24 skulls against 24 training",
        "ref: 24 skulls against 24 test", "study features, 224 dimensions: fewer",
        "MS-SSIM of 1000 pairs", "95 % intervals by 50 deals",
        "training skulls; otfm, 4 euler steps; study",
    ):  # fmt: skip
        assert words in caption
    few = SkullSet(train.folder, "train", train.skulls[:23])
    with pytest.raises(SkfmError, match="23 generated skulls.*skfm run 05 -p count 24"):
        how.pairs_of_sets(train, test, {"OTFM": few}, seed=0)


def test_the_protocol_follows_the_preset_and_needs_the_papers_features(project):
    tiny, paper = open_study("mine", "tiny"), open_study("large", "paper")
    assert Protocol.choose(tiny, None, None, None) == ("study", 300)
    assert Protocol.choose(paper, None, None, "weights.pth") == ("paper", 1000)
    assert Protocol.choose(paper, "study", 50, None) == ("study", 50)
    with pytest.raises(SkfmError, match="med3d_weights PATH, or -p protocol study"):
        Protocol.choose(paper, None, None, None)
    with pytest.raises(SkfmError, match="'papers'.*one of study, paper"):
        Protocol.choose(tiny, "papers", None, None)


def test_paired_parts_of_a_set_and_itself_are_always_the_best(many, tmp_path):
    _, test = many
    network = StudyFeatures().eval()
    features = table1.features_of(network, volumes_of(test), tmp_path)
    together = table1_columns.compare(features, features, 0, paired=True)
    assert np.abs(together.distances.parts[..., 0]).max() < 1e-9
    assert (together.neighbours.parts[..., :2] == 1).all()
    apart = table1_columns.compare(features, features, 0)
    assert apart.distances.parts[..., 0].min() > 0


def test_the_study_network_is_trained_once_for_all_stages(stage, many):
    train, _ = many
    first = table1.feature_network(stage, train, steps=2)
    assert first.description == "study features" and first.dimensions == 224
    kept = list(feature_cache(stage.study).iterdir())
    assert len(kept) == 1
    written = kept[0].stat().st_mtime_ns
    other = stage.study.stage("07_failures", {}, after=("01_preprocess",))
    again = study_features(other, train, steps=2)
    assert kept[0].stat().st_mtime_ns == written
    weights = zip(first.state_dict().values(), again.state_dict().values())
    assert all(torch.equal(a, b) for a, b in weights)


def test_table_1_in_the_features_of_a_users_medicalnet_file(stage, many, project):
    """A file of MedicalNet's names, from its path to the table and its caption."""
    torch.manual_seed(1)
    weights = {
        f"module.{name}": value
        for name, value in Med3D().state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    for name in ("resnet_50.pth", "resnet_50_23dataset.pth"):
        torch.save({"state_dict": weights}, project / name)
    train, test = many
    network = table1.feature_network(stage, train, 300, "resnet_50_23dataset.pth")
    assert isinstance(network, Med3D) and network.input_shape == (192, 148, 216)
    network.input_shape = (16, 13, 17)
    cache = feature_cache(stage.study)
    study = stage.study
    how = Protocol.choose(study, "paper", 5, "resnet_50_23dataset.pth")
    sets = how.pairs_of_sets(train, test, {}, seed=0)
    found = table1.table_1(sets, network, cache, stage.folder, how.pairs, seed=0)
    assert found["ref"].row()["FID ↓"].value > 0
    assert {np.load(p).shape for p in cache.glob("*/*.npy")} == {(2048,)}
    caption = features_caption(24, network)
    assert "Med3D features (resnet_50_23dataset.pth, at 16×13×17)" in caption
    assert "2048 dimensions: fewer skulls than dimensions" in caption
    other = table1.feature_network(stage, train, 300, "resnet_50.pth")
    assert "resnet_50.pth" in other.description
    with pytest.raises(SkfmError, match="no file .*missing.pth"):
        table1.feature_network(stage, train, 300, "missing.pth")


def test_enough_skulls_need_no_warning():
    assert "fewer" not in features_caption(224, StudyFeatures())
    assert "fewer" in features_caption(223, StudyFeatures())


def test_the_few_step_model_joins_once_it_has_drawn_skulls(project, many):
    train, _ = many
    study = open_study("mine", "tiny")
    with pytest.raises(SkfmError, match="skfm run 01 02 03 04 17 05 --run mine"):
        table1.generated_sets(study)
    stage = study.stage("05_generate", {})
    for name in ("ddpm", "otfm"):
        (stage.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (stage.folder / name).symlink_to(train.folder)
    stage.finish(count=24)
    assert list(table1.generated_sets(study)) == ["DDPM", "OTFM"]
    assert table1.generating_stages(study) == ("05_generate",)
    few = study.stage("13_train_shortcut", {})
    (few.folder / "shortcut").symlink_to(train.folder)
    assert "shortcut" not in table1.generated_sets(study)
    few.finish(count=24)
    assert list(table1.generated_sets(study)) == ["DDPM", "OTFM", "shortcut"]
    assert table1.generating_stages(study) == ("05_generate", "13_train_shortcut")


def test_the_velocity_model_joins_where_its_skulls_are(project, many):
    train, _ = many
    stage = open_study("mine", "tiny").stage("05_generate", {})
    for name in ("ddpm", "ddpm-v", "otfm"):
        (stage.folder / name).symlink_to(train.folder)
    stage.finish(count=18)
    assert list(table1.generated_sets(stage.study)) == ["DDPM", "DDPM-v", "OTFM"]


def test_examples_are_the_first_of_each_score(phantoms):
    skulls = phantoms
    found = [skulls.qualities[i] for i in data_stage.examples(skulls)]
    assert found == sorted(set(skulls.qualities))
    assert data_stage.counts(skulls) == dict(sorted(Counter(skulls.qualities).items()))
