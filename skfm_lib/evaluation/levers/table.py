"""The levers: names → changes of the settings of training and of sampling."""

from collections.abc import Mapping
from typing import NamedTuple

from skfm_lib.presets import Preset

SETTINGS = {  # of the preset's group "ours" that each lever takes from it
    "linear start": ("components", "start", "margin"),
    "field of view": ("field_of_view",),
    "mirrored": ("mirrored",),
    "copied": ("copied",),
    "Muon": ("optimizer",),
    "time law": ("time_mean",),
    "average": ("average_lengths",),
}
AVERAGE = "average"  # another average of the weights of the same training
OURS = (*SETTINGS, "symmetry")  # all that ours has
WEIGHTS = (1.5, 2.0)  # of guidance
DROPOUT = 0.1  # share of the labels dropped in the training of a guided model


class Lever(NamedTuple):
    """An addition to flow matching as in the paper.

    Attributes:
        training: changes of the denoiser's settings.
        sampling: changes of the sampler.
        guided: by the same training's weights after an eighth of its steps.
    """

    training: Mapping[str, object] = {}
    sampling: Mapping[str, float] = {}
    guided: bool = False


def levers(settings: Preset) -> dict[str, Lever]:
    """All levers of a preset by name: those of ours (`OURS`), then further ones."""
    ours, labels = settings.ours, {"label_dropout": DROPOUT}
    found = {
        name: Lever({key: getattr(ours, key) for key in keys})
        for name, keys in SETTINGS.items()
    }
    found["symmetry"] = Lever(sampling={"symmetric": settings.sampling.symmetric})
    found["label dropout"] = Lever(labels)
    for w in WEIGHTS:
        found[f"guidance {w:g}"] = Lever(labels, {"guidance": w})
    for w in WEIGHTS:
        found[f"autoguidance {w:g}"] = Lever({}, {"guidance": w}, guided=True)
    return found
