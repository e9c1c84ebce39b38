"""The method page's tables of differences from the paper, against the settings."""

from pathlib import Path

import pytest

from skfm_lib.losses import adversarial
from skfm_lib.models import med3d, quantizer
from skfm_lib.models.pointcloud.layers import SCALE
from skfm_lib.presets import NAMES, TABLE, preset
from skfm_lib.tasks import completion, defects

PAGE = (Path(__file__).parents[1] / "book" / "method.md").read_text(encoding="utf-8")
PAPER = preset("paper")
VQVAE, UNET, ALIGNER = PAPER.vqvae, PAPER.denoiser, PAPER.aligner


def rows(heading):
    """The cells of each row of the table below a heading, by the first cell."""
    lines = PAGE.split(heading)[1].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return {first: rest for first, *rest in table}


DEVIATIONS = rows("## Differences from the paper")


def test_every_setting_that_differs_from_preset_paper_is_listed_with_its_values():
    wanted = {
        f"`{group}.{name}`": [str(value) for value in values]
        for group, table in TABLE.items()
        for name, values in table.items()
        if any(value != values[-1] for value in values)
    }
    found = rows("### Presets and the paper")
    assert found.pop("setting") == list(NAMES)
    assert not found.pop("---").count("")
    assert found == wanted


def test_every_difference_has_what_why_and_effect():
    assert len(DEVIATIONS) > 30
    assert all(len(cells) == 4 and all(cells) for cells in DEVIATIONS.values())


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("convolutions of the autoencoder", "`padding`"),
        ("layers of the autoencoder", "{}, {}, {} channels".format(*VQVAE.channels)),
        ("layers of the autoencoder", f"{VQVAE.groups} groups"),
        ("weights of the losses", f"1 and {VQVAE.commitment}"),
        ("codebook", f"decay {VQVAE.code_decay}"),
        ("unused codes", f"1/{1 / quantizer.DEAD:.0f}"),
        ("optimiser", f"betas {VQVAE.betas}, {VQVAE.warmup} steps"),
        ("discriminators (Table 8)", f"1/{1 / adversarial.START:.0f}"),
        ("U-Net size", "{} channels times {}, {}, {}, {}, and {} heads".format(
            UNET.width, *UNET.multipliers, UNET.heads
        )),
        ("Table 1, features", r" \times ".join(map(str, med3d.INPUT_SHAPE))),
        ("poses", f"±{ALIGNER.degrees:.0f}° about each axis"),
        ("poses", f"±{ALIGNER.millimetres:.0f} mm"),
        ("clouds of the aligner", f"divided by {SCALE:.0f} mm"),
        ("skip of PointNet++", f"{ALIGNER.embedding} (Table 10)"),
        ("rotation", f'`rotation` "{ALIGNER.rotation}"'),
        ("seeds of PointAttN", f"{PAPER.completer.points // 16} for 4096"),
        ("outputs of PointAttN", "{}, {} and {}".format(*PAPER.completer.outputs)),
        ("defect", "{:.0f} to {:.0f} %".format(*(100 * s for s in defects.SHARES))),
        ("error in the defect", f"within {completion.MARGIN:.0f} mm"),
    ],
)  # fmt: skip
def test_numbers_of_the_table_are_those_of_the_code(part, said):
    assert said in " ".join(DEVIATIONS[part])
