"""Measuring: each case apart, in turn; ratios within a round; what goes wrong."""

import dataclasses
import json
import math
import signal
import time
from functools import partial

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from skfm_lib import models
from skfm_lib.benchmarks import cases, peer_cases, skfm_cases, tables
from skfm_lib.benchmarks.measurement import Case, Run, measure, run_isolated
from skfm_lib.utils.counters import FlopCount
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.memory import memory

MIB = 2**20
needs_peers = pytest.mark.skipif(
    not peer_cases.versions(), reason='needs the peers: pip install ".[bench]"'
)


def case(name, function, *inputs):
    """A case without a set-up: one repetition is function(*inputs)."""
    return Case(name, partial(partial, function, *inputs))


def run(seconds, peak=0, **more):
    return Run(seconds=[seconds], peak=peak, **more)


def millions(network):
    return sum(weights.numel() for weights in network.parameters()) / 1e6


def test_cases_run_in_turn_and_whole_rounds_are_kept(tmp_path):
    record = tmp_path / "sleep.json"
    both = [case("A", time.sleep, 0.05), case("B", time.sleep, 0.01)]
    first = measure(both, 1, record, seconds=0.1)
    assert json.loads(record.read_text())["rounds"][0]["A"]["seconds"]
    rounds = measure(both, 2, record, seconds=0.1)
    assert rounds[:1] == first and len(rounds) == 2
    begun = sorted((r.started, name) for one in rounds for name, r in one.items())
    assert [name for _, name in begun] == ["A", "B", "A", "B"]
    for one in rounds:
        assert one["A"].time >= 0.05 and 1 <= len(one["A"].seconds) <= 2
        assert one["B"].time >= 0.01 and 1 <= len(one["B"].seconds) <= 10
    broken = [case("A", math.sqrt, -1)]
    assert measure(broken, 2, record) == rounds  # nothing is left to run


