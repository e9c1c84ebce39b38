"""Muon: orthogonal steps, an independent implementation, which weights it trains."""

import numpy as np
import pytest
import torch
from torch import nn

from skfm_lib.models import UNet3D
from skfm_lib.models.ops.conv3d import Conv3d
from skfm_lib.presets import TrainingConfig, preset
from skfm_lib.training.muon import Muon, MuonWithAdam, hidden_kernels, orthogonal
from skfm_lib.training.optimizer import adam, descend
from skfm_lib.utils.errors import SkfmError

SETTINGS = TrainingConfig(
    steps=9, batch=1, learning_rate=0.01, final_rate=1.0, betas=(0.9, 0.99), warmup=0
)
FULL = torch.float32


def network():
    torch.manual_seed(1)
    layers = (
        Conv3d(2, 4, 3, padding=1),
        Conv3d(4, 6, 3, padding=1),
        nn.ConvTranspose3d(6, 5, 4, 2, 1),
        Conv3d(5, 2, 1),
    )
    return nn.Sequential(*layers).to(memory_format=torch.channels_last_3d)


def loss_of(model, step):
    torch.manual_seed(step)
    return model(torch.randn(1, 2, 5, 6, 7)).square().mean()


@pytest.mark.parametrize("shape", [(16, 216), (64, 16), (30, 40), (1, 9)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_are_orthogonal_and_keep_the_singular_vectors(shape, dtype):
    matrix = torch.randn(shape)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    matrix = u @ torch.diag(s.clamp(min=0.2 * s.max())) @ v
    found = orthogonal(1e-3 * matrix.to(dtype)).float()
    # In the singular vectors of the matrix, the step is diagonal and near one.
    rotated = u.T @ found @ v.T
    assert rotated.diagonal().min() > 0.65 and rotated.diagonal().max() < 1.3
    rest = rotated - torch.diag(rotated.diagonal())
    assert rest.abs().max() < (1e-4 if dtype == FULL else 0.05)


def test_iterations_are_the_published_polynomial():
    s = torch.tensor([0.9, 0.3, 0.1])
    u, v = (torch.linalg.qr(torch.randn(n, 3)).Q for n in (3, 8))
    x = (s / s.norm()).double()
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
    found = torch.diag(u.T @ orthogonal(u @ torch.diag(s) @ v.T) @ v)
    assert torch.allclose(found.double(), x, atol=1e-5)


def by_hand(kernel, gradients, rate):
    """Muon in NumPy, float64, on (a, b·k³), with the sum of gradients as momentum."""
    momentum = np.zeros((len(kernel), kernel[0].size))
    for gradient in gradients:
        gradient = gradient.reshape(momentum.shape)
        momentum = 0.95 * momentum + gradient
        x = gradient + 0.95 * momentum
        x = x.T if x.shape[0] > x.shape[1] else x
        x = x / np.linalg.norm(x)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        x = x.T if momentum.shape[0] > momentum.shape[1] else x
        kernel = kernel - rate * 0.2 * max(momentum.shape) ** 0.5 * x.reshape(
            kernel.shape
        )
    return kernel


@pytest.mark.parametrize("shape", [(6, 4, 3, 3, 3), (40, 2, 2, 2, 2), (7, 5, 1, 1, 1)])
@pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last_3d], ids=str
)
def test_steps_are_those_computed_by_hand(shape, layout):
    kernel = nn.Parameter(torch.randn(shape).to(memory_format=layout))
    gradients = [torch.randn(shape) for _ in range(3)]
    wanted = by_hand(
        kernel.detach().double().numpy(), [g.double().numpy() for g in gradients], 0.01
    )
    optimiser = Muon([kernel], 0.01, FULL)
    for gradient in gradients:
        kernel.grad = gradient
        optimiser.step()
    assert torch.allclose(kernel.detach().double(), torch.tensor(wanted), atol=2e-5)


