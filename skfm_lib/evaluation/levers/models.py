"""The models that are compared: a base, with one lever more or less."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from skfm_lib.evaluation.levers.table import AVERAGE, OURS, levers
from skfm_lib.generation import LABELS, usual_sampler
from skfm_lib.presets import DenoiserConfig, Preset
from skfm_lib.samplers import Sampler

BASES = ("otfm", "ours")


@dataclass(frozen=True)
class Model:
    """A base, one of `BASES`, with a lever added or, if the base has it, taken away.

    >>> Model("otfm", "copied").name, Model("ours", "copied").name, Model("ours").name
    ('OTFM + copied', 'ours − copied', 'ours')
    """

    base: str
    lever: str = ""

    @property
    def name(self) -> str:
        """For tables."""
        sign = "−" if self.lever in _own(self.base) else "+"
        return f"{LABELS[self.base]} {sign} {self.lever}".removesuffix(" + ")

    @property
    def levers(self) -> tuple[str, ...]:
        """The names of all that it has."""
        own = _own(self.base)
        if self.lever in own:
            return tuple(name for name in own if name != self.lever)
        return (*own, self.lever) if self.lever else own

    @property
    def other_average(self) -> bool:
        """Whether it has the average of the weights that its base does not have."""
        return self.lever == AVERAGE

    def settings(self, preset: Preset, steps: int) -> DenoiserConfig:
        """Those of its training, with the average of its base (`other_average`)."""
        lever = "" if self.other_average else self.lever
        names, changes = Model(self.base, lever).levers, dict[str, object]()
        for name in names:
            changes |= levers(preset)[name].training
        return preset.denoiser.but(**{**changes, "steps": steps})

    def sampler(self, preset: Preset) -> Sampler:
        """The usual sampler of its base, with the changes of its levers."""
        usual = usual_sampler(self.base, preset.sampling)
        changes: dict[str, Any] = {"symmetric": 0.0}
        for name in self.levers:
            changes |= levers(preset)[name].sampling
        return replace(usual, **changes)

    def guided(self, preset: Preset) -> bool:
        """Whether earlier weights of its training guide it."""
        return any(levers(preset)[name].guided for name in self.levers)


def screened(base: str, names: Sequence[str]) -> list[Model]:
    """A base, and each model with one of the levers `names` more or less.

    What the base has is taken away; label dropout, guidance and the like are added.
    """
    return [Model(base), *(Model(base, name) for name in names)]


def _own(base: str) -> tuple[str, ...]:
    return OURS if base == "ours" else ()
