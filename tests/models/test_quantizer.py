"""The codebook: nearest code exactly, and codes as moving averages."""

import math

import numpy as np
import pytest
import torch

from skfm_lib.models import quantizer
from skfm_lib.models.quantizer import (
    DEAD,
    Codebook,
    _nearest_by_table,
    _nearest_by_tree,
    nearest_by_product,
    nearest_code,
    segment_sums,
)
from skfm_lib.utils.device import planned

PATHS = (nearest_code, _nearest_by_tree, _nearest_by_table, nearest_by_product)
PLAIN = {"compute_mode": "donot_use_mm_for_euclid_dist"}


def random_rows(n, k, seed=0):
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed))


def brute_force(z, codebook):
    """argmin over all float64 distances; numpy's argmin takes the first."""
    z, codes = z.double().numpy(), codebook.double().numpy()
    return np.square(z[:, None] - codes[None]).sum(2).argmin(1)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("n", "codes", "k"), [(1, 1, 8), (300, 2, 1), (700, 513, 8)])
def test_nearest_code_equals_brute_force(path, n, codes, k):
    z, codebook = random_rows(n, k), random_rows(codes, k, seed=1)
    found = path(z, codebook)
    assert found.dtype == torch.long and found.shape == (n,)
    assert np.array_equal(found.numpy(), brute_force(z, codebook))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("copies", [2, 12])
def test_of_equal_codes_the_first_is_taken(path, copies):
    distinct = random_rows(20, 8, seed=1)
    codebook = distinct.repeat(copies, 1)
    found = path(random_rows(200, 8), codebook)
    assert found.max() < 20
    assert np.array_equal(found.numpy(), brute_force(random_rows(200, 8), codebook))


@pytest.mark.parametrize("path", PATHS)
def test_a_code_is_its_own_nearest(path):
    codebook = random_rows(300, 8)
    assert torch.equal(path(codebook, codebook), torch.arange(300))


@pytest.mark.parametrize("path", PATHS)
def test_codes_close_together_and_far_from_zero(path):
    codebook = 100 + 1e-3 * random_rows(64, 8, seed=1)
    z = 100 + 1e-3 * random_rows(200, 8)
    distance = (z.double()[:, None] - codebook.double()).square().sum(2)
    picked = distance.gather(1, path(z, codebook)[:, None]).squeeze(1)
    assert torch.equal(picked, distance.amin(1))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-9, 1e-7, 1e-5])
@pytest.mark.parametrize("crowd", [2, 7, 40])
def test_near_ties_are_told_apart(path, gap, crowd):
    # For each row, `crowd` codes at distances that differ by the share `gap`: float32
    # products cannot order them, and more than are compared as candidates.
    z = 3 + random_rows(20, 8).double()
    ways = torch.nn.functional.normalize(random_rows(20 * crowd, 8, seed=1).double())
    order = torch.stack([torch.randperm(crowd) for _ in range(20)]).flatten()
    lengths = 0.1 * (1 + gap * order.double())
    codebook = z.repeat_interleave(crowd, 0) + lengths[:, None] * ways
    found = path(z, codebook)
    distance = (z[:, None] - codebook).square().sum(2)
    if gap >= 1e-9:  # else below the rounding of the codes themselves
        first = order.view(20, crowd).argmin(1) + crowd * torch.arange(20)
        assert torch.equal(found, first)
    picked = distance.gather(1, found[:, None])[:, 0]
    assert torch.allclose(picked, distance.amin(1), rtol=1e-15, atol=0)