def test_in_bf16_steps_are_those_of_pytorch():
    kernel = nn.Parameter(torch.randn(6, 4, 3, 3, 3))
    matrix = nn.Parameter(kernel.detach().clone().movedim(1, -1).flatten(1))
    ours = Muon([kernel], 0.01, torch.bfloat16)
    theirs = torch.optim.Muon(
        [matrix], 0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(3):
        kernel.grad = torch.randn_like(kernel)
        matrix.grad = kernel.grad.movedim(1, -1).flatten(1)
        ours.step()
        theirs.step()
    found = kernel.detach().movedim(1, -1).flatten(1)
    assert torch.allclose(found, matrix, atol=1e-4)


def test_a_transposed_convolution_steps_like_its_adjoint():
    """Both have the same kernel; x ↦ conv(x) and its adjoint get the same step."""
    weight, x, y = torch.randn(6, 5, 4, 4, 4), torch.randn(1, 5, 8, 8, 8), None
    steps = []
    for transpose in (False, True):
        kernel = nn.Parameter(weight.clone())
        y = torch.randn(1, 6, 4, 4, 4, generator=torch.Generator().manual_seed(0))
        if transpose:
            product = nn.functional.conv_transpose3d(y, kernel, stride=2, padding=1) * x
        else:
            product = nn.functional.conv3d(x, kernel, stride=2, padding=1) * y
        product.sum().backward()
        Muon([kernel], 0.01, FULL).step()
        steps.append(kernel.detach())
    assert torch.allclose(*steps, atol=1e-5) and not torch.equal(steps[0], weight)


def test_it_trains_the_hidden_convolutions_of_the_unet():
    unet = UNet3D(preset("tiny").denoiser)
    hidden = set(map(id, hidden_kernels(unet)))
    found = {name for name, w in unet.named_parameters() if id(w) in hidden}
    kernels = {name for name, w in unet.named_parameters() if w.dim() == 5}
    assert kernels - found == {"first.weight", "out.weight"} and found < kernels
    assert {"upsample.0.weight", "downsample.0.weight", "last.skip.weight"} < found


def test_other_weights_get_adam_at_the_same_rate():
    model, plain = network(), network()
    both, alone = MuonWithAdam(model, SETTINGS, FULL), adam(plain, SETTINGS)
    before = [w.detach().clone() for w in model.parameters()]
    descend(model, both, loss_of(model, 0), 0.003)
    descend(plain, alone, loss_of(plain, 0), 0.003)
    hidden = set(map(id, hidden_kernels(model)))
    assert len(hidden) == 2
    for old, new, wanted in zip(before, model.parameters(), plain.parameters()):
        assert torch.equal(new, wanted) == (id(new) not in hidden)
        size = (new.detach() - old).square().mean().sqrt().item() / 0.003
        # A first step of Adam is ±1 everywhere; one of Muon 0.2 (singular values ≈ 1).
        assert size == pytest.approx(0.2 if id(new) in hidden else 1, rel=0.3)


def test_the_state_resumes_bit_for_bit():
    def trained(model, optimiser, steps):
        for step in steps:
            descend(model, optimiser, loss_of(model, step), 0.01)
        return model

    whole = network()
    trained(whole, MuonWithAdam(whole, SETTINGS, torch.bfloat16), range(4))
    first = network()
    optimiser = MuonWithAdam(first, SETTINGS, torch.bfloat16)
    trained(first, optimiser, range(2))
    second = network()
    second.load_state_dict(first.state_dict())
    resumed = MuonWithAdam(second, SETTINGS, torch.bfloat16)
    resumed.load_state_dict(optimiser.state_dict())
    trained(second, resumed, range(2, 4))
    pairs = zip(whole.parameters(), second.parameters())
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(3, 2),
        nn.Sequential(Conv3d(1, 2, 3), Conv3d(2, 1, 3)),
        nn.Sequential(Conv3d(2, 2, 3), Conv3d(2, 1, 3), Conv3d(1, 2, 3)),
    ],
)
def test_a_network_without_hidden_convolutions_is_refused(model):
    with pytest.raises(SkfmError, match="'muon' for .*first and its last.*'adam'"):
        MuonWithAdam(model, SETTINGS, FULL)
