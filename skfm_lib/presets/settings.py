"""What can be set: one frozen dataclass a group, each field with its meaning."""

from dataclasses import asdict, dataclass, fields, replace

from skfm_lib.presets.grid_sizes import Shape, input_shape, latent_shape
from skfm_lib.utils.errors import SkfmError


class Settings:
    """What every group of settings can do."""

    def but(self, **changes: object) -> "Settings":
        """These settings with `changes`; a value of None leaves its setting alone.

        Raises SkfmError for a name that is not a setting of this group.
        """
        known = [f.name for f in fields(self)]
        for name in changes:
            if name not in known:
                group = type(self).__name__
                raise SkfmError(
                    f"unknown setting {name!r} of {group}", f"one of {', '.join(known)}"
                )
        given = {k: _frozen(v) for k, v in changes.items() if v is not None}
        return replace(self, **given)

    def as_dict(self) -> dict[str, object]:
        """The settings as plain values, for records and fingerprints.

        What is at its default goes without saying: a switch that came later, and is
        off, leaves them as they always were.
        """
        plain = asdict(self)
        said = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        return {name: plain[name] for name in said}


@dataclass(frozen=True)
class DataConfig(Settings):
    """The population of skulls and its grid."""

    size: float  # edge of the grid as a share of the paper's
    train_skulls: int
    test_skulls: int


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """How a network is optimised: Adam, gradient clipping at 1."""

    steps: int
    batch: int
    learning_rate: float
    final_rate: float  # share of the rate left at the end of a cosine; 1 = constant
    betas: tuple[float, float]
    warmup: int  # steps of linear warm-up


@dataclass(frozen=True)
class VQVAEConfig(TrainingConfig):
    """The autoencoder: paper B.1 and Table 7; the switches of Table 8."""

    scale: float  # s, input resolution as a share of the output's
    upsample: bool  # loss at full resolution through the trilinear head
    forgive_overshoot: bool  # values beyond ±1 on the right side are no error
    channels: tuple[int, int, int]  # at full, half and quarter input resolution
    groups: int  # of GroupNorm
    codes: int
    code_dim: int  # k, channels of the latent
    commitment: float  # weight of the commitment loss
    code_decay: float  # of the codebook's moving averages
    output_shape: Shape
    adversarial: float = 0.0  # weight of a discriminator's verdict; 0: there is none
    perceptual: float = 0.0  # weight of the perceptual distance; 0: there is none
    lpips_weights: str | None = None  # folder of LPIPS's files; None: study features

    @property
    def input_shape(self) -> Shape:
        """⌈s · output⌉ (§3.3: 374×289×420)."""
        return input_shape(self.output_shape, self.scale)

    @property
    def latent_shape(self) -> Shape:
        """⌈input / 4⌉ (B.1, Table 7: compression 4; 94×73×105)."""
        return latent_shape(self.input_shape)


@dataclass(frozen=True)
class DenoiserConfig(TrainingConfig):
    """The 3D U-Net and its objective: paper B.2 and Table 7."""

    width: int  # channels at full latent resolution
    multipliers: tuple[int, ...]  # of the width, level by level
    heads: int  # of attention, 32 channels each
    timesteps: int  # T
    normalise: str  # latents by the "codebook" range (paper) or per "channel"
    label_dropout: float  # share of labels dropped in training, for guidance
    ema_decay: float  # of the weights' moving average
    code_dim: int


@dataclass(frozen=True)
class ShortcutConfig(TrainingConfig):
    """The few-step model, trained on from the flow's weights; not in the paper."""

    ema_decay: float  # of the weights' moving average


@dataclass(frozen=True)
class AlignerConfig(TrainingConfig):
    """The alignment network and the poses it is trained on: paper E.1, Table 10."""

    points: int  # of the input cloud
    centres: tuple[int, int]  # of the two set abstractions
    neighbours: tuple[tuple[int, ...], tuple[int, ...]]  # in a ball of each radius
    width: float  # of the encoder's layers, as a share of the published ones
    embedding: int
    skip: str  # from the first set abstraction: "add" or "concat"
    rotation: str  # nine numbers as they are ("raw"), or made a rotation ("svd")
    shared: bool  # one encoder for both stages
    degrees: float  # bound of each Euler angle; 180: any rotation
    millimetres: float  # bound of each component of the translation


@dataclass(frozen=True)
class CompleterConfig(TrainingConfig):
    """The completion network: paper E.2 and Table 10."""

    points: int  # of the input cloud; an eighth of it are the coarse output's
    ratios: tuple[int, int]  # points out for one in, of the two refinements
    width: int  # channels of the first layer; 64 as published

    @property
    def outputs(self) -> tuple[int, int, int]:
        """Points of the three outputs: 512, 2048 and 8192 for 4096 points in."""
        coarse, (first, second) = self.points // 8, self.ratios
        return coarse, coarse * first, coarse * first * second


@dataclass(frozen=True)
class SamplingConfig(Settings):
    """How a synthetic set is drawn."""

    steps: int  # S
    count: int  # skulls, in the training set's mix of quality scores
    batch: int


def _frozen(value: object) -> object:
    """Lists, as JSON and notebooks give them, as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
