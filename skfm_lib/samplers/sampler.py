"""A sampling method with its settings."""

from dataclasses import dataclass
from typing import Any

from skfm_lib.utils.errors import SkfmError

METHODS = {  # of each model; the first is the default, of OTFM and DDPM the paper's
    "otfm": ("euler", "midpoint", "heun"),
    "ours": ("euler", "midpoint", "heun"),
    "ddpm": ("ancestral", "ddim"),
    "ddpm-v": ("ancestral", "ddim"),
    "shortcut": ("shortcut",),
}
COSTS = {"midpoint": 2, "heun": 2}  # evaluations per step; one for all others


@dataclass(frozen=True)
class Sampler:
    """A sampling method with its settings.

    Attributes:
        method: one of `METHODS`.
        steps: S; for the shortcut model a power of two.
        guidance: 1 is the conditional model; larger values move the prediction away
            from that of the unconditional model, or of the generator's guide.
        shift: of the time grid of the flow solvers; 1 is uniform.
        start: of the diffusion samplers, the first time τ/T; 1 is the paper's.
        symmetric: of the flow solvers and the shortcut model, the time at which the
            predicted skull is made symmetric (`SkullGenerator.symmetric`); 0: never.
            Later steps are uniform.

    >>> Sampler("heun", 50).evaluations
    100
    """

    method: str
    steps: int
    guidance: float = 1.0
    shift: float = 1.0
    start: float = 1.0
    symmetric: float = 0.0

    def __post_init__(self) -> None:
        """Raise SkfmError for an unknown method and for values out of range."""
        methods = sum(METHODS.values(), ())
        if self.method not in methods:
            raise SkfmError(f"sampler {self.method!r}", " or ".join(methods))
        if self.steps < 1:
            raise SkfmError(f"{self.steps} sampling steps", "at least 1")
        if not 0 <= self.guidance < float("inf"):
            raise SkfmError(f"guidance {self.guidance}", "a number of at least 0")
        if not 0 < self.shift < float("inf"):
            raise SkfmError(f"time shift {self.shift}", "a positive number")
        if not 0 < self.start <= 1:
            raise SkfmError(f"start {self.start}", "a time in (0, 1]")
        if not 0 <= self.symmetric < 1:
            raise SkfmError(f"symmetric {self.symmetric}", "a time in (0, 1), or 0")
        if self.symmetric and self.steps < 2:
            found = f"{self.steps} step with symmetric {self.symmetric:g}"
            expected = "at least 2 steps, one before it and one after"
            raise SkfmError(found, expected, "--symmetric 0 leaves it out")

    @property
    def evaluations(self) -> int:
        """Evaluations of the network per skull."""
        networks = 1 if self.guidance == 1 else 2
        steps = self.steps * COSTS.get(self.method, 1)
        return (steps + (self.symmetric > 0)) * networks

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for records; the default grid of times is omitted."""
        usual = {"shift": 1, "start": 1, "symmetric": 0}
        return {k: v for k, v in vars(self).items() if usual.get(k) != v}