def test_peak_memory_is_that_of_the_case():
    held = torch.ones(400 * MIB // 4)  # the peak of this process is not the case's
    now, peak = memory()
    assert peak >= now > held.nbytes
    got = run_isolated(case("A", torch.ones, 200 * MIB // 4), seconds=0)
    assert 195 * MIB < got.peak - got.before < 230 * MIB
    assert got.peak < now


def test_cases_that_run_out_of_memory_are_reported(tmp_path):
    group = [
        case("killed", signal.raise_signal, signal.SIGKILL),
        case("too large", torch.empty, 1 << 58),
    ]
    rounds = measure(group, 1, tmp_path / "dies.json", seconds=0)
    assert measure(group, 1, tmp_path / "dies.json") == rounds  # as read again
    rows = tables.comparison([rounds[0] | {"skfm": run(1.0, 100)}])
    assert rows["killed"] == {"seconds": "killed, as when memory is out"}
    assert rows["too large"] == {"seconds": "out of memory"}
    assert rows["skfm"]["seconds"] == (1.0, 1.0, 1.0)


def test_a_case_that_fails_otherwise_stops_and_says_why(tmp_path):
    with pytest.raises(SkfmError, match="'B'.*ValueError: .*domain"):
        measure([case("B", math.sqrt, -1)], 1, tmp_path / "fails.json")
    assert not (tmp_path / "fails.json").exists()


def test_ratios_are_taken_within_a_round():
    # The machine slows down to a third: both cases alike.
    rounds = [
        {"skfm": run(s, 100), "B": run(ratio * s, peak)}
        for s, ratio, peak in ((1.0, 2.0, 300), (3.0, 2.5, 500), (2.0, 1.0, 100))
    ]
    row = tables.comparison(rounds)["B"]
    assert row["× our time"] == (2.0, 1.0, 2.5)
    assert row["× our memory"] == (3.0, 1.0, 5.0)
    assert row["seconds"] == (2.0, 2.0, 7.5)
    assert str(row["× our time"]) == "2 (1–2.5)"
    assert "× our time" not in tables.comparison(rounds)["skfm"]


def test_the_floor_is_the_arithmetic_at_the_rate_of_its_round():
    rounds = [
        {cases.CONVOLUTION: run(s, flops=4 * 10**12), "step": run(3.0, flops=10**12)}
        for s in (1.0, 2.0)
    ]
    assert tables.rate(rounds) == (3.0, 2.0, 4.0)
    row = tables.floors(rounds)["step"]
    assert row["TFLOP"] == 1.0 and row["floor, s"] == (0.375, 0.25, 0.5)
    assert row["× floor"] == (9.0, 6.0, 12.0)
    rounds[1][cases.CONVOLUTION] = Run(failure="out of memory")
    assert set(tables.floors(rounds)["step"]) == {
        *("seconds", "peak, GiB", "beyond inputs, GiB", "TFLOP")
    }


def test_flops_of_known_operations():
    x, w = torch.randn(1, 3, 8, 9, 10), torch.randn(5, 3, 3, 3, 3, requires_grad=True)
    with FlopCount() as count:
        F.conv3d(x, w, padding=1).sum().backward()
        x[0, 0, 0] @ x[0, 1, 0].T
    once = 2 * 27 * 3 * 5 * 8 * 9 * 10
    assert count.total == 2 * once + 2 * 9 * 9 * 10  # forward, and for the weight
    q = torch.randn(2, 4, 64, 32)
    with FlopCount() as count:
        F.scaled_dot_product_attention(q, q, q)
    assert count.total == 2 * 2 * 2 * 4 * 64 * 64 * 32


@pytest.mark.parametrize("step", [skfm_cases.unet_step, skfm_cases.vqvae_step])
def test_flops_of_a_training_step_equal_pytorchs_count(step):
    repeat = step((8, 8, 8))
    with FlopCount() as count:
        repeat()
    with FlopCounterMode(display=False) as known:
        repeat()
    assert count.total == known.get_total_flops() > 10**8


def test_wrong_codes_are_counted():
    z, codes = skfm_cases.vectors_and_codes(50)
    found = torch.cdist(z, codes).argmin(1)
    assert cases.wrong_codes(50, found) == {"checked": 50, "wrong": 0}
    found[:3] = torch.cdist(z[:3], codes).argmax(1)
    assert cases.wrong_codes(50, found) == {"checked": 50, "wrong": 3}


def test_the_comparisons_are_of_the_stated_sizes():
    assert cases.PAPER_VECTORS == 720_510
    mine, *others = cases.vqvae_step()
    assert mine.setup.args == ((117, 87, 126),)
    settings = skfm_cases.PAPER.vqvae.but(output_shape=mine.setup.args[0])
    assert settings.input_shape == (96, 72, 104) and settings.codes == 16384
    assert all(other.setup.args[0] == (96, 72, 104) for other in others)
    for group in (cases.unet_forward(), cases.unet_step()):
        assert all(one.setup.args[0] == (24, 24, 32) for one in group)
    _, step, unet, skull = cases.paper_size()
    assert step.setup.args[0] == skull.setup.args[0] == (456, 352, 512)
    assert unet.setup.args[0] == (94, 73, 105)


def test_without_peers_only_ours_is_left():
    for group in (cases.vqvae_step, cases.unet_forward, cases.unet_step):
        assert [one.name for one in group(with_peers=False)] == ["skfm"]


def test_the_hash_of_the_code_follows_the_networks(monkeypatch):
    before = cases.measured_code()
    assert before == cases.measured_code()
    monkeypatch.setattr(cases, "MEASURED", ("models/unet3d.py",))
    assert cases.measured_code() != before


def test_the_hash_names_a_file_that_was_moved_away(monkeypatch):
    monkeypatch.setattr(cases, "MEASURED", ("models/*.py", "points/*.py"))
    with pytest.raises(FileNotFoundError, match="points"):
        cases.measured_code()


@needs_peers
def test_peers_are_of_comparable_size():
    with torch.device("meta"):
        vqvae = models.VQVAE(skfm_cases.PAPER.vqvae)
        monai = [peer_cases.monai_vqvae(full) for full in (False, True)]
        unets = models.UNet3D(skfm_cases.PAPER.denoiser), peer_cases.monai_unet()
    for network in monai:
        without_codes = millions(network) - 16384 * 8 / 1e6
        assert without_codes == pytest.approx(millions(vqvae), rel=0.1)
    mine, theirs = (millions(network) for network in unets)
    assert mine < theirs < 2 * mine


@needs_peers
@pytest.mark.parametrize("tuned", [False, True])
def test_peers_take_the_devices_precision_as_a_favour(tuned):
    shape, precision = (8, 8, 8), pick_device().dtype if tuned else torch.float32
    out = peer_cases.monai_unet_forward(shape, tuned)()
    assert out.shape == (1, 8, *shape) and out.dtype == precision
    whole = partial(peer_cases.monai_vqvae_step, full=True)
    for setup in (peer_cases.monai_vqvae_step, whole, peer_cases.monai_unet_step):
        with FlopCount() as count:
            setup(shape, tuned)()
        assert count.total > 10**8


@needs_peers
def test_every_search_finds_the_same_codes():
    found = [
        setup(100)() for setup in (peer_cases.table_nearest, peer_cases.chunked_nearest)
    ]
    assert all(torch.equal(codes, skfm_cases.nearest(100)()) for codes in found)


def test_a_run_is_plain_data():
    one = run(2.0, 5, checked={"wrong": 0})
    assert Run(**json.loads(json.dumps(dataclasses.asdict(one)))) == one
