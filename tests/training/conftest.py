"""A study that has an autoencoder, for tests of what is trained on its latents."""

import pytest
import torch

from skfm_lib.models import VQVAE
from skfm_lib.study import open_study
from skfm_lib.training.checkpoints import save_weights


@pytest.fixture
def study(project):
    """A study whose autoencoder is untrained, and finished."""
    made = open_study("new", "tiny")
    made.stage("01_preprocess", {}).finish()
    stage = made.stage("02_train_vqvae", {"vqvae": {}}, ("01_preprocess",))
    torch.manual_seed(0)
    save_weights(VQVAE(made.settings.vqvae), stage.folder / "vqvae.safetensors", {})
    stage.finish()
    return made
