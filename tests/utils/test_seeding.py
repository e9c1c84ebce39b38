"""Randomness as a function of what it is for."""

import torch

from skfm_lib.utils.seeding import batch_indices, generator, noise, seed_of


def test_seeds_depend_on_every_part_and_its_place():
    seeds = [seed_of(0, "a"), seed_of("a", 0), seed_of(0, "a", 0), seed_of(1, "a")]
    seeds += [seed_of(1, 23), seed_of(12, 3)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_on_every_machine():
    # SHA-256 of "0\x1fsample", first 8 bytes, halved.
    assert seed_of(0, "sample") == 4692628923391638241


def test_every_epoch_is_a_permutation_whatever_the_batch():
    items = 10
    for batch in (1, 3, 4, 10, 25):
        drawn = [i for s in range(60) for i in batch_indices(5, s, items, batch)]
        epochs = [drawn[i : i + items] for i in range(0, len(drawn), items)]
        whole = [epoch for epoch in epochs if len(epoch) == items]
        assert whole and all(sorted(epoch) == list(range(items)) for epoch in whole)
        assert len({tuple(epoch) for epoch in whole[:6]}) == min(6, len(whole))


def test_a_step_needs_no_step_before_it():
    assert batch_indices(1, 17, 9, 4) == batch_indices(1, 17, 9, 4)
    long = [i for s in range(20) for i in batch_indices(1, s, 9, 4)]
    assert batch_indices(1, 17, 9, 4) == long[68:72]
    orders = {tuple(batch_indices(seed, 0, 9, 9)) for seed in range(5)}
    assert len(orders) == 5


def test_noise_rows_depend_on_the_sample_only():
    rows = noise((3, 4), 7, "eps", samples=[5, 9, 5])
    assert rows.shape == (3, 3, 4)
    assert torch.equal(rows[0], rows[2]) and not torch.equal(rows[0], rows[1])
    assert torch.equal(noise((3, 4), 7, "eps", samples=[9])[0], rows[1])
    assert not torch.equal(noise((3, 4), 7, "other", samples=[9])[0], rows[1])


def test_noise_is_standard_normal_and_leaves_the_global_state():
    before = torch.get_rng_state()
    drawn = noise((50,), "moments", samples=list(range(400))).double()
    assert torch.equal(torch.get_rng_state(), before)
    assert abs(drawn.mean()) < 4 / 20_000**0.5
    assert abs(drawn.var() - 1) < 4 * (2 / 20_000) ** 0.5
    # Rows of neighbouring seeds are not alike.
    assert (drawn @ drawn.T / 50).fill_diagonal_(0).abs().max() < 6 / 50**0.5


def test_generators_of_one_purpose_agree():
    a, b = (torch.rand(3, generator=generator(1, "t", 2)) for _ in range(2))
    assert torch.equal(a, b)
