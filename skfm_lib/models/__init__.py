"""The networks; they know nothing of files."""

from skfm_lib.models.aligner import Aligner
from skfm_lib.models.linear_shape import LinearShapeModel
from skfm_lib.models.med3d import Med3D
from skfm_lib.models.pointattn import PointAttN
from skfm_lib.models.unet3d import UNet3D
from skfm_lib.models.vqvae import VQVAE

__all__ = ["VQVAE", "Aligner", "LinearShapeModel", "Med3D", "PointAttN", "UNet3D"]
