"""The sampler settings that are compared: models, solvers, numbers of evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from skfm_lib.generation import LABELS, SHORTCUT_STEPS, Sampler, usual_sampler
from skfm_lib.presets import SamplingConfig
from skfm_lib.samplers import COSTS, METHODS
from skfm_lib.utils.errors import SkfmError

# The paper's samplers; the shortcut model is compared with ours.
REFERENCES = {
    "otfm": ("otfm", "euler"),
    "ours": ("ours", "euler"),
    "ddpm": ("ddpm", "ancestral"),
    "ddpm-v": ("ddpm-v", "ancestral"),
    "shortcut": ("ours", "euler"),
}

MODELS = ("otfm", "ours", "ddpm", "shortcut")  # those that are always compared


@dataclass(frozen=True)
class SamplerSetting:
    """A set of skulls: the model and the sampler that generate it.

    All settings share quality scores and starting noise; a `repeat` starts from
    other noise.

    >>> SamplerSetting("otfm", Sampler("heun", 4)).name
    'OTFM, heun, 8'
    """

    model: str
    sampler: Sampler
    repeat: bool = False

    @property
    def method(self) -> str:
        """Its name without the number of evaluations."""
        if self.model == "shortcut":
            return "shortcut"
        shift = f", shift {self.sampler.shift:g}" if self.sampler.shift != 1 else ""
        return f"{LABELS[self.model]}, {self.sampler.method}{shift}"

    @property
    def along(self) -> int:
        """Evaluations of the network without the one for the symmetry."""
        return self.sampler.evaluations - (self.sampler.symmetric > 0)

    @property
    def name(self) -> str:
        """Its name among all settings."""
        other = ", other noise" if self.repeat else ""
        return f"{self.method}, {self.sampler.evaluations}{other}"


def sampler_settings(
    sampling: SamplingConfig,
    evaluations: Sequence[int],
    spared: Sequence[str] = (),
    shift: float = 1.0,
    models: Sequence[str] = MODELS,
) -> list[SamplerSetting]:
    """Every method of the `models` at every number of evaluations.

    Models that are made symmetric take one more from two steps on (`usual_sampler`).
    The references of the models (`REFERENCES`) come first.  They have the largest
    number, and a repeat each.  Other methods are included where their steps cost a
    whole number of evaluations, the shortcut model at powers of two.  The methods
    `spared` are left out at the largest number.  A `shift` other than 1 adds Euler on
    a shifted grid of times, left out there, too.

    Raises:
        SkfmError: for no evaluations, or a number below 1.
    """
    if not evaluations or min(evaluations) < 1:
        raise SkfmError(f"evaluations {list(evaluations)}", "some numbers from 1")
    counts, most = sorted(set(evaluations)), max(evaluations)

    def usual(model: str, method: str, n: int) -> SamplerSetting:
        steps = n // COSTS.get(method, 1)
        return SamplerSetting(model, usual_sampler(model, sampling, steps, method))

    references = [
        usual(model, method, most)
        for model, method in dict.fromkeys(REFERENCES[model] for model in models)
    ]
    repeats = [replace(setting, repeat=True) for setting in references]
    settings = [
        usual(model, method, n)
        for model in models
        for method in METHODS[model]
        for n in counts
        if n % COSTS.get(method, 1) == 0
        and not (n == most and method in spared)
        and (model != "shortcut" or n in SHORTCUT_STEPS)
    ]
    if shift != 1:
        shifted = [Sampler("euler", n, shift=shift) for n in counts[:-1]]
        settings += [SamplerSetting("otfm", sampler) for sampler in shifted]
    return references + repeats + [s for s in settings if s not in references]
