"""Everything that computes on a GPU, on a device where CUDA's faults show.

`helpers/foreign.py` is that device.  Settings are those of preset tiny, in bf16.
"""

import copy

import foreign
import numpy as np
import pytest
import torch
from cloud_training import stage as stage_in
from torch.nn import functional as F

from skfm_lib.benchmarks import forecast
from skfm_lib.data.point_clouds import load_clouds
from skfm_lib.evaluation.privacy.membership_inference import latent_losses
from skfm_lib.evaluation.screening.score_classifier import (
    predict_scores,
    train_score_classifier,
)
from skfm_lib.evaluation.table1 import pair_similarity
from skfm_lib.generation import Sampler, SkullGenerator
from skfm_lib.losses.perceptual import LPIPS
from skfm_lib.metrics import extract
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.models.med3d import Med3D
from skfm_lib.presets import preset
from skfm_lib.study import open_study
from skfm_lib.tasks.alignment import ALIGNMENT, align
from skfm_lib.tasks.completion import COMPLETION, complete
from skfm_lib.training import vqgan_losses
from skfm_lib.training.denoiser import DDPM, OTFM, denoiser_stage, train_denoiser
from skfm_lib.training.feature_net import train_features
from skfm_lib.training.latents import LatentScale, LatentSet, cache_latents
from skfm_lib.training.memory_plan import RUNTIME, parts, require_memory, vqvae_step
from skfm_lib.training.shortcut import train_shortcut
from skfm_lib.training.vqvae import evaluate, load_vqvae, train_vqvae, vqvae_stage
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.errors import SkfmError

try:
    foreign.install()
except foreign.Unavailable as reason:
    pytest.skip(str(reason), allow_module_level=True)

TINY = preset("tiny")
HERE = torch.device("foreign", 0)


@pytest.fixture(autouse=True)
def record(monkeypatch):
    """The device as that of the study; a record of the operations that ran on it."""
    monkeypatch.setenv("SKFM_DEVICE", "foreign")
    with foreign.active() as record:
        yield record


# The device itself: it computes, and each class of fault shows.


def test_it_computes_differentiates_and_casts_as_cuda():
    assert pick_device() == Device(HERE, torch.bfloat16)
    layer = torch.nn.Linear(3, 2).to(HERE)
    x = torch.arange(3.0, device=HERE)
    with pick_device().autocast():
        y = layer(x)
        assert y.dtype == torch.bfloat16
        assert torch.softmax(y, 0).dtype == torch.float32
    y.float().sum().backward()
    assert layer.weight.grad.tolist() == [[0, 1, 2]] * 2
    optimiser = torch.optim.Adam(layer.parameters(), lr=1.0, fused=True)
    before = layer.bias.tolist()
    optimiser.step()
    assert np.allclose(np.array(before) - layer.bias.tolist(), 1)
    assert copy.deepcopy(layer).weight.device == HERE


def test_gradients_of_small_bf16_maps_are_right():
    """PyTorch's for CPUs are not, by far, and differ from run to run."""
    x, weight = torch.randn(8, 8, 6, 5, 7), torch.randn(16, 8, 7, 7, 7) / 50
    gradients = []
    for device, dtype in (("cpu", torch.float32), (HERE, torch.bfloat16)):
        kernel = weight.to(device, dtype).detach().requires_grad_()
        F.conv3d(x.to(device, dtype), kernel, padding=3).square().mean().backward()
        gradients.append(kernel.grad.cpu().float())
    error = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    assert error < 0.02


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda x: x + torch.zeros(3), "same device"),
        (lambda x: torch.zeros(3)[x.long()], "same device"),
        (lambda x: torch.cat([x, torch.zeros(3)]), "same device"),
        (lambda x: x.numpy(), "can't convert"),
        (lambda x: np.asarray(x), "can't convert"),
        (
            lambda x: torch.rand(3, device=HERE, generator=torch.Generator()),
            "generator",
        ),
        (
            lambda x: torch.native_group_norm(
                x.view(1, 3, 1).bfloat16(), x, x, 1, 3, 1, 3, 1e-5
            ),
            "expected scalar type",
        ),
    ],
    ids=["add", "index", "cat", "numpy", "asarray", "generator", "group norm"],
)
def test_what_fails_on_cuda_fails_here(fault, message):
    x = torch.zeros(3, device=HERE)
    with pytest.raises((RuntimeError, TypeError), match=message):
        fault(x)


def test_what_is_not_reproducible_on_cuda_is_noticed(record):
    x = torch.zeros(1, 1, 3, 3, 3, device=HERE, requires_grad=True)
    y = torch.nn.functional.interpolate(x, (5, 5, 5), mode="trilinear")
    assert not record.irreproducible
    y.sum().backward()
    assert record.irreproducible == {"upsample_trilinear3d_backward"}


