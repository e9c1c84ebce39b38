"""Networks of a packed model, each from files whose checksums are verified."""

from typing import TypeVar

from torch import nn

from skfm_lib import presets
from skfm_lib.data.field_of_view import FieldsOfView
from skfm_lib.data.voxels import skull_grid
from skfm_lib.evaluation.screening import screener
from skfm_lib.evaluation.screening.score_classifier import WEIGHTS as CLASSIFIER
from skfm_lib.evaluation.screening.screener import RANGES, Screener
from skfm_lib.generation import SkullGenerator
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.presets.settings import Settings
from skfm_lib.reference_model.comparison_set import (
    HELD_OUT,
    NETWORK,
    ComparisonSet,
    load_comparison_set,
)
from skfm_lib.reference_model.package import REMEDY, Package
from skfm_lib.tasks.apply_to_scan import Tool
from skfm_lib.tasks.task import Task
from skfm_lib.training.checkpoints import load_weights
from skfm_lib.training.denoiser import WEIGHTS
from skfm_lib.training.latents import LatentScale
from skfm_lib.training.linear_start import LINEAR, load_linear
from skfm_lib.training.vqvae import WEIGHTS as VQVAE_WEIGHTS
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError

MODEL = "ours"  # the model that is packed
Network = TypeVar("Network", bound=nn.Module)
S = TypeVar("S", bound=Settings)


def settings_of(package: Package, kind: type[S], group: str) -> S:
    """A group of the settings that the model was trained or is sampled with."""
    try:
        return kind.from_dict(package.index["settings"][group])
    except (KeyError, TypeError) as error:
        found = f"{package.folder} has settings of another version of skfm ({error})"
        raise SkfmError(found, f"the group {group}", REMEDY) from error


def load_generator(package: Package) -> SkullGenerator:
    """The packed model as a generator.

    Raises:
        SkfmError: for files that are missing, damaged or altered.
    """
    device = pick_device()
    settings = settings_of(package, presets.DenoiserConfig, MODEL)
    network, path = UNet3D(settings), package.file(WEIGHTS)
    known = ("fields_of_view",) if settings.field_of_view else ()
    about = load_weights(network, path, "scale", *known)
    first = settings_of(package, presets.VQVAEConfig, "vqvae")
    vqvae, linear = VQVAE(first), None
    load_weights(vqvae, package.file(VQVAE_WEIGHTS))
    if settings.components:
        linear = load_linear(package.file(LINEAR), settings, first)
    return SkullGenerator(
        MODEL,
        device.to_device(network).eval(),
        device.to_device(vqvae).eval(),
        LatentScale.from_dict(about["scale"]),
        device,
        settings.label_dropout,
        package.fingerprint,
        settings.timesteps,
        FieldsOfView.from_dict(about["fields_of_view"]) if known else None,
        device.to_device(linear) if linear else None,
        settings.start,
    )


def load_screener(package: Package) -> Screener:
    """The screening that the model was packed with; errors as for `load_generator`."""
    shape = settings_of(package, presets.VQVAEConfig, "vqvae").output_shape
    files = package.file(CLASSIFIER), package.file(RANGES)
    return screener.load_screener(*files, skull_grid(shape))


def load_reference(package: Package) -> ComparisonSet:
    """The held-out skulls of the study that was packed; errors as `load_generator`."""
    return load_comparison_set(package.file(NETWORK), package.file(HELD_OUT))


def load_tool(package: Package, task: Task[Network]) -> Tool[Network]:
    """The packed network of a task; errors as for `load_generator`."""
    record = package.index["tools"][task.name]
    kind = type(getattr(presets.preset(package.index["preset"]), task.name))
    model = task.network(settings_of(package, kind, task.name))
    load_weights(model, package.file(task.weights))
    shape = settings_of(package, presets.VQVAEConfig, "vqvae").output_shape
    model = pick_device().to_device(model).eval()
    return Tool(model, record["errors"], record["about"], shape)
