"""What can be set: one frozen dataclass a group, each field with its meaning."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

from skfm_lib.presets.grid_sizes import Shape, input_shape, latent_shape
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.values import AtLeast, Between, conform

OFF = "none"  # given for an optional setting: None
Optimizer = Literal["adam", "muon"]
S = TypeVar("S", bound="Settings")
Count = Annotated[int, AtLeast(1)]
Weight = Annotated[float, AtLeast(0)]
Share = Annotated[float, Between(0, 1)]
Scale = Annotated[float, Between(0.1, 1)]
Degrees = Annotated[float, Between(0, 180)]
Length = Annotated[float, Between(0.001, 0.28)]  # 0.29 is the mean of all steps
Padding = Literal["replicate", "zeros"]


@dataclass(frozen=True)
class Settings:
    """What every group of settings can do."""

    def but(self: S, **changes: object) -> S:
        """These settings with `changes`; a value of None leaves its setting alone.

        The text "none" makes an optional setting None, as on a command line:
        ``-p time_mean none``.

        Raises:
            SkfmError: for a name that is not a setting of this group, and for a value
                of another type or outside its range.
        """
        hints = get_type_hints(type(self), include_extras=True)
        given: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in hints:
                raise SkfmError(
                    f"unknown setting {name!r} of {type(self).__name__}",
                    f"one of {', '.join(hints)}",
                )
            if value == OFF and type(None) in get_args(hints[name]):
                given[name] = None
            elif value is not None:
                given[name] = conform(name, _frozen(value), hints[name])
        return replace(self, **given)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values, for records and fingerprints.

        Those at their default are left out, so that a new switch that is off does not
        change the fingerprint of what was made before it existed.
        """
        plain = asdict(self)
        said = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        return {name: plain[name] for name in said}

    @classmethod
    def from_dict(cls: type[S], record: Mapping[str, Any]) -> S:
        """The inverse of `as_dict`, also after a way through JSON."""
        return cls(**{name: _frozen(value) for name, value in record.items()})


@dataclass(frozen=True)
class DataConfig(Settings):
    """The population of skulls and its grid."""

    size: Share  # edge of the grid as a share of the paper's
    train_skulls: Count
    test_skulls: Count
    validation_skulls: Count  # for choices; not in the paper


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """How a network is optimised: Adam, gradient clipping at 1."""

    steps: Count
    batch: Count
    learning_rate: Weight
    final_rate: Share  # share of the rate left at the end of a cosine; 1 = constant
    betas: tuple[float, float]
    warmup: Annotated[int, AtLeast(0)]  # steps of linear warm-up


@dataclass(frozen=True)
class VQVAEConfig(TrainingConfig):
    """The autoencoder: paper B.1 and Table 7; the switches of Table 8."""

    scale: Scale  # s, input resolution as a share of the output's
    upsample: bool  # loss at full resolution through the trilinear head
    forgive_overshoot: bool  # values beyond ±1 on the right side are no error
    padding: Padding  # of convolutions: copies of the border, or zeros
    channels: tuple[int, int, int]  # at full, half and quarter input resolution
    groups: Count  # of GroupNorm
    codes: Count
    code_dim: Count  # k, channels of the latent
    commitment: Weight  # weight of the commitment loss
    code_decay: Share  # of the codebook's moving averages
    output_shape: Shape
    adversarial: Weight = 0.0  # weight of the discriminators' loss; 0: there are none
    perceptual: Weight = 0.0  # weight of the perceptual distance; 0: there is none
    lpips_weights: str | None = None  # folder of LPIPS's files; None: study features
    optimizer: Optimizer = "adam"  # of the hidden convolutions

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

    width: Count  # channels at full latent resolution
    multipliers: tuple[int, ...]  # of the width, level by level
    heads: Count  # of attention, 32 channels each
    timesteps: Count  # T
    normalise: Literal["codebook", "channel"]  # of latents; the paper's: codebook
    label_dropout: Share  # share of labels dropped in training, for guidance
    ema_decay: Share  # of the weights' moving average
    code_dim: Count
    mirrored: bool = False  # half of the skulls in a batch, left to right
    field_of_view: bool = False  # where the scan begins and ends is a condition
    time_mean: float | None = None  # m of logit t ~ N(m, 1); None: t is uniform
    average_lengths: tuple[Length, ...] = ()  # of power-function averages; (): EMA
    optimizer: Optimizer = "adam"  # of the hidden convolutions
    copied: bool = False  # the first convolution begins as a copy of the latent
    components: Annotated[int, AtLeast(0)] = 0  # of the linear start; 0: from noise
    start: Share = 1.0  # the time at which a flow with a linear start begins
    margin: Annotated[float, AtLeast(0)] = 0.0  # of times beyond it, trained, too


@dataclass(frozen=True)
class ShortcutConfig(TrainingConfig):
    """The few-step model, trained on from the flow's weights; not in the paper."""

    ema_decay: Share  # of the weights' moving average


@dataclass(frozen=True)
class AlignerConfig(TrainingConfig):
    """The alignment network and the poses it is trained on: paper E.1, Table 10."""

    points: Count  # of the input cloud
    centres: tuple[int, int]  # of the two set abstractions
    neighbours: tuple[tuple[int, ...], tuple[int, ...]]  # in a ball of each radius
    width: Weight  # of the encoder's layers, as a share of the published ones
    embedding: Count
    skip: Literal["add", "concat"]  # from the first set abstraction
    rotation: Literal["raw", "svd"]  # nine numbers as they are, or made a rotation
    shared: bool  # one encoder for both stages
    degrees: Degrees  # bound of each Euler angle; 180: any rotation
    millimetres: Weight  # bound of each component of the translation

    @property
    def sizes(self) -> str:
        """What a chapter says of the network that it trains."""
        return (
            f"{self.points} points, {' and '.join(map(str, self.centres))} centres, "
            f"{self.width:g} × the published widths, embedding {self.embedding}"
        )


@dataclass(frozen=True)
class CompleterConfig(TrainingConfig):
    """The completion network: paper E.2 and Table 10."""

    points: Count  # of the input cloud; the coarse output has an eighth of it
    ratios: tuple[int, int]  # points out for one in, of the two refinements
    width: Count  # channels of the first layer; 64 as published

    @property
    def outputs(self) -> tuple[int, int, int]:
        """Points of the three outputs: 512, 2048 and 8192 for 4096 points in."""
        coarse, (first, second) = self.points // 8, self.ratios
        return coarse, coarse * first, coarse * first * second

    @property
    def sizes(self) -> str:
        """What a chapter says of the network that it trains."""
        return (
            f"{self.points} points in, {', '.join(map(str, self.outputs))} out, "
            f"{self.width / 64:g} × the published widths"
        )


@dataclass(frozen=True)
class SamplingConfig(Settings):
    """How a synthetic set is generated."""

    steps: Count  # S
    ours_steps: Count  # S of ours, which begins later
    symmetric: Share  # time at which ours makes its prediction symmetric
    count: Count  # skulls, in the training set's mix of quality scores
    batch: Count


def _frozen(value: object) -> object:
    """Lists, as JSON and notebooks give them, as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