def test_zeros_on_the_cpu_and_indices_there_are_allowed():
    x = torch.arange(3.0, device=HERE)
    assert (x * torch.tensor(2.0)).tolist() == [0, 2, 4]
    assert x[torch.tensor([2, 0])].tolist() == [2, 0]


# What the study computes.


@pytest.fixture
def reproducibly(record):
    """Nothing that CUDA refuses with SKFM_DETERMINISTIC=1."""
    yield
    assert not record.irreproducible


@pytest.fixture
def latents(phantoms, tmp_path):
    """Random latents of the phantoms, and their scale."""
    torch.manual_seed(0)
    model = pick_device().to_device(VQVAE(TINY.vqvae))
    cache_latents(model, phantoms, tmp_path / "latents", pick_device())
    scale = LatentScale(torch.zeros(8, 1, 1, 1), torch.ones(8, 1, 1, 1), (-1.0, 1.0))
    return LatentSet(tmp_path / "latents", phantoms), scale


def begun(kind, training_set, **changes):
    """A stage of a new study, its inputs finished."""
    study = open_study("run", "tiny")
    study.stage("01_preprocess", {}).finish()
    if kind == "vqvae":
        return vqvae_stage(study, training_set, **changes)
    study.stage("02_train_vqvae", {}, ("01_preprocess",)).finish()
    return denoiser_stage(study, kind, training_set, **changes)


def generator(objective):
    """A generator of random weights."""
    torch.manual_seed(0)
    device = pick_device()
    network = UNet3D(TINY.denoiser, leaps=objective == "shortcut")
    scale = LatentScale(torch.zeros(8, 1, 1, 1), torch.ones(8, 1, 1, 1), (-1.0, 1.0))
    networks = (network, VQVAE(TINY.vqvae))
    network, vqvae = (device.to_device(n).eval() for n in networks)
    return SkullGenerator(objective, network, vqvae, scale, device, label_dropout=0.1)


def test_the_autoencoder(project, phantoms, reproducibly, record):
    device = pick_device()
    stage, settings = begun("vqvae", phantoms, steps=2, batch=2, codes=64)
    model, history = train_vqvae(stage, phantoms, settings, device)
    assert len(history["loss"]) == 2 and record.operations["batch_norm_stats"]
    assert model.codebook.vectors.device == HERE
    stage.finish()
    loaded = load_vqvae(stage.study, device)
    assert 0 < evaluate(loaded, phantoms, device)["error"] < 2
    model, _ = train_vqvae(stage, phantoms, settings, device)  # from the checkpoint
    assert torch.equal(model.codebook.usage.cpu(), loaded.codebook.usage.cpu())


def test_too_little_memory_is_said_before_the_first_step(
    project, phantoms, latents, monkeypatch
):
    monkeypatch.setattr(
        torch.foreign, "mem_get_info", lambda device: (1 << 27, 1 << 30)
    )
    stage, settings = begun("vqvae", phantoms, steps=2, batch=2)
    expected = r"02 VQ-VAE.* about 0\.\d GiB are needed, 0\.1 of 1\.0 GiB are free on"
    with pytest.raises(SkfmError, match=expected):
        train_vqvae(stage, phantoms, settings, pick_device())
    assert not (stage.folder / "checkpoint.pt").exists()
    denoiser, chosen = begun(OTFM, latents[0], steps=2, batch=2)
    with pytest.raises(SkfmError, match="U-Net, a training step.*--preset small"):
        train_denoiser(denoiser, OTFM, *latents, chosen, pick_device())


def test_memory_that_this_process_keeps_unused_is_free(phantoms, monkeypatch):
    kept = [True]
    monkeypatch.setattr(torch.foreign, "empty_cache", lambda: kept.clear())
    asked = lambda device: (0 if kept else 1 << 30, 1 << 30)  # noqa: E731
    monkeypatch.setattr(torch.foreign, "mem_get_info", asked)
    settings = TINY.vqvae.but(batch=2)
    require_memory(lambda: vqvae_step(settings), pick_device())


def test_the_plan(monkeypatch):
    stages = ("02 VQ-VAE", "10 VQ-GAN", "08 aligner")
    some = [part for part in parts(TINY) if part.stage.startswith(stages)]
    monkeypatch.setattr(forecast, "parts", lambda *settings: some)
    found = forecast.forecast(TINY)
    assert [one.stage for one in found] == [part.stage for part in some]
    assert all(one.memory > RUNTIME and one.seconds > 0 for one in found)


