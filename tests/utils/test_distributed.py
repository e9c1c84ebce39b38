"""Two processes on a CPU give what one gives with the same global batch."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.presets import preset
from skfm_lib.study import open_study
from skfm_lib.training.vqvae import vqvae_stage
from skfm_lib.utils import distributed
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import seed_of

SCRIPT = Path(__file__).parents[1] / "helpers/train_together.py"
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
SRUN = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")


def run_script(folder, skulls, port, names, rank, count):
    """Start one process of `count`; its launcher's variables are `names`."""
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").touch()
    own = dict(zip(names, map(str, (rank, count, rank))))
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return subprocess.Popen(
        [sys.executable, SCRIPT, folder, skulls],
        env={**os.environ, "OMP_NUM_THREADS": "1", **meet, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory, phantoms):
    """(one, first of two, second of two): what each process made, and its output."""
    folder = tmp_path_factory.mktemp("together")
    store = torch.distributed.TCPStore(
        "127.0.0.1", 0, None, True, wait_for_workers=False
    )
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    started = [
        run_script(folder / str(count), phantoms.folder, store.port, SRUN, rank, count)
        for count in (1, 2)
        for rank in range(count)
    ]
    del os.environ["TORCHELASTIC_USE_AGENT_STORE"]
    told = [process.communicate(timeout=900) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], told
    files = [folder / "1" / "0.pt", folder / "2" / "0.pt", folder / "2" / "1.pt"]
    results = [torch.load(path) for path in files]
    for result, (out, err) in zip(results, told):
        result["out"], result["err"] = out, err
    return results


def test_alone_nothing_is_shared_or_changed():
    values = torch.tensor([1.0, 2.0])
    assert distributed.rank() == 0 and distributed.devices() == 1
    assert distributed.is_first()
    assert distributed.mean([0.1, float("nan")])[0] == 0.1
    assert distributed.add(values) is values and values.tolist() == [1, 2]
    distributed.average([values])
    assert values.tolist() == [1, 2]
    assert distributed.share(range(3, 7)) == range(3, 7)
    with distributed.joined(), distributed.in_turn():
        assert distributed.devices() == 1


def test_sums_means_and_shares(made):
    for rank, result in enumerate(made[1:]):
        found = result["collectives"]
        assert found["rank"] == rank and found["first"] == (rank == 0)
        assert found["sum"].tolist() == [3, 30]
        assert found["mean"] == [1.5, 0.1]
        grid = torch.arange(6.0).view(2, 3).T  # strided, as channels-last weights are
        assert torch.equal(found["average"][0], 1.5 * grid)
        assert torch.equal(found["average"][1], torch.tensor([0.5, 0.5]))
        assert found["share"] == [[0, 1], [2, 3]][rank]


def test_processes_take_turns(made):
    for result, count in zip(made, (1, 2)):
        turns = result["collectives"]["turns"]
        assert turns == [f"{r} {w}" for r in range(count) for w in ("begins", "ends")]


def test_the_codebook_is_that_of_all_latents(made):
    # Whole numbers have exact sums: nothing less than every bit is the same.
    for one, *two in zip(*(result["codebook"] for result in made)):
        for state in two:
            assert all(torch.equal(one[name], state[name]) for name in one)
    first, last = made[0]["codebook"][0], made[0]["codebook"][-1]
    assert last["updates"] == 6 and not torch.equal(first["vectors"], last["vectors"])


def same(a, b):
    """Equal bit for bit, through dictionaries and lists."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return a == b


@pytest.mark.parametrize("name", ["small", "denoiser", "vqvae"])
def test_both_processes_hold_the_same(made, name):
    assert same(made[1][name], made[2][name])


def test_in_double_precision_weights_averages_and_history_agree(made):
    one, two = made[0]["small"], made[1]["small"]
    for name, weight in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], weight, rtol=0, atol=1e-13)
    for mean, other in zip(one["average"], two["average"]):
        torch.testing.assert_close(other, mean, rtol=0, atol=1e-13)
    assert len(one["history"]["loss"]) == 20
    for name, values in one["history"].items():
        assert two["history"][name] == pytest.approx(values, rel=1e-12)


def initial(name):
    """The weights that a network of preset tiny starts from."""
    settings = preset("tiny")
    torch.manual_seed(seed_of(0, name))
    if name == "vqvae":
        return VQVAE(settings.vqvae.but(codes=64)).state_dict()
    return UNet3D(settings.denoiser).state_dict()


def flat(state, names):
    return torch.cat([state[name].double().flatten() for name in names])


@pytest.mark.parametrize("name", ["denoiser", "vqvae"])
def test_the_networks_agree_up_to_rounding(made, name):
    """In float32, six steps of Adam.

    Sums over a batch in another order differ in the last bit, and Adam makes a full
    step of a gradient however small: where rounding turns its sign, a weight goes
    the other way.  Such weights are few: the distance between the ends is 3e-5
    (U-Net) and 1.5e-6 (VQ-VAE) of the way that the weights went.  Without averaging
    of the gradients it was measured to be 0.8 and 0.6 of it.  Losses agree within
    1e-4 on most CPUs; on one with AMX the last commitment differed by 1.3e-3.
    """
    one, two = made[0][name], made[1][name]
    names = [n for n in one["weights"] if not n.startswith("codebook")]
    start = flat(initial(name), names)
    ends = [flat(made_["weights"], names) for made_ in (one, two)]
    way = (ends[0] - start).norm()
    assert way > 0.1
    assert (ends[1] - ends[0]).norm() < 1e-3 * way
    for key, values in one["history"].items():
        assert two["history"][key] == pytest.approx(values, rel=5e-3)


def test_the_autoencoders_codes_agree_up_to_rounding(made):
    one, two = (r["vqvae"]["weights"]["codebook.vectors"] for r in made[:2])
    apart = (one - two).abs().amax(1)
    # A latent midway between two codes may go to the other one, and move both.
    # Others follow the latents' rounding: by up to 0.006 on a CPU with AMX.
    assert (apart < 0.02 * one.std()).float().mean() > 0.9


def test_only_the_first_speaks(made):
    _, first, second = made
    assert "02_train_vqvae" in first["out"] and "VQ-VAE" in first["err"]
    assert second["out"] == second["err"] == ""


def test_a_process_that_loses_another_says_so(tmp_path):
    code = (
        "import sys\nfrom skfm_lib.utils import distributed\n"
        "with distributed.joined():\n"
        "    distributed.wait()\n"
        "    if distributed.rank():\n        sys.exit(3)\n"
        "    distributed.wait()\n"
    )
    store = torch.distributed.TCPStore(
        "127.0.0.1", 0, None, True, wait_for_workers=False
    )
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                **meet,
                **dict(zip(TORCHRUN, (str(rank), "2", str(rank)))),
                "TORCHELASTIC_USE_AGENT_STORE": "True",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    told = [process.communicate(timeout=900)[1] for process in started]
    first, second = (process.returncode for process in started)
    assert first == 1 and second in (3, -signal.SIGABRT)  # gloo's threads may abort
    assert "SkfmError: process 0 lost another process" in told[0]


@pytest.mark.parametrize("names", [TORCHRUN, SRUN])
def test_launchers_are_found_by_their_variables(monkeypatch, names):
    for name in (*TORCHRUN, *SRUN):
        monkeypatch.delenv(name, raising=False)
    assert distributed.launched() is None
    for name, value in zip(names, ("5", "8", "1")):
        assert distributed.launched() is None
        monkeypatch.setenv(name, value)
    assert distributed.launched() == (5, 8, 1)
    monkeypatch.setenv(names[1], "1")
    assert distributed.launched() is None


def test_without_an_address_nobody_waits(monkeypatch):
    for name, value in zip(SRUN, ("1", "4", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(SkfmError, match="no MASTER_ADDR and no MASTER_PORT.*slurm"):
        with distributed.joined():
            pass
    assert distributed.devices() == 1


@pytest.mark.parametrize(("local", "seen", "index"), [(3, 4, 3), (0, 4, 0), (3, 1, 0)])
def test_each_process_takes_the_gpu_of_its_local_rank(monkeypatch, local, seen, index):
    monkeypatch.setattr(distributed, "launched", lambda: (7, 8, local))
    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 7)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert pick_device().device == torch.device("cuda", index)


def test_more_processes_than_gpus_on_a_machine_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "launched", lambda: (7, 8, 3))
    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 7)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SkfmError, match="process 7 is number 4 on a machine with 2"):
        distributed.gpu()


def test_one_device_leaves_the_fingerprint_as_it_was(project, phantoms):
    study = open_study("run", "tiny")
    study.stage("01_preprocess", {}).finish()
    plain = {"vqvae": study.settings.vqvae.but(batch=3).as_dict()}
    former = study.stage("02_train_vqvae", plain, ("01_preprocess",)).fingerprint
    assert vqvae_stage(study, phantoms, batch=3)[0].fingerprint == former
    assert vqvae_stage(study, phantoms, 1, batch=3)[0].fingerprint == former
    stage, _ = vqvae_stage(study, phantoms, 2, batch=3)
    assert stage.fingerprint != former and stage.settings["devices"] == 2
    for wrong in (0, -1):
        with pytest.raises(SkfmError, match="devices .*a whole number from 1"):
            vqvae_stage(study, phantoms, wrong)
