"""The model that comes with the library: whole, and it generates what it did."""

import numpy as np
import pytest

from skfm_lib.data.bone_fractions import is_bone, stored
from skfm_lib.generation import usual_sampler
from skfm_lib.metrics import dice
from skfm_lib.presets import SamplingConfig
from skfm_lib.reference_model import package, settings_of
from skfm_lib.reference_model.findings import FEW_STEPS, FINDINGS
from skfm_lib.reference_model.loading import load_generator, load_screener
from skfm_lib.reference_model.package import FOLDER, INDEX, Package, read_index

LARGEST = 30e6  # bytes together
# Between processors that compute in bf16 and in float32, skulls of a tiny model differ
# by up to 0.004 of the range in the mean, and their bone by a Dice overlap of 0.98.
APART, OVERLAP = 0.02, 0.95


@pytest.fixture(scope="module")
def shipped():
    if not (FOLDER / INDEX).is_file():
        pytest.skip("this copy comes without a trained model: make weights")
    return Package(FOLDER, read_index(FOLDER))


def test_its_files_are_whole_and_small(shipped):
    sizes = [shipped.file(name).stat().st_size for name in shipped.index["files"]]
    assert sum(sizes) <= LARGEST
    names = {p.name for p in FOLDER.iterdir()} - {FINDINGS, FEW_STEPS}
    assert names == {*shipped.index["files"], INDEX}


def test_it_generates_the_example_which_passes_the_screening(shipped):
    quality, seed = (shipped.index["example"][key] for key in ("quality", "seed"))
    generator = load_generator(shipped)
    sampling = settings_of(shipped, SamplingConfig, "sampling")
    z = generator.latents([quality], [seed], usual_sampler("ours", sampling))
    volume = stored(generator.decode(z)[0, 0].numpy(), generator.grid)
    with np.load(shipped.file(package.EXAMPLE)) as content:
        expected = content["volume"]
    apart = np.abs(volume.astype(float) - expected).mean() / 255
    assert apart <= APART
    assert dice(is_bone(volume), is_bone(expected)) >= OVERLAP
    assert not load_screener(shipped)(volume, quality).reasons
