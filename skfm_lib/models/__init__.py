"""The networks; they know nothing of files."""

from skfm_lib.models.med3d import Med3D
from skfm_lib.models.unet3d import UNet3D
from skfm_lib.models.vqvae import VQVAE

__all__ = ["VQVAE", "Med3D", "UNet3D"]
