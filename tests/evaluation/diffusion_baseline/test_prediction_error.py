"""The error of the predicted data, of networks whose error is known."""

import pytest
import torch

from skfm_lib.data.field_of_view import FieldsOfView
from skfm_lib.evaluation.diffusion_baseline.prediction_error import (
    data_errors,
    errors_of,
)
from skfm_lib.generation import SkullGenerator
from skfm_lib.losses import ddpm
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.presets import preset
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.utils.device import Device

TINY = preset("tiny")

N, SIZE = 64, 200
SPREAD = 0.5  # of the data N(0, SPREAD²)
TIMES = [1, 60, 150, 270, 299, 300]


def data():
    rng = torch.Generator().manual_seed(1)
    return SPREAD * torch.randn(N, SIZE, generator=rng, dtype=torch.float64)


def exact(prediction, wrong=0.0, timesteps=300):
    """The best network for such data, whose output has `wrong` added, ± at random."""
    levels, rng = ddpm.alpha_bar(timesteps), torch.Generator().manual_seed(2)

    def network(z, t):
        kept = levels[round(t * timesteps)].item()
        total = SPREAD**2 * kept + 1 - kept
        x_0 = SPREAD**2 * kept**0.5 / total * z
        eps = (1 - kept) ** 0.5 / total * z
        v = kept**0.5 * eps - (1 - kept) ** 0.5 * x_0
        sign = torch.randint(2, z.shape, generator=rng).double() * 2 - 1
        return (eps if prediction == "epsilon" else v) + wrong * sign

    return network


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_the_best_network_has_the_error_of_the_posterior(prediction):
    found = data_errors(exact(prediction), data(), TIMES, prediction)
    for tau, row in zip(TIMES, found.itertuples()):
        kept = ddpm.alpha_bar()[tau].item()
        # Var[x_0 | z_t] of a Gaussian
        posterior = SPREAD**2 * (1 - kept) / (SPREAD**2 * kept + 1 - kept)
        assert row.t == tau / 300 and row.signal == pytest.approx(kept**0.5)
        assert row.free == pytest.approx(posterior**0.5, rel=0.03)
        assert row.clamped == row.free  # no bounds were given


def test_an_error_of_the_noise_is_amplified_and_one_of_the_velocity_is_not():
    rows = {
        prediction: data_errors(exact(prediction, 0.05), data(), TIMES, prediction)
        for prediction in ("epsilon", "v")
    }
    best = data_errors(exact("v"), data(), TIMES, "v")
    for i, tau in enumerate(TIMES):
        kept = ddpm.alpha_bar()[tau].item()
        for prediction, division in (("epsilon", kept**0.5), ("v", 1.0)):
            more = 0.05 * (1 - kept) ** 0.5 / division  # independent of the rest
            expected = (best["free"][i] ** 2 + more**2) ** 0.5
            assert rows[prediction]["free"][i] == pytest.approx(expected, rel=0.03)
    assert rows["epsilon"]["free"].iloc[-1] > 900  # at T: 0.05 / √ᾱ_T
    assert rows["v"]["free"].max() < 1.02 * SPREAD + 0.05


def test_clamping_limits_the_error():
    network, bounds = exact("epsilon", 0.05), (-3.0, 3.0)
    found = data_errors(network, data(), TIMES, "epsilon", 300, bounds)
    assert found["free"].iloc[-1] > 900 and found["clamped"].max() < 3 + SPREAD
    assert found["clamped"].iloc[-1] == pytest.approx((9 + SPREAD**2) ** 0.5, rel=0.03)
    assert found["clamped"][0] == found["free"][0]


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_the_error_of_the_target_is_that_of_the_prediction(prediction):
    found = data_errors(exact(prediction), data(), [150, 300], prediction)
    wrong = data_errors(exact(prediction, 0.5), data(), [150, 300], prediction)
    for a, b in zip(found["target"], wrong["target"]):
        assert b == pytest.approx((a**2 + 0.25) ** 0.5, rel=0.03)


def test_another_number_of_times():
    found = data_errors(exact("v", 0, 50), data(), [1, 25, 50], "v", 50)
    assert found["t"].tolist() == [0.02, 0.5, 1.0]
    assert found["signal"].tolist() == pytest.approx(
        ddpm.alpha_bar(50)[[1, 25, 50]].sqrt().tolist()
    )
    assert found["free"].iloc[-1] == pytest.approx(SPREAD, rel=0.03)


class Latents(LatentSet):
    """Five latents in memory."""

    def __init__(self):
        pass

    def __len__(self):
        return 5

    def __getitem__(self, index):
        rng = torch.Generator().manual_seed(index)
        return torch.randn(8, 3, 2, 3, generator=rng), 2 + index


def test_a_trained_model_is_measured_in_batches_by_its_own_scale():
    network = UNet3D(TINY.denoiser.but(width=8)).eval()
    one = torch.ones(8, 1, 1, 1)
    scale = LatentScale(0.5 * one, 2 * one, (-0.2, 0.2))
    given = (
        network,
        VQVAE(TINY.vqvae),
        scale,
        Device(torch.device("cpu"), torch.float32),
    )
    made = SkullGenerator("ddpm-v", *given)
    whole, parts = (errors_of(made, Latents(), [150, 300], n) for n in (5, 2))
    assert whole.to_numpy() == pytest.approx(parts.to_numpy(), rel=1e-4)
    x_0 = torch.stack([scale.normalise(Latents()[i][0]) for i in range(5)])
    quality = torch.arange(2, 7)
    answer = lambda z, t: network(z, t, quality)  # noqa: E731
    by_hand = data_errors(answer, x_0, [150, 300], "v", 300, (-0.2, 0.2))
    assert whole.to_numpy() == pytest.approx(by_hand.to_numpy(), rel=1e-4)
    assert (whole["clamped"] != whole["free"]).all()


def test_a_model_is_given_the_field_of_view_of_each_skull():
    torch.manual_seed(0)
    network = UNet3D(TINY.denoiser.but(width=8, field_of_view=True)).eval()
    torch.nn.init.normal_(network.condition.heights[-1].weight)
    one, some = torch.ones(8, 1, 1, 1), Latents()
    given = network, VQVAE(TINY.vqvae), LatentScale(0 * one, one, None)
    device = Device(torch.device("cpu"), torch.float32)
    known = {"fields": FieldsOfView({})}
    made = SkullGenerator("ddpm-v", *given, device, **known)
    some.fields_of_view = torch.arange(10.0).view(5, 2) * 10
    whole, parts = (errors_of(made, some, [150], n) for n in (5, 2))
    assert whole.to_numpy() == pytest.approx(parts.to_numpy(), rel=1e-4)
    some.fields_of_view = some.fields_of_view.flip(0)
    other = errors_of(made, some, [150], 5)
    assert other["target"].item() != pytest.approx(whole["target"].item(), rel=1e-4)
