"""A packed model of untrained networks at preset tiny, whose volumes hold bone."""

import math

import numpy as np
import torch

from skfm_lib.data.field_of_view import FieldsOfView
from skfm_lib.evaluation.screening import frozen_limits, screener
from skfm_lib.evaluation.screening.measures import Measurements, measure_skulls
from skfm_lib.evaluation.screening.reference_ranges import with_limits
from skfm_lib.evaluation.screening.score_classifier import ScoreNet
from skfm_lib.models import VQVAE, Aligner, LinearShapeModel, PointAttN, UNet3D
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.presets import QUALITY_SCORES, preset
from skfm_lib.reference_model.comparison_set import ComparisonSet
from skfm_lib.reference_model.package import save_compact, write_index
from skfm_lib.training.checkpoints import save_weights
from skfm_lib.training.corruptions import KINDS
from skfm_lib.training.latents import LatentScale

TINY = preset("tiny")
FIELDS = FieldsOfView.of(6 * [(-45, 60)] + 6 * [(-40, 120)], 2 * [2, 3, 4, 4, 5, 6])


def networks():
    """File → (network, what is saved with it)."""
    torch.manual_seed(0)
    vqvae, denoiser = VQVAE(TINY.vqvae), UNet3D(TINY.ours)
    torch.nn.init.zeros_(vqvae.decoder[-1].bias)
    torch.nn.init.normal_(denoiser.condition.heights[-1].weight)
    size = TINY.vqvae.code_dim * math.prod(TINY.vqvae.latent_shape)
    linear = LinearShapeModel(size, TINY.ours.components, TINY.vqvae.latent_shape[-1])
    linear.knots.copy_(torch.linspace(-120, 130, len(linear.knots)))
    linear.rest.fill_(1.0)
    one = torch.ones(8, 1, 1, 1)
    about = {
        "scale": LatentScale(0 * one, one, (-1.0, 1.0)).as_dict(),
        "fields_of_view": FIELDS.as_dict(),
    }
    scores = {"scores": list(QUALITY_SCORES)}
    return {
        "vqvae": (vqvae, TINY.vqvae.as_dict()),
        "denoiser": (denoiser, about),
        "linear_start": (linear, {"components": TINY.ours.components}),
        "score_classifier": (ScoreNet(QUALITY_SCORES), scores),
        "aligner": (Aligner(TINY.aligner), {}),
        "completer": (PointAttN(TINY.completer), {}),
    }


def noisy_ranges(phantoms):
    """Ranges of four noisy copies of six phantoms, their measures and their scores."""
    few, rng = measure_skulls(phantoms, "phantoms"), np.random.default_rng(0)
    measured = few[np.tile(np.arange(len(phantoms)), 4)]
    noise = rng.uniform(0, 0.1, measured.blocks.shape).astype(np.float32)
    blocks = np.clip(measured.blocks + noise, 0, 1)
    measured = Measurements(measured.values, measured.vaults, blocks)
    scores = 2 * [
        *phantoms.qualities,
        *(3 if i in (0, 3) else q for i, q in enumerate(phantoms.qualities)),
    ]
    limits = frozen_limits.read_limits(frozen_limits.FOLDER / "tiny.json").limits
    return with_limits(measured, scores, limits), measured, scores


def held_out(phantoms, measured, scores):
    """Four noisy copies of the features of six phantoms, in an untrained network."""
    torch.manual_seed(1)
    network, first = (
        StudyFeatures(len(KINDS)).eval(),
        measured[np.arange(len(phantoms))],
    )
    few = ComparisonSet.of(network, phantoms, first)
    features, rng = np.tile(few.features, (4, 1)), np.random.default_rng(1)
    noise = rng.normal(0, features.std(axis=0), features.shape)
    return ComparisonSet(few.network, features + noise, measured.values, scores)


def write_packed(folder, phantoms):
    """Write the model to a folder, with the ranges of a few phantoms."""
    folder.mkdir()
    for name, (network, about) in networks().items():
        full, target = folder / "full.safetensors", folder / f"{name}.safetensors"
        save_weights(network, full, about)
        save_compact(full, target)
        full.unlink()
    ranges, measured, scores = noisy_ranges(phantoms)
    screener.save_ranges(folder / screener.RANGES, ranges, scores)
    held_out(phantoms, measured, scores).save(folder)
    groups = ("vqvae", "ours", "sampling", "aligner", "completer")
    tool = {"errors": {"mean": 9.0, "95 % below": 14.0}}
    tool["about"] = {"trained on": "Run test: 6 phantom skulls", "warning": "none"}
    origin = {"steps": {"vqvae": 0, "ours": 0}, "time": "2026-12-01T00:00:00Z"}
    counts = {"skulls": 40, "failed": 5, "of another score": 1, "either": 6}
    counts |= {"reasons": {"vault holes": 5}}
    content = {
        "preset": "tiny",
        "settings": {name: getattr(TINY, name).as_dict() for name in groups},
        "origin": origin | {"skulls": 6, "kind": "phantom skulls", "commit": "none"},
        "screening": {"generated": counts, "held out": counts | {"failed": 1}},
        "distances": {},
        "tools": {"aligner": tool, "completer": tool},
        "example": {},
    }
    write_index(folder, content)
    return folder
