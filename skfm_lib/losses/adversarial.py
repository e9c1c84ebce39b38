"""Losses of a VQ-GAN: two discriminators against the autoencoder (paper C.1).

As in the code that the paper builds on (Khader et al. 2023), where the weights are
relative to an L1 loss of weight 4: 1 for the scores of each discriminator and 4 for
the matching of its features.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

ADVERSARIAL = 1 / 4  # weight of a discriminator's scores beside an L1 loss of weight 1
MATCHING = 4  # weight of the matching of features beside that of the scores
START = 1 / 15  # share of the steps before discriminators train: 10 000 of 150 000


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss of Lim & Ye (2017), of scores of any shape.

    ½ (mean max(0, 1 − real) + mean max(0, 1 + fake)).
    """
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


def generator_loss(fake: Tensor) -> Tensor:
    """−mean fake: the autoencoder's loss, for the scores of its reconstructions."""
    return -fake.mean()


def matching(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Σ over layers of mean ``|real − fake|`` (Wang et al. 2018), without the scores.

    The gradient reaches `fake` only.
    """
    pairs = zip(real[:-1], fake[:-1])
    losses = (F.l1_loss(f.float(), r.detach().float()) for r, f in pairs)
    return sum(losses, torch.zeros((), device=real[0].device))


def some_slices(v: Tensor, items: Tensor) -> Tensor:
    """Slice `items` (b,) along D of each volume (b, 1, D, H, W), as (b, 1, 1, H, W)."""
    every = torch.arange(len(v), device=v.device)
    return v[every, :, items.to(v.device)].unsqueeze(2)