@pytest.mark.parametrize("path", PATHS)
def test_mixed_precision_changes_no_index_of_codes_close_together(path):
    # In bf16 the products would choose another code for a quarter of the rows.
    codebook = random_rows(64, 8).repeat(32, 1) + 0.03 * random_rows(2048, 8, seed=1)
    z = codebook[:1000] + 0.02 * random_rows(1000, 8, seed=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = path(z, codebook)
    assert np.array_equal(found.numpy(), brute_force(z, codebook))


def test_a_product_without_recheck_would_fail():
    codebook = 100 + 1e-3 * random_rows(64, 8, seed=1)
    z = 100 + 1e-3 * random_rows(200, 8)
    scores = codebook.square().sum(1) / 2 - z @ codebook.T
    assert not np.array_equal(scores.argmin(1).numpy(), brute_force(z, codebook))


@pytest.mark.parametrize("path", PATHS)
def test_mixed_precision_changes_no_index(path):
    z, codebook = 30 + random_rows(500, 8), 30 + random_rows(512, 8, seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = path(z, codebook)
    assert np.array_equal(found.numpy(), brute_force(z, codebook))


@pytest.mark.parametrize("path", PATHS)
def test_between_two_codes_the_first_is_taken(path):
    z = torch.tensor([[0.0, 0.0]])
    for first, second in (([1.0, 0.0], [-1.0, 0.0]), ([-1.0, 0.0], [1.0, 0.0])):
        assert path(z, torch.tensor([first, second, [5.0, 5.0]])).item() == 0


def test_the_layout_of_latents_and_indices():
    book = Codebook(50, 3, 0.9)
    z = torch.randn(2, 3, 4, 5, 6)
    q, indices = book(z)
    assert q.shape == z.shape and indices.shape == (2, 4, 5, 6)
    assert torch.equal(q[1, :, 2, 3, 4], book.vectors[indices[1, 2, 3, 4]])
    best = brute_force(z[1, :, 2, 3, 4][None], book.vectors)
    assert indices[1, 2, 3, 4] == best[0]


def seeded_book(codes=6, dim=2, decay=0.9):
    """A book of codes far apart, with latents around each but the last."""
    book, rng = Codebook(codes, dim, decay), torch.Generator().manual_seed(0)
    book.vectors.copy_(10 * torch.arange(codes)[:, None].expand(codes, dim))
    book.sums.copy_(book.vectors)
    book.seeded.fill_(True)
    return book, rng


def latents_near(book, count=50, seed=1):
    """(1, k, 1, 1, n): latents near the codes, `count` for each."""
    rows = book.vectors.repeat_interleave(count, 0)
    rows = rows + torch.randn(rows.shape, generator=torch.Generator().manual_seed(seed))
    return rows.T[None, :, None, None]


def test_update_is_the_moving_average_of_one_hot_sums():
    book, rng = seeded_book()
    usage, sums = book.usage.double(), book.sums.double()
    for update in range(1, 25):
        z = latents_near(book, seed=update)
        _, indices = book(z)
        book.update(z, indices, rng)
        one_hot = torch.nn.functional.one_hot(indices.flatten(), 6).double()
        flat = z[0, :, 0, 0].T.double()
        share = max(0.1, 9 / (9 + update))
        usage = (1 - share) * usage + share * one_hot.sum(0)
        sums = (1 - share) * sums + share * one_hot.T @ flat
        assert torch.allclose(book.usage.double(), usage, rtol=1e-5)
        assert torch.allclose(book.sums.double(), sums, rtol=1e-4)
        assert torch.allclose(
            book.vectors.double(), sums / usage[:, None], rtol=1e-4, atol=1e-4
        )


def test_a_full_share_is_plain_k_means():
    book, rng = seeded_book(decay=0.0)
    z = latents_near(book)
    _, indices = book(z)
    book.update(z, indices, rng)
    rows, chosen = z[0, :, 0, 0].T, indices.flatten()
    for code in range(6):
        mean = rows[chosen == code].mean(0)
        assert torch.allclose(book.vectors[code], mean, atol=1e-4)


def test_dead_codes_are_revived_where_they_stay():
    book, rng = seeded_book()
    book.vectors[5] = book.sums[5] = 1e4
    book.usage[5] = 1e-3
    z = latents_near(book)[..., :250]  # none for the last code
    _, indices = book(z)
    assert not (indices == 5).any()
    book.update(z, indices, rng)
    rows = z[0, :, 0, 0].T
    revived = book.vectors[5].clone()
    assert (rows == revived).all(1).any()
    assert book.usage[5] > DEAD * book.usage.mean()
    assert torch.allclose(book.sums[5] / book.usage[5], revived)
    # An update without a latent for it leaves it where it is.
    book.update(z, torch.where(indices == 5, 0, indices), rng)
    assert torch.allclose(book.vectors[5], revived, rtol=1e-4)


def test_codes_in_use_are_not_revived():
    book, rng = seeded_book()
    book.update(latents_near(book), book(latents_near(book))[1], rng)
    assert (book.vectors - 10 * torch.arange(6)[:, None]).abs().max() < 1


def test_codes_are_seeded_with_latents_once():
    book, rng = Codebook(40, 3, 0.99), torch.Generator().manual_seed(0)
    z = torch.randn(2, 3, 4, 5, 6)
    book.seed(z, rng)
    rows = z.movedim(1, -1).reshape(-1, 3)
    assert (torch.cdist(book.vectors, rows, **PLAIN).amin(1) == 0).all()
    before = book.vectors.clone()
    book.seed(z + 9, rng)
    assert torch.equal(book.vectors, before)
    resumed = Codebook(40, 3, 0.99)
    resumed.load_state_dict(book.state_dict())
    resumed.seed(z + 9, rng)
    assert torch.equal(resumed.vectors, before)


def test_too_few_latents_seed_codes_that_differ():
    book = Codebook(40, 3, 0.99)
    z = torch.randn(1, 3, 1, 1, 7)
    book.seed(z, torch.Generator().manual_seed(0))
    assert len(book.vectors.unique(dim=0)) == 40
    assert torch.cdist(book.vectors, z[0, :, 0, 0].T).amin(1).max() < 0.1


def test_perplexity_lies_between_one_and_the_number_of_codes():
    book = Codebook(64, 2, 0.9)
    assert book.perplexity() == pytest.approx(64, rel=1e-5)
    book.usage.zero_()[3] = 5
    assert book.perplexity() == pytest.approx(1)
    book.usage[4] = 5
    assert book.perplexity() == pytest.approx(2)
    book.usage.copy_(torch.rand(64))
    p = (book.usage / book.usage.sum()).double()
    assert book.perplexity() == pytest.approx(math.exp(-(p * p.log()).sum()), rel=1e-5)


def test_the_table_of_distances_is_made_in_parts(monkeypatch, resize):
    rows, distances = [], quantizer._squared_distances

    def counted(part, codes):
        rows.append(len(part))
        return distances(part, codes)

    monkeypatch.setattr(quantizer, "CHUNK", 100)
    monkeypatch.setattr(quantizer, "_squared_distances", counted)
    z, codebook = random_rows(25, 4), random_rows(10, 4, seed=1)
    found = _nearest_by_table(z, codebook)
    assert rows == [10, 10, 5]
    assert np.array_equal(found.numpy(), brute_force(z, codebook))
    resize(slab=400)  # bytes of float32 products: ten rows
    assert torch.equal(nearest_by_product(z, codebook), found)


def test_sums_of_segments_on_a_gpu_equal_those_on_a_cpu():
    rows, indices = random_rows(500, 8), torch.randint(40, (500,))
    indices[indices == 7] = 8  # a segment without rows
    with planned(1 << 30):
        found = segment_sums(rows, indices, 50)
    expected = segment_sums(rows.double(), indices, 50)
    assert torch.allclose(found.double(), expected, rtol=0, atol=1e-5)
    assert (found[[7, *range(40, 50)]] == 0).all()
