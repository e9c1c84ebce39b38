"""The fit of the linear shape model, against dense algebra and known samples."""

import pytest
import torch

from skfm_lib.models.linear_shape import hats
from skfm_lib.training import linear_fit
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.training.linear_fit import fit_linear
from skfm_lib.utils import memory
from skfm_lib.utils.errors import SkfmError

SHAPE, SIZE = (2, 2, 1, 3), 12
SCORES = [2, 2, 2, 3, 3, 5, 5, 5, 5, 6, 2, 3]
CENTRE, HALF = torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.5])
SCALE = LatentScale(CENTRE.view(2, 1, 1, 1), HALF.view(2, 1, 1, 1), None)
GRID = (57, 44, 64)  # from -125.5 to 131.5 mm


class Latents(LatentSet):
    """Latents in memory, with fields of view."""

    fields_of_view = None

    def __init__(self, z, qualities, fields=None):
        self.z, self.qualities, self.fields_of_view = z, list(qualities), fields

    def __len__(self):
        return len(self.z)

    def __getitem__(self, index):
        return self.z[index], self.qualities[index]


@pytest.fixture
def latents():
    rng = torch.Generator().manual_seed(0)
    return Latents(torch.randn(len(SCORES), *SHAPE, generator=rng), SCORES)


def normalised(latents):
    channel = [0] * 6 + [1] * 6
    return (latents.z.flatten(1).double() - CENTRE[channel]) / HALF[channel]


@pytest.mark.parametrize("columns", [1 << 14, 5])
def test_components_and_rest_are_of_the_pooled_covariance(
    latents, monkeypatch, columns
):
    monkeypatch.setattr(linear_fit, "COLUMNS", columns)
    monkeypatch.setattr(linear_fit, "RIDGE", 1e-9)
    model = fit_linear(latents, SCALE, 3)
    x, scores = normalised(latents), torch.tensor(SCORES)
    means = torch.stack([x[scores == q].mean(0) for q in SCORES])
    away = x - means
    values, vectors = torch.linalg.eigh(away.T @ away / (len(x) - 4))
    u = vectors[:, -3:].T.flip(0)
    assert torch.allclose(model.variances.double(), values[-3:].flip(0), rtol=1e-4)
    alike = (model.components.double() * u).sum(1).abs()
    assert torch.allclose(alike, torch.ones(3).double(), atol=1e-5)
    rest = (away - away @ u.T @ u).square().sum(0) / (len(x) - 4 - 3)
    assert torch.allclose(model.rest.double(), rest, rtol=1e-4, atol=1e-6)


def test_a_score_without_a_skull_has_the_mean_of_all(latents):
    model, x = fit_linear(latents, SCALE, 2), normalised(latents)
    assert torch.allclose(model.means[2].double(), x.mean(0), atol=1e-5)
    of_two = x[[q == 2 for q in SCORES]].mean(0)
    assert torch.allclose(model.means[0].double(), of_two, atol=0.02)  # the ridge


def test_the_mean_follows_the_field_of_view():
    """Latents that are a function of the heights, and noise of 0.01."""
    rng = torch.Generator().manual_seed(2)
    n = 400
    fields = torch.stack(
        [
            -100 + 60 * torch.rand(n, generator=rng),
            60 + 60 * torch.rand(n, generator=rng),
        ],
        dim=1,
    )
    knots = torch.linspace(-125.5, 131.5, SHAPE[-1])
    true = torch.randn(2 * len(knots), SIZE, generator=rng)
    x = hats(fields, knots) @ true + 0.01 * torch.randn(n, SIZE, generator=rng)
    latents = Latents(x.view(n, *SHAPE), [2, 5] * (n // 2), fields)
    one = LatentScale(torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1), None)
    model = fit_linear(latents, one, 2, GRID)
    found = model.mean(torch.tensor(latents.qualities), fields)
    assert (found - hats(fields, knots) @ true).abs().max() < 0.05
    assert model.rest.mean().item() == pytest.approx(1e-4, rel=0.3)
    blind = fit_linear(latents, one, 2)
    assert blind.variances.sum() > 100 * model.variances.sum()


def test_too_many_components_are_refused(latents):
    """Twelve skulls of four scores: eight are left."""
    for components in (0, 8):
        with pytest.raises(SkfmError, match=f"components {components} .*1 to 7"):
            fit_linear(latents, SCALE, components)
    assert fit_linear(latents, SCALE, 7).rest.isfinite().all()
    fields = torch.rand(12, 2) * torch.tensor([-100.0, 100.0])
    few = Latents(latents.z[:5], SCORES[:5], fields[:5])
    with pytest.raises(SkfmError, match="a larger training set"):
        fit_linear(few, SCALE, 1, GRID)


def test_repeated_skulls_are_not_new_ones(latents):
    twice = Latents(latents.z[[0, 1, 3, 4] * 3], [2, 2, 3, 3] * 3)
    with pytest.raises(SkfmError, match="5 components hold all variance of 12"):
        fit_linear(twice, SCALE, 5)
    assert fit_linear(twice, SCALE, 2).components.isfinite().all()


def test_too_little_memory_is_said_beforehand(latents, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 100)
    with pytest.raises(SkfmError, match="linear model: about .* GiB are needed"):
        fit_linear(latents, SCALE, 2)


def test_with_mirrored_skulls_the_fit_is_of_both(latents):
    rng = torch.Generator().manual_seed(5)
    other = Latents(torch.randn(len(SCORES), *SHAPE, generator=rng), SCORES)
    both = Latents(torch.cat([latents.z, other.z]), SCORES * 2)
    found = fit_linear(latents, SCALE, 3, mirrored=other)
    known = fit_linear(both, SCALE, 3)
    assert torch.allclose(found.means, known.means, atol=1e-5)
    alike = (found.components * known.components).sum(1).abs()
    assert torch.allclose(alike, torch.ones(3), atol=1e-4)
    # The means count twice: 24 rows less 2 × 4 instead of 4.
    assert torch.allclose(found.variances * 16, known.variances * 20, rtol=1e-4)
    again = fit_linear(latents, SCALE, 3, mirrored=latents)
    alone = fit_linear(latents, SCALE, 3)
    assert torch.allclose(again.variances, alone.variances, rtol=1e-4)
