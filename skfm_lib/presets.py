"""The study's settings at four sizes, as one table.

``paper`` holds the paper's numbers (Tables 7 and 10, §3.2–3.3); where the paper is
silent, those of the code it grew from.  The other columns run the same study
smaller.  Every grid follows from one number, ``size``: output = 456×352×512 · size,
input = ⌈0.82 · output⌉, latent = ⌈input / 4⌉.
"""

from dataclasses import asdict, dataclass, fields, replace

from skfm_lib.errors import SkfmError
from skfm_lib.scales import Shape, input_shape, latent_shape, scaled_shape

QUALITY_SCORES = (2, 3, 4, 5, 6)  # QS 1 is excluded (paper §3.3)
NO_LABEL = 0  # stands for a dropped class label, in training with guidance only

# name                 tiny          quick         small         paper
TABLE = {
    "data": {
        "size":           (1 / 16,       1 / 8,        1 / 4,        1.0),
        "train_skulls":   (40,           726,          726,          726),
        "test_skulls":    (40,           182,          182,          182),
    },
    "vqvae": {
        "scale":          (0.82,         0.82,         0.82,         0.82),
        "upsample":       (True,         True,         True,         True),
        "forgive_overshoot": (True,      True,         True,         False),
        "channels":       ((8, 16, 32),  (8, 16, 32),  (16, 32, 64), (16, 32, 64)),
        "groups":         (8,            8,            16,           16),
        "codes":          (512,          16384,        16384,        16384),
        "code_dim":       (8,            8,            8,            8),
        "steps":          (120,          1600,         20_000,       150_000),
        "batch":          (4,            1,            1,            1),
        "learning_rate":  (3e-3,         2e-3,         5e-4,         1e-4),
        "final_rate":     (0.1,          0.02,         0.02,         1.0),
        "betas":          ((0.9, 0.99),  (0.9, 0.99),  (0.9, 0.99),  (0.5, 0.9)),
        "warmup":         (5,            20,           500,          3_630),
        "commitment":     (0.25,         0.25,         0.25,         0.25),
        "code_decay":     (0.99,         0.99,         0.99,         0.99),
    },
    "denoiser": {
        "width":          (16,           32,           32,           32),
        "multipliers":    ((1, 2),       (1, 2, 4),    (1, 2, 4, 8), (1, 2, 4, 8)),
        "heads":          (2,            2,            8,            8),
        "timesteps":      (300,          300,          300,          300),
        "normalise":      ("channel",    "channel",    "channel",    "codebook"),
        "label_dropout":  (0.0,          0.0,          0.0,          0.0),
        "steps":          (60,           700,          40_000,       200_000),
        "batch":          (8,            8,            4,            1),
        "learning_rate":  (1e-3,         1e-3,         2e-4,         5e-5),
        "final_rate":     (0.1,          0.02,         0.1,          1.0),
        "betas":          ((0.9, 0.99),  (0.9, 0.99),  (0.9, 0.99),  (0.9, 0.999)),
        "warmup":         (5,            50,           500,          0),
        "ema_decay":      (0.9,          0.995,        0.999,        0.995),
    },
    "shortcut": {
        "sample_steps":   (4,            4,            4,            4),
        "steps":          (30,           350,          10_000,       50_000),
        "batch":          (8,            8,            4,            1),
        "learning_rate":  (5e-4,         5e-4,         1e-4,         5e-5),
        "final_rate":     (0.1,          0.02,         0.1,          1.0),
        "betas":          ((0.9, 0.99),  (0.9, 0.99),  (0.9, 0.99),  (0.9, 0.999)),
        "warmup":         (5,            20,           200,          0),
        "ema_decay":      (0.9,          0.99,         0.999,        0.995),
    },
    "sampling": {
        "steps":          (4,            32,           300,          300),
        "count":          (40,           182,          726,          726),
        "batch":          (20,           26,           8,            1),
    },
}  # fmt: skip
NAMES = ("tiny", "quick", "small", "paper")


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
        """The settings as plain values, for records and fingerprints."""
        return asdict(self)


@dataclass(frozen=True)
class Data(Settings):
    """The population of skulls and its grid."""

    size: float  # edge of the grid as a share of the paper's
    train_skulls: int
    test_skulls: int


@dataclass(frozen=True)
class Training(Settings):
    """How a network is optimised: Adam, gradient clipping at 1."""

    steps: int
    batch: int
    learning_rate: float
    final_rate: float  # share of the rate left at the end of a cosine; 1 = constant
    betas: tuple[float, float]
    warmup: int  # steps of linear warm-up


@dataclass(frozen=True)
class VQVAE(Training):
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

    @property
    def input_shape(self) -> Shape:
        """⌈s · output⌉ (§3.3: 374×289×420)."""
        return input_shape(self.output_shape, self.scale)

    @property
    def latent_shape(self) -> Shape:
        """⌈input / 4⌉ (B.1, Table 7: compression 4; 94×73×105)."""
        return latent_shape(self.input_shape)


@dataclass(frozen=True)
class Denoiser(Training):
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
class Shortcut(Training):
    """The few-step model, trained on from the flow's weights; not in the paper."""

    ema_decay: float  # of the weights' moving average
    sample_steps: int  # S, a power of two


@dataclass(frozen=True)
class Sampling(Settings):
    """How a synthetic set is drawn."""

    steps: int  # S
    count: int  # skulls, in the training set's mix of quality scores
    batch: int


@dataclass(frozen=True)
class Preset:
    """All settings of a study."""

    name: str
    data: Data
    vqvae: VQVAE
    denoiser: Denoiser
    shortcut: Shortcut
    sampling: Sampling


def _frozen(value: object) -> object:
    """Lists, as JSON and notebooks give them, as tuples."""
    return tuple(value) if isinstance(value, list) else value


def preset(name: str) -> Preset:
    """The settings called `name`: tiny, quick, small or paper; others raise."""
    if name not in NAMES:
        raise SkfmError(f"unknown preset {name!r}", f"one of {', '.join(NAMES)}")
    column = NAMES.index(name)
    rows = {
        group: {key: values[column] for key, values in table.items()}
        for group, table in TABLE.items()
    }
    shape = scaled_shape(rows["data"]["size"])
    code_dim = rows["vqvae"]["code_dim"]
    return Preset(
        name,
        Data(**rows["data"]),
        VQVAE(**rows["vqvae"], output_shape=shape),
        Denoiser(**rows["denoiser"], code_dim=code_dim),
        Shortcut(**rows["shortcut"]),
        Sampling(**rows["sampling"]),
    )
