"""Med3D: MedicalNet's ResNet-50 as the feature network of Table 1."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skfm_lib.models.pretrained import load_released, read_released
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.utils.errors import SkfmError

INPUT_SHAPE = (192, 148, 216)  # 0.422 of the grid, in the code the paper builds on
CONTENT = "MedicalNet's ResNet-50 weights"
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
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + shortcut)


class Med3D(nn.Module):
    """MedicalNet's ResNet-50 without its segmentation head (Chen et al. 2019).

    Its last two stages are dilated by 2 and 4 instead of strided, so the output stride
    is 8; a plain ResNet-50 accepts the same weights but computes other features.
    Parameters have the names of MedicalNet's own files.  The input is not normalised:
    volumes are bone +1 and background −1.  `features` resamples them to `input_shape`;
    `weights` is the name of the weights' file.
    """

    dimensions = 2048

    def __init__(
        self, input_shape: Shape = INPUT_SHAPE, weights: str = "random weights"
    ) -> None:
        super().__init__()
        self.input_shape, self.weights = input_shape, weights
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
        """(n, 1, D, H, W) → (n, 2048) at the input size of the paper's Table 1.

        Volumes are resampled trilinearly, if necessary, and binarised at 0.
        """
        if tuple(v.shape[2:]) != self.input_shape:
            v = F.interpolate(v, self.input_shape, mode="trilinear")
        return self(torch.where(v > 0, 1.0, -1.0))

    @property
    def description(self) -> str:
        """The features' description in captions."""
        size = "×".join(map(str, self.input_shape))
        return f"Med3D features ({self.weights}, at {size})"

    @classmethod
    def load(cls, path: str | Path, input_shape: Shape = INPUT_SHAPE) -> "Med3D":
        """The network with MedicalNet's weights, in evaluation mode.

        `path` is ``resnet_50.pth`` (8 data sets, the paper's predecessor's choice) or
        ``resnet_50_23dataset.pth``.

        Raises:
            SkfmError: if the file is missing or damaged, or holds other weights.
        """
        path = Path(path)
        found = read_released(path, CONTENT, SOURCE).get("state_dict")
        if not isinstance(found, dict):
            raise SkfmError(f"{path} holds no 'state_dict'", CONTENT, SOURCE)
        state = {name.removeprefix("module."): value for name, value in found.items()}
        state = {n: v for n, v in state.items() if not n.startswith("conv_seg.")}
        network = cls(input_shape, path.name)
        load_released(network, state, path, CONTENT, SOURCE)
        return network.eval()


def _stage(
    inputs: int, width: int, blocks: int, stride: int, dilation: int
) -> nn.Sequential:
    first = Bottleneck(inputs, width, stride, dilation)
    rest = [Bottleneck(4 * width, width, 1, dilation) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)
