"""Losses of a VQ-GAN: two discriminators against the autoencoder (paper C.1).

As in the code that the paper grew from (Khader et al. 2023), whose weights are in
units of the L1 loss there: 1 for each verdict and 4 for the matching of features,
beside 4 for L1.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

VERDICT = 1 / 4  # weight of a verdict beside an L1 loss of weight 1
MATCHING = 4  # weight of the matching of features beside a verdict's
START = 1 / 15  # share of the steps before they judge: 10 000 of 150 000


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """½ (mean max(0, 1 − real) + mean max(0, 1 + fake)): what a discriminator lowers.

    Of its verdicts, of any shape (Lim & Ye 2017).
    """
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


def generator_loss(fake: Tensor) -> Tensor:
    """−mean fake: what the autoencoder lowers, so that verdicts on it rise."""
    return -fake.mean()


def matching(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Σ over layers of mean |real − fake| (Wang et al. 2018); all but the verdicts.

    The gradient reaches `fake` only.
    """
    pairs = zip(real[:-1], fake[:-1])
    return sum(F.l1_loss(f.float(), r.detach().float()) for r, f in pairs)


def some_slices(v: Tensor, items: Tensor) -> Tensor:
    """Slice `items` (b,) along D of each volume (b, 1, D, H, W), as (b, 1, 1, H, W)."""
    return torch.stack([one[:, item : item + 1] for one, item in zip(v, items)])
