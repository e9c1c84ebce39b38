"""The study's settings at four sizes, as one table.

``paper`` holds the paper's numbers (Tables 7 and 10, §3.2–3.3); where the paper is
silent, those of the code it grew from.  The other columns run the same study
smaller.  Every grid follows from one number, ``size``: output = 456×352×512 · size,
input = ⌈0.82 · output⌉, latent = ⌈input / 4⌉.
"""

from dataclasses import dataclass

from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.presets.settings import (
    AlignerConfig,
    CompleterConfig,
    DataConfig,
    DenoiserConfig,
    SamplingConfig,
    ShortcutConfig,
    VQVAEConfig,
)
from skfm_lib.utils.errors import SkfmError

QUALITY_SCORES = (2, 3, 4, 5, 6)  # QS 1 is excluded (paper §3.3)
NO_LABEL = 0  # the class of a dropped label, used in training for guidance

# Points in a ball of each radius, for both set abstractions (PointNet++).
MANY = ((16, 32, 128), (32, 64, 128))
FEW = ((8, 16, 32), (8, 16, 32))

# name                 tiny          quick         small         paper
TABLE: dict[str, dict[str, tuple]] = {
    "data": {
        "size":           (1 / 16,       1 / 8,        1 / 4,        1.0),
        "train_skulls":   (40,           726,          726,          726),
        "test_skulls":    (40,           182,          182,          182),
        "validation_skulls": (12,        91,           91,           91),
    },
    "vqvae": {
        "scale":          (0.82,         0.82,         0.82,         0.82),
        "upsample":       (True,         True,         True,         True),
        "forgive_overshoot": (True,      True,         True,         False),
        "padding":        ("replicate",  "replicate",  "replicate",  "replicate"),
        "channels":       ((8, 16, 32),  (8, 16, 32),  (16, 32, 64), (16, 32, 64)),
        "groups":         (8,            8,            16,           16),
        "codes":          (512,          16384,        16384,        16384),
        "code_dim":       (8,            8,            8,            8),
        "optimizer":      ("adam",       "muon",       "adam",       "adam"),
        "steps":          (120,          1600,         20_000,       150_000),
        "batch":          (4,            1,            1,            1),
        "learning_rate":  (3e-3,         5e-3,         5e-4,         1e-4),
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
        "steps":          (60,           1400,         40_000,       200_000),
        "batch":          (8,            4,            4,            1),
        "learning_rate":  (1e-3,         3e-3,         2e-4,         5e-5),
        "final_rate":     (0.1,          0.02,         0.1,          1.0),
        "betas":          ((0.9, 0.99),  (0.9, 0.99),  (0.9, 0.99),  (0.9, 0.999)),
        "warmup":         (5,            100,          500,          0),
        "ema_decay":      (0.9,          0.995,        0.999,        0.995),
    },
    # Of the model that goes beyond the paper: in place of the denoiser's.
    "ours": {
        "mirrored":       (True,         True,         True,         True),
        "field_of_view":  (True,         True,         True,         True),
        "copied":         (True,         True,         True,         True),
        "optimizer":      ("muon",       "muon",       "muon",       "muon"),
        "components":     (16,           64,           64,           64),
        "start":          (0.8,          0.8,          0.8,          0.8),
        "margin":         (0.1,          0.1,          0.1,          0.1),
        "time_mean":      (0.6,          0.6,          0.6,          0.6),
        "average_lengths": ((0.05,),     (0.05,),      (0.05,),      (0.05,)),
    },
    "shortcut": {
        "steps":          (30,           350,          10_000,       50_000),
        "batch":          (8,            8,            4,            1),
        "learning_rate":  (5e-4,         5e-4,         1e-4,         5e-5),
        "final_rate":     (0.1,          0.02,         0.1,          1.0),
        "betas":          ((0.9, 0.99),  (0.9, 0.99),  (0.9, 0.99),  (0.9, 0.999)),
        "warmup":         (5,            20,           200,          0),
        "ema_decay":      (0.9,          0.99,         0.999,        0.995),
    },
    "aligner": {
        "points":         (256,          1024,         4096,         8192),
        "centres":        ((64, 16),     (128, 32),    (256, 64),    (512, 128)),
        "neighbours":     (FEW,          FEW,          MANY,         MANY),
        "width":          (0.25,         0.5,          1.0,          1.0),
        "embedding":      (64,           256,          1024,         1024),
        "skip":           ("add",        "add",        "add",        "add"),
        "rotation":       ("raw",        "raw",        "raw",        "raw"),
        "shared":         (False,        False,        False,        False),
        "degrees":        (45.0,         45.0,         45.0,         45.0),
        "millimetres":    (50.0,         50.0,         50.0,         50.0),
        "steps":          (30,           1000,         7000,         7000),
        "batch":          (8,            16,           12,           12),
        "learning_rate":  (2e-3,         2e-3,         1e-3,         1e-3),
        "final_rate":     (0.02,         0.02,         0.02,         1.0),
        "betas":          ((0.9, 0.99),  (0.9, 0.99),  (0.9, 0.999), (0.9, 0.999)),
        "warmup":         (5,            20,           100,          0),
    },
    "completer": {
        "points":         (256,          1024,         2048,         4096),
        "ratios":         ((4, 4),       (4, 4),       (4, 4),       (4, 4)),
        "width":          (8,            16,           32,           64),
        "steps":          (20,           1000,         20_000,       72_800),
        "batch":          (4,            4,            4,            4),
        "learning_rate":  (1e-3,         1e-3,         3e-4,         1e-4),
        "final_rate":     (0.02,         0.02,         0.02,         1.0),
        "betas":          ((0.9, 0.99),  (0.9, 0.99),  (0.9, 0.999), (0.9, 0.999)),
        "warmup":         (5,            20,           100,          0),
    },
    "sampling": {
        "steps":          (4,            32,           300,          300),
        "ours_steps":     (4,            16,           100,          100),
        "symmetric":      (0.4,          0.4,          0.4,          0.4),
        "count":          (40,           182,          726,          726),
        "batch":          (20,           26,           8,            1),
    },
}  # fmt: skip
NAMES = ("tiny", "quick", "small", "paper")


@dataclass(frozen=True)
class Preset:
    """All settings of a study."""

    name: str
    data: DataConfig
    vqvae: VQVAEConfig
    denoiser: DenoiserConfig
    ours: DenoiserConfig
    shortcut: ShortcutConfig
    aligner: AlignerConfig
    completer: CompleterConfig
    sampling: SamplingConfig


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
    denoiser = DenoiserConfig(**rows["denoiser"], code_dim=code_dim)
    return Preset(
        name,
        DataConfig(**rows["data"]),
        VQVAEConfig(**rows["vqvae"], output_shape=shape),
        denoiser,
        denoiser.but(**rows["ours"]),
        ShortcutConfig(**rows["shortcut"]),
        AlignerConfig(**rows["aligner"]),
        CompleterConfig(**rows["completer"]),
        SamplingConfig(**rows["sampling"]),
    )
