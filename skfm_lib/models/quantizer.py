"""The codebook: nearest code, and codes learned as moving averages (paper §3.2)."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor, nn

from skfm_lib.utils import distributed
from skfm_lib.utils.device import on_cpu, sizes

CHUNK = 1 << 26  # float64 distances held at a time: 0.5 GB
CANDIDATES = (4, 64)  # best codes by the product, compared exactly
LANES = 64  # parts in which the rows of a segment are summed on a GPU
NEAR = 1e-14  # relative difference of float64 distances that is rounding
DEAD = 1 / 44  # of the mean usage: the absolute 1.0 of Khader et al. at paper scale
SMOOTHING = 1e-7


def nearest_code(
    z: Float[Tensor, "n k"], codebook: Float[Tensor, "codes k"]
) -> Int[Tensor, " n"]:
    """Index of the code nearest to each vector, exactly, in bounded memory.

    Equal to ``argmin`` over the full matrix of squared distances in float64, the first
    of equal codes; that matrix (94 GB at the paper's size) is never formed.

    >>> nearest_code(torch.tensor([[0.9], [2.2]]), torch.tensor([[0.0], [1.0], [2.0]]))
    tensor([1, 2])
    """
    return torch.ops.skfm.nearest_code(z, codebook)


def _nearest_by_tree(z: Tensor, codebook: Tensor) -> Tensor:
    """By a k-d tree over the different codes; where two are as near, by the table.

    On a CPU faster than any table of distances.
    """
    codes, first = np.unique(codebook.double().numpy(), axis=0, return_index=True)
    nearby = [1, 2] if len(codes) > 1 else [1]  # two, to detect ties
    search = cKDTree(codes).query(z.double().numpy(), k=nearby, workers=-1)
    distance, found = map(np.asarray, search)
    nearest = torch.from_numpy(first[found[:, 0]])
    tied = torch.from_numpy(distance[:, -1] <= distance[:, 0] * (1 + NEAR))
    if tied.any() and len(nearby) == 2:
        nearest[tied] = _nearest_by_table(z[tied], codebook)
    return nearest


def nearest_by_product(z: Tensor, codebook: Tensor) -> Tensor:
    """By a float32 product, and exactly where its rounding matters; for a GPU.

    With the codes' mean c, ``s = ½‖e − c‖² − (z − c)·(e − c)`` is smallest where
    ``‖z − e‖`` is.  Its error is below a bound δ, so the nearest code is among those
    with s ≤ min s + 2δ.  Where these are among the four smallest, they are compared in
    float64; else among the 64 smallest; where there are more, by the table.
    """
    # Autocast reaches into custom operations, and δ is that of float32.
    with torch.autocast(z.device.type, enabled=False):
        nearest, unsure = _among_candidates(z, codebook, CANDIDATES[0])
        rows = unsure.nonzero()[:, 0]
        for count in CANDIDATES[1:]:
            if len(rows):
                nearest[rows], unsure = _among_candidates(z[rows], codebook, count)
                rows = rows[unsure]
        if len(rows):
            nearest[rows] = _nearest_by_table(z[rows], codebook)
    return nearest


def _among_candidates(z: Tensor, codebook: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The nearest of the `count` best codes by the product, and where it may not be."""
    centre, count = codebook.double().mean(0), min(count, len(codebook))
    codes, centred = ((x.double() - centre).float() for x in (codebook, z))
    half, longest = codes.square().sum(1) / 2, codes.norm(dim=1).max()
    pairs = [
        torch.addmm(half, part, codes.T, alpha=-1).topk(count, largest=False)
        for part in centred.split(max(1, sizes(z).slab // (4 * len(codes))))
    ]
    best, found = (torch.cat(parts) for parts in zip(*pairs))
    found = found.sort(1).values  # the first of equal ones wins
    exact = _squared_distances(z.double(), codebook.double()[found])
    nearest = found.gather(1, exact.argmin(1, keepdim=True))[:, 0]
    # Twice what rounding the vectors, their products and sums can add up to.
    bound = (z.shape[1] + 4) * torch.finfo(torch.float32).eps * longest
    limit = best[:, 0] + 2 * bound * (centred.norm(dim=1) + longest)
    return nearest, (best[:, -1] <= limit) & (count < len(codes))


def _nearest_by_table(z: Tensor, codebook: Tensor) -> Tensor:
    """argmin of the float64 table, for as many rows at a time as `CHUNK` allows."""
    codes, parts = codebook.double(), z.split(max(1, CHUNK // len(codebook)))
    return torch.cat([_squared_distances(p.double(), codes).argmin(1) for p in parts])


def _squared_distances(z: Tensor, codes: Tensor) -> Tensor:
    """(n, m), between rows (n, k) and codes (m, k), or codes of each row (n, m, k).

    Not by ‖e‖² − 2 z·e: it loses digits where codes are close and far from zero.
    """
    total = z.new_zeros(len(z), codes.shape[-2])
    for a, b in zip(z.T, codes.movedim(-1, 0)):
        total += (a[:, None] - b).square_()
    return total


# Registered with PyTorch, so that the networks also run on tensors without data.
LIBRARY = torch.library.Library("skfm", "DEF")
LIBRARY.define("nearest_code(Tensor z, Tensor codebook) -> Tensor")
LIBRARY.impl("nearest_code", _nearest_by_tree, "CPU")
LIBRARY.impl("nearest_code", nearest_by_product, "CUDA")
LIBRARY.impl("nearest_code", lambda z, _: z.new_empty(len(z), dtype=torch.long), "Meta")


class Codebook(nn.Module):
    """`codes` vectors that follow the latents assigned to them.

    Each code is an exponential moving average of its latents (van den Oord et al.
    2017, A.1).  A code that is hardly used is reset to a random current latent, with
    its averages, which would otherwise pull it back at the next update.  Processes
    that train together share one codebook: it follows the latents of all.
    """

    def __init__(self, codes: int, dim: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.vectors = nn.Buffer(torch.randn(codes, dim))
        self.usage = nn.Buffer(torch.ones(codes))
        self.sums = nn.Buffer(torch.zeros(codes, dim))
        self.updates = nn.Buffer(torch.zeros((), dtype=torch.long))
        self.seeded = nn.Buffer(torch.zeros((), dtype=torch.bool))

    def forward(self, z: Float[Tensor, "b k D H W"]) -> tuple[Tensor, Tensor]:
        """(q, indices): q (b, k, D, H, W) nearest codes, indices (b, D, H, W)."""
        indices = nearest_code(_rows(z), self.vectors).view(len(z), *z.shape[2:])
        return self.look_up(indices), indices

    def look_up(self, indices: Int[Tensor, "b D H W"]) -> Float[Tensor, "b k D H W"]:
        """The codes at `indices`."""
        return self.vectors[indices].movedim(-1, 1)

    @torch.no_grad()
    def seed(self, z: Float[Tensor, "b k D H W"], rng: torch.Generator) -> None:
        """Initialise the codes with random latents of a first batch, once."""
        if not self.seeded:
            self.vectors.copy_(_random_rows(_rows(z), len(self.vectors), rng))
            self.sums.copy_(self.vectors)
            self.seeded.fill_(True)

    @torch.no_grad()
    def update(self, z: Tensor, indices: Tensor, rng: torch.Generator) -> None:
        """Move every code towards the latents assigned to it; revive dead codes.

        After n updates the averages are n + 10 updates long, up to that of `decay`:
        short at first, so that the codes follow an encoder that still changes fast.
        """
        rows, indices = _rows(z), indices.flatten()
        counts = torch.bincount(indices, minlength=len(self.usage)).float()
        sums = segment_sums(rows, indices, len(self.sums))
        distributed.add(counts)
        distributed.add(sums)
        self.updates.add_(1)
        share = max(1 - self.decay, 9 / (9 + self.updates.item()))
        self.usage.lerp_(counts, share)
        self.sums.lerp_(sums, share)
        mean = self.usage.mean()
        smooth = (self.usage + SMOOTHING) / (1 + SMOOTHING / mean)
        self.vectors.copy_(self.sums / smooth[:, None])
        dead = self.usage < DEAD * mean
        if dead.any():
            fresh = _random_rows(rows, int(dead.sum()), rng)
            self.vectors[dead], self.usage[dead] = fresh, mean
            self.sums[dead] = fresh * mean

    def perplexity(self) -> float:
        """exp of the entropy of the codes' usage; at most the number of codes."""
        p = self.usage / self.usage.sum()
        return float(torch.exp(-torch.special.xlogy(p, p).sum()))


def segment_sums(
    rows: Float[Tensor, "n k"], indices: Int[Tensor, " n"], segments: int
) -> Float[Tensor, "{segments} k"]:
    """The sum of the rows of each index, the same at every call."""
    if on_cpu(rows):
        sums = rows.new_zeros(segments, rows.shape[1])
        return sums.index_add_(0, indices, rows)
    # On a GPU, index_add_ adds in any order.  This sorts and adds the rows of an index
    # one by one, so that the many of a background code are divided.
    lanes = indices * LANES + torch.arange(len(rows), device=rows.device) % LANES
    parts = rows.new_zeros(segments * LANES, rows.shape[1])
    parts.index_put_((lanes,), rows, accumulate=True)
    return parts.view(segments, LANES, -1).sum(1)


def _rows(z: Float[Tensor, "b k D H W"]) -> Float[Tensor, "n k"]:
    """Latents as float32 rows."""
    return z.detach().float().movedim(1, -1).reshape(-1, z.shape[1])


def _random_rows(z: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """`count` random rows of `z`, made distinct by noise when there are fewer.

    With several processes, rows of all of them in order of rank: each process fills in
    its own rows, with zeros elsewhere, and the processes' results are added.
    """
    every = len(z) * distributed.devices()
    rows = torch.randint(every, (count,), generator=rng).to(z.device)
    own = rows - distributed.rank() * len(z)
    here = (own >= 0) & (own < len(z))
    chosen = z.new_zeros(count, z.shape[1])
    chosen[here] = z[own[here]]
    distributed.add(chosen)
    if count <= every:
        return chosen
    noise = torch.randn(count, z.shape[1], generator=rng).to(z.device)
    return chosen + 0.01 / z.shape[1] ** 0.5 * noise
