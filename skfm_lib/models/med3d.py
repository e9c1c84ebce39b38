"""Med3D: MedicalNet's ResNet-50 as the feature network of Table 1."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skfm_lib.models.pretrained import read_released
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.utils.errors import SkfmError

INPUT_SHAPE = (192, 148, 216)  # 0.422 of the grid, in the code the paper grew from
SOURCE = "download resnet_50.pth from huggingface.co/TencentMedicalNet"


class Bottleneck(nn.Module):
    """1³, 3³ (strided or dilated) and 1³ convolutions, a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(
            width, width, 3, stride, padding=dilation, dilation=dilation, bias=False
        )
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or inputs != 4 * width:
            projection = nn.Conv3d(inputs, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm3d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, D, H, W) → (n, 4·width, ⌈D/stride⌉, …)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + shortcut)


class Med3D(nn.Module):
    """MedicalNet's ResNet-50 without its segmentation head (Chen et al. 2019).

    Its last two stages are dilated by 2 and 4 instead of strided, so the output
    stride is 8; a plain ResNet-50 takes the same weights and gives other features.
    Parameters are named as in MedicalNet's own files.  No normalisation of the
    input: volumes are bone +1 and background −1.

    input_shape  voxels that `features` resamples volumes to
    weights      name of the file that the weights are from
    """

    dimensions = 2048

    def __init__(
        self, input_shape: Shape = INPUT_SHAPE, weights: str = "random weights"
    ) -> None:
        super().__init__()
        self.input_shape, self.weights = tuple(input_shape), weights
        self.conv1 = nn.Conv3d(1, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d(3, stride=2, padding=1)
        self.layer1 = _stage(64, 64, blocks=3, stride=1, dilation=1)
        self.layer2 = _stage(256, 128, blocks=4, stride=2, dilation=1)
        self.layer3 = _stage(512, 256, blocks=6, stride=1, dilation=2)
        self.layer4 = _stage(1024, 512, blocks=3, stride=1, dilation=4)

    def maps(self, v: Tensor) -> Tensor:
        """(n, 1, D, H, W) → (n, 2048, ⌈D/8⌉, ⌈H/8⌉, ⌈W/8⌉), before pooling."""
        v = self.maxpool(self.relu(self.bn1(self.conv1(v))))
        return self.layer4(self.layer3(self.layer2(self.layer1(v))))

    def forward(self, v: Tensor) -> Tensor:
        """(n, 1, D, H, W) → (n, 2048): `maps`, averaged over space (paper §4.1)."""
        return self.maps(v).mean(dim=(2, 3, 4))

    def features(self, v: Tensor) -> Tensor:
        """(n, 1, D, H, W) → (n, 2048) at the input of the paper's Table 1.

        Volumes of another size are resampled trilinearly to `input_shape` and made
        binary again at 0: bone +1, background −1.
        """
        if tuple(v.shape[2:]) != self.input_shape:
            v = F.interpolate(v, self.input_shape, mode="trilinear")
        return self(torch.where(v > 0, 1.0, -1.0))

    @property
    def description(self) -> str:
        """What the features are, for captions."""
        size = "×".join(map(str, self.input_shape))
        return f"Med3D features ({self.weights}, at {size})"

    @classmethod
    def load(cls, path: str | Path, input_shape: Shape = INPUT_SHAPE) -> "Med3D":
        """The network with MedicalNet's weights, in evaluation mode.

        `path` is ``resnet_50.pth`` (8 data sets, the paper's predecessor's choice)
        or ``resnet_50_23dataset.pth``.  Raises SkfmError for a missing, damaged
        or other file.
        """
        network = cls(input_shape, Path(path).name)
        state = {
            name.removeprefix("module."): value
            for name, value in _state_dict(Path(path)).items()
            if not name.removeprefix("module.").startswith("conv_seg.")
        }
        try:
            network.load_state_dict(state)
        except RuntimeError as problem:
            summary = " ".join(str(problem).split())[:200]
            raise SkfmError(
                f"{path} holds other weights ({summary} …)",
                "MedicalNet's ResNet-50",
                SOURCE,
            ) from problem
        return network.eval()


def _stage(
    inputs: int, width: int, blocks: int, stride: int, dilation: int
) -> nn.Sequential:
    first = Bottleneck(inputs, width, stride, dilation)
    rest = [Bottleneck(4 * width, width, 1, dilation) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _state_dict(path: Path) -> dict[str, Tensor]:
    content = read_released(path, "MedicalNet's ResNet-50 weights", SOURCE)
    if not isinstance(content.get("state_dict"), dict):
        raise SkfmError(f"{path} holds no 'state_dict'", "MedicalNet's file", SOURCE)
    return content["state_dict"]
