"""What a machine must have for some tests."""

import pytest
import torch

from skfm_lib.utils.device import pick_device

needs_bf16 = pytest.mark.skipif(
    pick_device().dtype != torch.bfloat16,
    reason="no bf16 instructions here: networks never run in bf16 on this machine",
)