def test_the_losses_of_a_vqgan(project, phantoms, monkeypatch, reproducibly):
    untrained = StudyFeatures().eval()
    monkeypatch.setattr(vqgan_losses, "study_features", lambda *given: untrained)
    chosen = {"steps": 2, "batch": 2, "codes": 64, "adversarial": 0.25, "perceptual": 1}
    stage, settings = begun("vqvae", phantoms, **chosen)
    _, history = train_vqvae(stage, phantoms, settings, pick_device())
    assert {"perceptual", "adversarial", "discriminators"} <= history.keys()


def test_lpips():
    device = pick_device()
    v, v_hat = (device.to_device(torch.rand(1, 1, 4, 33, 33)) for _ in "ab")
    v_hat.requires_grad_()
    with device.autocast():
        distance = device.to_device(LPIPS())(v, v_hat, torch.tensor([2]))
    distance.backward()
    assert v_hat.grad.abs().max().item() > 0


@pytest.mark.parametrize("objective", [OTFM, DDPM], ids=["otfm", "ddpm"])
def test_the_denoisers(objective, project, latents, reproducibly):
    chosen = {"steps": 2, "batch": 2, "label_dropout": 0.1}
    stage, settings = begun(objective, latents[0], **chosen)
    network, history = train_denoiser(
        stage, objective, *latents, settings, pick_device()
    )
    assert len(history["loss"]) == 2
    losses = latent_losses(generator(objective.name), latents[0], [0.5], 4)
    assert losses.shape == (6,) and np.isfinite(losses).all()


def test_the_few_step_model(project, latents, reproducibly):
    chosen = {**TINY.denoiser.as_dict(), "label_dropout": 0.0}
    stage, _ = begun(OTFM, latents[0], steps=2, batch=2)
    stage.settings["denoiser"] = chosen
    settings = TINY.shortcut.but(steps=2, batch=4)
    _, history = train_shortcut(
        stage, UNet3D(TINY.denoiser), *latents, settings, pick_device()
    )
    assert len(history["loss"]) == 2


@pytest.mark.parametrize(
    ("objective", "method"),
    [
        ("otfm", "euler"),
        ("otfm", "midpoint"),
        ("otfm", "heun"),
        ("ddpm", "ancestral"),
        ("ddpm", "ddim"),
        ("shortcut", "shortcut"),
    ],
)
def test_the_samplers(objective, method):
    made = generator(objective)
    guidance = 1.0 if objective == "shortcut" else 2.0
    z = made.latents([3, 5], [0, 1], Sampler(method, 2, guidance))
    volumes = made.decode(z)
    assert z.device == HERE and volumes.device.type == "cpu"
    assert volumes.shape == (2, 1, *TINY.vqvae.output_shape)


def test_features_and_similarities(phantoms):
    volumes = torch.stack([phantoms[i][0] for i in range(len(phantoms))])
    network = train_features(volumes > 0, phantoms.qualities, steps=2, batch=4)
    assert extract(network, volumes).shape == (6, 224)
    small = Med3D((24, 24, 24)).eval()
    assert extract(small, volumes[:1]).shape == (1, 2048)
    found = pair_similarity(volumes > 0, 2, seed=0)
    assert all(len(values) == 2 for values in found.values())


def test_the_score_classifier(project, phantoms, reproducibly):
    stage, _ = begun("vqvae", phantoms, batch=2)
    network = train_score_classifier(stage, phantoms, 2)
    assert len(predict_scores(network, phantoms)) == len(phantoms)


def test_the_aligner(phantoms, tmp_path, reproducibly):
    clouds = load_clouds(phantoms, tmp_path / "clouds")
    settings = TINY.aligner.but(steps=2, batch=3)
    given = stage_in(tmp_path / "aligner"), clouds, settings, pick_device()
    model, history = ALIGNMENT.train(*given)
    assert len(history["distance"]) == 2
    aligned, rotation = align(model, clouds.first(settings.points), pick_device())
    assert aligned.device.type == "cpu"
    assert len(ALIGNMENT.errors(model, clouds, phantoms, pick_device(), 0)) == 6


def test_the_completer(phantoms, tmp_path, reproducibly):
    clouds = load_clouds(phantoms, tmp_path / "clouds")
    settings = TINY.completer.but(steps=2, batch=2)
    given = stage_in(tmp_path / "completer"), clouds, settings, pick_device()
    model, history = COMPLETION.train(*given)
    assert len(history["loss"]) == 2
    partial = clouds.first(settings.points)
    assert complete(model, partial, pick_device()).device.type == "cpu"
    assert len(COMPLETION.errors(model, clouds, phantoms, pick_device(), 0))
